"""Files that commands read; whatever is wrong with one, the error names it."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from neuroasync.bundle import Bundle, read_bundle
from neuroasync.cli.guard import CliError
from neuroasync.errors import NeuroasyncError
from neuroasync.recording import Recording
from neuroasync.recording_file import read_recording
from neuroasync.spike_file import read_spikes
from neuroasync.spikes import SpikeTrains

__all__ = ["load_bundle", "load_recording", "load_spikes"]

T = TypeVar("T")


def load_bundle(path: Path) -> Bundle:
    """The bundle at ``path``."""
    return _named(read_bundle, path)


def load_spikes(path: Path) -> SpikeTrains:
    """The spike file at ``path``."""
    return _named(read_spikes, path)


def load_recording(path: Path) -> Recording:
    """The recording at ``path``."""
    return _named(read_recording, path)


def _named(read: Callable[[Path], T], path: Path) -> T:
    try:
        return read(path)
    except NeuroasyncError as error:
        name = repr(str(path))
        said = str(error)
        raise CliError(said if said.startswith(name) else f"{name}: {said}") from error
