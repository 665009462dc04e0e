"""Checkpoints: the state of a training after an epoch.

They are written atomically. Reading one executes no code from the file.
"""

import hashlib
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.formats.file_kind import FileKind, wrong_kind
from neuroasync.core.model.model import Model
from neuroasync.errors import NeuroasyncError

__all__ = ["CheckpointError", "fingerprint", "load_checkpoint", "save_checkpoint"]

_FORMAT: Final = "neuroasync-checkpoint-1"
_KEYS: Final = ("config", "fingerprint", "epochs_done", "parameters", "optimizer", "history")


class CheckpointError(NeuroasyncError, ValueError):
    """A checkpoint is damaged, cannot be written, or belongs to another training."""


def fingerprint(model: Model, trains: SpikeTrains) -> str:
    """Return the SHA-256 digest (hex) of the network and the data that a training starts from."""
    digest = hashlib.sha256(Bundle(model).digest)
    labels = np.zeros(0, np.int64) if trains.labels is None else trains.labels
    for values in (trains.t_us, trains.index, trains.offsets, labels):
        digest.update(np.ascontiguousarray(values, "<i8").data)
    return digest.hexdigest()


def save_checkpoint(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write a checkpoint atomically.

    Args:
        path: File to write. An existing file is replaced; if writing fails, it stays unchanged.
        state: Tensors, numbers and strings, and lists and dicts of these.

    Raises:
        CheckpointError: The file cannot be written.
    """
    with atomic_file(path, CheckpointError) as file:
        torch.save({"format": _FORMAT, **state}, file)


def load_checkpoint(
    path: str | os.PathLike[str], config: dict[str, Any], start: str
) -> dict[str, Any]:
    """Read a checkpoint without executing anything in it.

    Args:
        path: File to read.
        config: Configuration of the training to resume, as a dict.
        start: :func:`fingerprint` of the training to resume.

    Raises:
        CheckpointError: The file is missing or damaged, or belongs to another training.
    """
    name = os.fspath(path)
    try:
        state = torch.load(Path(name), map_location="cpu", weights_only=True)
    except OSError as problem:
        raise CheckpointError(f"{name!r}: {problem.strerror or problem}") from problem
    except Exception as problem:  # torch raises many different errors for a damaged file
        message = wrong_kind(name, FileKind.CHECKPOINT)
        raise CheckpointError(
            message or f"{name!r} is not a checkpoint, or it is damaged"
        ) from problem
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise CheckpointError(f"{name!r} is not a checkpoint of format {_FORMAT!r}")
    if missing := [key for key in _KEYS if key not in state]:
        raise CheckpointError(f"{name!r} is not a complete checkpoint: {missing[0]} is missing")
    for key, expected in config.items():
        if (saved := state["config"].get(key)) != expected:
            raise CheckpointError(
                f"{name!r} belongs to another training: its {key} is {saved!r}, "
                f"this one has {expected!r}"
            )
    if state["fingerprint"] != start:
        raise CheckpointError(
            f"{name!r} belongs to another training: it started from another network or other data"
        )
    return state
