"""Checkpoints: the state of a training after an epoch.

::

    file     {"format": "neuroasync-checkpoint", "version": 2, "sha256": digest of training,
              "training": bytes}
    training {"config": TrainConfig.to_dict(),
              "start": SHA-256 digest of the network and the samples,
              "parameters", "mean", "square": f32[parameters]; the parameters, and Adam's means of
                  their gradients and squared gradients,
              "history": {"loss", "accuracy", "spikes", "validation_accuracy",
                          "validation_spikes", "seconds", "penalty": f64[epochs],
                          "population_spikes": f64[epochs, populations]},
              "best": f32[parameters], those of the best epoch; with ``keep="best"`` only,
              "mode_errors": f64[run modes], moving averages of their errors, -1 before the first;
                  with ``mode_focus`` only}

Older files have neither ``penalty`` nor ``population_spikes``.

Both maps are MessagePack in the strict form of bundles. Checkpoints are written atomically, and
reading one executes no code from the file.
"""

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgpack
import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.sample_bytes import sample_bytes
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.formats.bounded_open import open_bounded
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.formats.envelope import Envelope
from neuroasync.core.formats.field_checks import array_map, as_array, as_map
from neuroasync.core.formats.file_kind import FileKind, file_kind, wrong_kind
from neuroasync.core.formats.orders.run_modes import parse_run_modes
from neuroasync.core.formats.strict_msgpack import decode
from neuroasync.core.model.checks import must_be
from neuroasync.core.model.model import Model
from neuroasync.errors import BundleError, NeuroasyncError
from neuroasync.train.config import TrainConfig
from neuroasync.train.loop.epoch_selection import best_epoch
from neuroasync.train.loop.results import EpochResult
from neuroasync.train.parallel.exchange import Exchange, broadcast_bytes

__all__ = ["CheckpointError", "TrainingState", "fingerprint", "load_checkpoint", "save_checkpoint"]

_KEYS: Final = ("config", "start", "parameters", "mean", "square", "history")
_OPTIONAL: Final = ("best", "mode_errors")
_COLUMNS: Final = (
    "loss", "accuracy", "spikes", "validation_accuracy", "validation_spikes", "seconds",
)  # fmt: skip
_LATER_COLUMNS: Final = ("penalty", "population_spikes")
_MAX_BYTES: Final = 2**31
"""Size of a checkpoint in bytes: 134 million weights."""


class CheckpointError(NeuroasyncError, ValueError):
    """A checkpoint is damaged, cannot be written, is in use, or belongs to another training."""


_ENVELOPE: Final = Envelope("checkpoint", "neuroasync-checkpoint", 2, "training", CheckpointError)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """The state of a training after one or more epochs.

    Attributes:
        parameters: f32[parameters], finite.
        mean, square: f32[parameters], Adam's running means of the gradients and of their squares.
        history: One result per epoch.
        best: f32[parameters], those of the best epoch, if there is one.
        mode_errors: f64[run modes], moving averages of their errors, -1 before the first; None
            without ``mode_focus``.
    """

    parameters: NDArray[np.float32]
    mean: NDArray[np.float32]
    square: NDArray[np.float32]
    history: tuple[EpochResult, ...]
    best: NDArray[np.float32] | None = None
    mode_errors: NDArray[np.float64] | None = None


def fingerprint(model: Model, train: SpikeTrains, validation: SpikeTrains | None) -> bytes:
    """Return the SHA-256 digest of the network and the samples that a training starts from."""
    digest = hashlib.sha256(Bundle(model).digest)
    for trains in (train, validation):
        if trains is not None:
            for data in sample_bytes(trains):
                digest.update(data)
    return digest.digest()


