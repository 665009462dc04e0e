"""The trained networks and test samples that ship with the package.

They are for handwritten digits of 8 x 8 pixels; see :mod:`neuroasync.datasets` for the data. The
samples are the encoded test part of this set. No network has seen them in training.
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
    """Return the network with the given name, one of :data:`NETWORKS`.

    Raises:
        BundleError: The network does not ship, or its file is damaged.
    """
    with shipped_file(f"digits-{name}.nab") as path:
        return read_bundle(path)


def shipped_spikes(coding: str = "rate") -> SpikeTrains:
    """Return the 360 test samples in a coding, ``"rate"`` or ``"latency"``.

    Raises:
        SpikeFileError: The coding does not ship, or the file is damaged.
    """
    with shipped_file(f"digits-test-{coding}.npz") as path:
        return read_spikes(path)


@contextmanager
def shipped_file(name: str) -> Iterator[Path]:
    """Provide a shipped file as a path on disk, which may only exist during the block."""
    with as_file(_FOLDER.joinpath(name)) as path:
        yield path
