"""The trained networks and test samples that ship with the package.

Handwritten digits, 8 x 8: see :mod:`neuroasync.datasets` for the data.
The samples are its test part, encoded; no network has seen them in training.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Bundle, read_bundle
from neuroasync.core.formats.spike_file import read_spikes

__all__ = ["NETWORKS", "shipped_bundle", "shipped_file", "shipped_spikes"]

NETWORKS: Final = ("layered-paper", "layered", "unlayered", "queued")
"""Names of the networks, in the order in which they are compared."""

_FOLDER: Traversable = files("neuroasync").joinpath("data")


def shipped_bundle(name: str) -> Bundle:
    """The network of that name, one of :data:`NETWORKS`.

    Raises:
        BundleError: it does not ship, or is damaged.
    """
    with shipped_file(f"digits-{name}.nab") as path:
        return read_bundle(path)


def shipped_spikes(coding: str = "rate") -> SpikeTrains:
    """The 360 test samples under a coding, ``"rate"`` or ``"latency"``.

    Raises:
        SpikeFileError: they do not ship, or are damaged.
    """
    with shipped_file(f"digits-test-{coding}.npz") as path:
        return read_spikes(path)


@contextmanager
def shipped_file(name: str) -> Iterator[Path]:
    """A shipped file as one on disk; it may be gone after the block."""
    with as_file(_FOLDER.joinpath(name)) as path:
        yield path
