"""Checkpoints: where a training stands after an epoch, written atomically, read without trust."""

import hashlib
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.model import Model
from neuroasync.errors import NeuroasyncError

__all__ = ["CheckpointError", "fingerprint", "load_checkpoint", "save_checkpoint"]

_FORMAT: Final = "neuroasync-checkpoint-1"
_KEYS: Final = ("config", "fingerprint", "epochs_done", "parameters", "optimizer", "history")


class CheckpointError(NeuroasyncError, ValueError):
    """A checkpoint is damaged, cannot be written, or is of another training."""


def fingerprint(model: Model, trains: SpikeTrains) -> str:
    """SHA-256 (hex) of what a training begins with: the network and the data."""
    digest = hashlib.sha256(Bundle(model).digest)
    labels = np.zeros(0, np.int64) if trains.labels is None else trains.labels
    for values in (trains.t_us, trains.index, trains.offsets, labels):
        digest.update(np.ascontiguousarray(values, "<i8").data)
    return digest.hexdigest()


def save_checkpoint(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write a checkpoint, atomically.

    Args:
        path: where to; a file there is replaced, and stays as it was if writing fails.
        state: tensors, numbers, text, and lists and dicts of them.

    Raises:
        CheckpointError: the file system refuses.
    """
    with atomic_file(path, CheckpointError) as file:
        torch.save({"format": _FORMAT, **state}, file)


def load_checkpoint(
    path: str | os.PathLike[str], config: dict[str, Any], start: str
) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed.

    Args:
        path: of the file.
        config: of the training that is to go on, as a dict.
        start: its :func:`fingerprint`.

    Raises:
        CheckpointError: the file is missing or damaged, or of another training.
    """
    name = os.fspath(path)
    try:
        state = torch.load(Path(name), map_location="cpu", weights_only=True)
    except OSError as problem:
        raise CheckpointError(f"{name!r}: {problem.strerror or problem}") from problem
    except Exception as problem:  # torch raises many kinds for a damaged file
        raise CheckpointError(f"{name!r}: no checkpoint, or a damaged one") from problem
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise CheckpointError(f"{name!r}: no checkpoint; expected format {_FORMAT!r}")
    if missing := [key for key in _KEYS if key not in state]:
        raise CheckpointError(f"{name!r}: {missing[0]} is missing")
    for key, expected in config.items():
        if (found := state["config"].get(key)) != expected:
            raise CheckpointError(f"{name!r}: trained with {key} = {found!r}, not {expected!r}")
    if state["fingerprint"] != start:
        raise CheckpointError(f"{name!r}: trained from another network or on other data")
    return state