def save_checkpoint(
    path: str | os.PathLike[str], config: TrainConfig, start: bytes, state: TrainingState
) -> None:
    """Write a checkpoint atomically.

    Args:
        path: File to write. An existing file is replaced; if writing fails, it stays unchanged.
        config: Configuration of the training.
        start: :func:`fingerprint` of the training.
        state: The state to save.

    Raises:
        CheckpointError: The file cannot be written, or the network is too large.
    """
    rows = [[getattr(entry, column) for column in _COLUMNS] for entry in state.history]
    values = np.array(rows, np.float64).reshape(-1, len(_COLUMNS))  # None becomes NaN
    history = {c: array_map(values[:, k], "<f8") for k, c in enumerate(_COLUMNS)}
    # Epochs from an older file lack the later columns; then so does this file.
    if all(entry.penalty is not None for entry in state.history):
        for column in _LATER_COLUMNS:
            rows = [getattr(entry, column) for entry in state.history]
            history[column] = array_map(np.array(rows, np.float64), "<f8")
    arrays = {
        key: array_map(getattr(state, key), "<f4") for key in ("parameters", "mean", "square")
    }
    if state.best is not None:
        arrays["best"] = array_map(state.best, "<f4")
    if state.mode_errors is not None:
        arrays["mode_errors"] = array_map(state.mode_errors, "<f8")
    if 4 * state.parameters.nbytes > _MAX_BYTES:
        raise CheckpointError(
            f"{os.fspath(path)!r}: cannot be written, because the network has "
            f"{state.parameters.size} parameters, and the limit is {_MAX_BYTES // 16}"
        )
    body = {"config": config.to_dict(), "start": start, **arrays, "history": history}
    with atomic_file(path, CheckpointError) as file:
        file.write(msgpack.packb(_ENVELOPE.close(msgpack.packb(body))))


def load_checkpoint(
    path: str | os.PathLike[str],
    config: TrainConfig,
    start: bytes,
    parameters: int,
    exchange: Exchange | None = None,
) -> TrainingState:
    """Read a checkpoint without executing anything in it.

    Args:
        path: File to read.
        config: Configuration of the training to resume.
        start: :func:`fingerprint` of the training to resume.
        parameters: Number of parameters of the network.
        exchange: Connection to other workers, all of which get the state in the file of worker 0.

    Raises:
        CheckpointError: The file is missing or damaged, or belongs to another training.
        ExchangeError: The connection to another worker was lost.
    """
    name = os.fspath(path)
    data = _content(name) if exchange is None or exchange.worker == 0 else b""
    if exchange is not None:
        data = broadcast_bytes(exchange, data)
    try:
        fields = as_map("", decode(_ENVELOPE.open(decode(data))), _KEYS, _OPTIONAL)
        _check_origin(fields, config, start)
        history = _history(fields["history"], config)
        if best_epoch(history, config) is not None and "best" not in fields:
            raise BundleError("`best` is missing")
        return TrainingState(
            parameters=_floats("parameters", fields["parameters"], "<f4", parameters),
            mean=_floats("mean", fields["mean"], "<f4", parameters),
            square=_floats("square", fields["square"], "<f4", parameters, 0.0),
            history=history,
            best=_floats("best", fields["best"], "<f4", parameters) if "best" in fields else None,
            mode_errors=_mode_errors(fields, config),
        )
    except CheckpointError as error:
        raise CheckpointError(f"{name!r}: {error}") from error
    except BundleError as error:
        raise CheckpointError(
            f"{name!r} is not a checkpoint, or it is damaged: {error}; remove it to train from the "
            "beginning"
        ) from error


def _content(name: str) -> bytes:
    """Return the bytes of a checkpoint."""
    try:
        with open_bounded(name, _MAX_BYTES + 2**24, CheckpointError) as (file, _):
            data = file.read()
    except CheckpointError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise CheckpointError(
                f"{name!r}: there is no such file to resume from, and the first one is written "
                "after the first epoch; start the training without `resume`"
            ) from error
        raise
    if (message := wrong_kind(name, FileKind.CHECKPOINT)) is not None:
        if file_kind(name) is FileKind.TORCH:
            message += "; a checkpoint of version 1 has no digest, so start its training again"
        raise CheckpointError(message)
    return data


def _check_origin(fields: Mapping[str, Any], config: TrainConfig, start: bytes) -> None:
    """Raise CheckpointError if the checkpoint is from another training."""
    expected, defaults = asdict(config), asdict(TrainConfig())
    always = TrainConfig().to_dict()
    saved = defaults | as_map("config", fields["config"], tuple(always), tuple(defaults))
    for key, value in expected.items():
        if (found := saved[key]) != value:
            raise CheckpointError(
                f"it belongs to another training: its {key} is {found!r:.80}, "
                f"this one has {value!r}"
            )
    if fields["start"] != start:
        raise CheckpointError(
            "it belongs to another training, which started from another network or other samples"
        )


def _mode_errors(fields: Mapping[str, Any], config: TrainConfig) -> NDArray[np.float64] | None:
    """Return the moving averages of the errors of run modes, if the training has them."""
    if config.modes is None or not config.mode_focus:
        return None
    if "mode_errors" not in fields:
        raise BundleError("`mode_errors` is missing")
    modes = len(parse_run_modes(config.modes))
    return _floats("mode_errors", fields["mode_errors"], "<f8", modes, -1.0, 1.0)


def _history(value: object, config: TrainConfig) -> tuple[EpochResult, ...]:
    """Return the results of the epochs."""
    columns = as_map("history", value, _COLUMNS, _LATER_COLUMNS)
    epochs = as_array("history.loss", columns["loss"], "<f8").size
    if not 1 <= epochs <= config.epochs:
        requirement = f"numbers of 1 to {config.epochs} epochs"
        raise BundleError(must_be("history.loss", requirement, f"{epochs} epochs"))
    read: dict[str, list[Any]] = {}
    for column in _COLUMNS:
        path, high = f"history.{column}", 1.0 if column.endswith("accuracy") else math.inf
        # Without validation samples, there is no value in any epoch.
        if column.startswith("validation") and _is_missing(path, columns[column], epochs):
            read[column] = [None] * epochs
        else:
            read[column] = _floats(path, columns[column], "<f8", epochs, 0.0, high).tolist()
    if later := [column for column in _LATER_COLUMNS if column in columns]:
        as_map("history", value, _COLUMNS + _LATER_COLUMNS)  # Both or none.
        read[later[0]] = _floats("history.penalty", columns["penalty"], "<f8", epochs, 0.0).tolist()
        read[later[1]] = _population_spikes(columns["population_spikes"], epochs)
    return tuple(
        EpochResult(
            epoch=k,
            policy=config.epoch_policy(k),
            **{column: values[k] for column, values in read.items()},
        )
        for k in range(epochs)
    )


def _population_spikes(value: object, epochs: int) -> list[tuple[float, ...]]:
    """Return the spikes of each population in each epoch."""
    path = "history.population_spikes"
    array = as_array(path, value, "<f8")
    if array.ndim != 2 or len(array) != epochs:
        requirement = f"[{epochs}, populations]"
        raise BundleError(must_be(f"{path}.shape", requirement, f"{list(array.shape)}"))
    _finite(path, array.reshape(-1), 0.0, math.inf)
    return [tuple(row) for row in array.tolist()]


def _is_missing(path: str, value: object, epochs: int) -> bool:
    array = as_array(path, value, "<f8")
    return array.shape == (epochs,) and bool(np.isnan(array).all())


def _floats(
    path: str,
    value: object,
    dtype: str,
    size: int,
    low: float = -math.inf,
    high: float = math.inf,
) -> NDArray[Any]:
    """Return a one-dimensional array of ``size`` finite numbers from ``low`` to ``high``."""
    array = as_array(path, value, dtype)
    if array.shape != (size,):
        raise BundleError(must_be(f"{path}.shape", f"[{size}]", f"{list(array.shape)}"))
    _finite(path, array, low, high)
    return array


def _finite(path: str, array: NDArray[Any], low: float, high: float) -> None:
    """Raise BundleError unless all numbers of a one-dimensional array are in their range."""
    is_valid = np.isfinite(array) & (array >= low) & (array <= high)
    if not is_valid.all():
        at = int(np.argmin(is_valid))
        bounds = "finite" if low == -math.inf else f"a finite number of at least {low:g}"
        if high != math.inf:
            bounds = f"a number from {low:g} to {high:g}"
        raise BundleError(must_be(f"{path}[{at}]", bounds, str(array[at])))
