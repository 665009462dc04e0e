"""The trained networks and test samples that ship with the package, by name.

============================ ======================================================================
network                      trained for
============================ ======================================================================
``layered-paper``            digits, layer by layer, with a recipe like that of the paper
``layered``                  digits, layer by layer, with membrane decay and a spike penalty
``unlayered``                digits, in the random order in which it runs
``queued``                   digits, with input spikes that queue with all other spikes
``nmnist-unlayered``         digits recorded by an event camera, in random order
============================ ======================================================================

============================ ======================================================================
samples                      content
============================ ======================================================================
``digits``                   360 handwritten digits of 8 x 8 pixels, rate coded
``digits-latency``           the same digits, latency coded
``nmnist``                   100 digits recorded by an event camera, 2 x 34 x 34 cells (N-MNIST)
============================ ======================================================================

The samples are the test part of their data set, see :mod:`neuroasync.datasets`. No network has seen
them in training. ``Network.load("unlayered")`` and the commands of ``neuroasync`` take these names
in the place of a path; a file of the same name is ``./unlayered``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, NamedTuple

from neuroasync import limits
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bounded_open import PathOrBytes
from neuroasync.core.formats.bundle import Bundle, read_bundle
from neuroasync.core.formats.npz import read_arrays
from neuroasync.core.formats.packed_events import PACKED_FIELDS, unpack
from neuroasync.core.formats.spike_file import read_spikes
from neuroasync.core.model.checks import did_you_mean, shown
from neuroasync.errors import BundleError, NeuroasyncError, SpikeFileError

__all__ = [
    "NETWORKS",
    "NETWORK_FILES",
    "SAMPLE_FILES",
    "load_bundle",
    "load_spikes",
    "shipped_bundle",
    "shipped_file",
    "shipped_spikes",
]

NETWORKS: Final = ("layered-paper", "layered", "unlayered", "queued")
"""Names of the networks for digits, in the order in which they are compared."""

NETWORK_FILES: Final = {
    **{name: f"digits-{name}.nab" for name in NETWORKS},
    "nmnist-unlayered": "nmnist-unlayered.nab",
}
"""File of each shipped network, by name."""

SAMPLE_FILES: Final = {
    "digits": "digits-test-rate.npz",
    "digits-latency": "digits-test-latency.npz",
    "nmnist": "nmnist-small-test.npz",
}
"""File of each set of shipped samples, by name."""

_PACKED: Final = ("nmnist",)
"""Samples whose file has the compact form of :mod:`neuroasync.core.formats.packed_events`."""

_FOLDER: Traversable = files("neuroasync").joinpath("data")


def load_bundle(source: PathOrBytes, max_bytes: int = limits.MAX_BUNDLE_BYTES) -> Bundle:
    """Return a shipped network, or read a bundle.

    Args:
        source: name of a shipped network, path of a file, or its bytes. A ``str`` that is such a
            name never means a file.
        max_bytes: maximum size of a file, bytes.

    Raises:
        BundleError: the bundle cannot be read, or nothing has this name.
    """
    if isinstance(source, str):
        if source in NETWORK_FILES:
            return shipped_bundle(source)
        _check_is_file(source, _NETWORK, _SAMPLES)
    return read_bundle(source, max_bytes)


def load_spikes(source: PathOrBytes, max_bytes: int = limits.MAX_SPIKE_FILE_BYTES) -> SpikeTrains:
    """Return shipped samples, or read a spike file.

    Args:
        source: name of shipped samples, path of a file, or its bytes. A ``str`` that is such a
            name never means a file.
        max_bytes: maximum size of a file, and of its unpacked arrays together, bytes.

    Raises:
        SpikeFileError: the file cannot be read, or nothing has this name.
    """
    if isinstance(source, str):
        if source in SAMPLE_FILES:
            return shipped_spikes(source)
        _check_is_file(source, _SAMPLES, _NETWORK)
    return read_spikes(source, max_bytes)


def shipped_bundle(name: str) -> Bundle:
    """Return the shipped network with the given name, a key of :data:`NETWORK_FILES`.

    Raises:
        BundleError: the network does not ship, or its file is damaged.
    """
    if name not in NETWORK_FILES:
        raise _unknown(name, _NETWORK, "is not")
    with shipped_file(NETWORK_FILES[name]) as path:
        return read_bundle(path)


def shipped_spikes(name: str = "digits") -> SpikeTrains:
    """Return the shipped samples with the given name, a key of :data:`SAMPLE_FILES`.

    Raises:
        SpikeFileError: the samples do not ship, or their file is damaged.
    """
    if name not in SAMPLE_FILES:
        raise _unknown(name, _SAMPLES, "is not")
    with shipped_file(SAMPLE_FILES[name]) as path:
        if name not in _PACKED:
            return read_spikes(path)
        arrays = read_arrays(path, PACKED_FIELDS, limits.MAX_SPIKE_FILE_BYTES, SpikeFileError)
        return unpack(arrays)


@contextmanager
def shipped_file(name: str) -> Iterator[Path]:
    """Provide a shipped file as a path on disk, which may only exist during the block."""
    with as_file(_FOLDER.joinpath(name)) as path:
        yield path


class _Kind(NamedTuple):
    """A kind of shipped thing: its files, how errors call one of them and all, and their class."""

    files: dict[str, str]
    one: str
    all: str
    error: type[NeuroasyncError]


_NETWORK: Final = _Kind(NETWORK_FILES, "a shipped network", "shipped networks", BundleError)
_SAMPLES: Final = _Kind(SAMPLE_FILES, "shipped samples", "shipped samples", SpikeFileError)


def _check_is_file(source: str, kind: _Kind, other: _Kind) -> None:
    """Raise an error if ``source`` is a name of the other kind, or a misspelt one of this kind."""
    if source in other.files:
        raise kind.error(f"{source!r} is the name of {other.one}, not of {kind.one}")
    is_name = bool(source) and "\0" not in source and not os.path.dirname(source)
    if not is_name or os.path.lexists(source):
        return
    stem, suffix = os.path.splitext(source)
    # A path of a file that is missing is the reader's business, unless it resembles a name.
    if not suffix or did_you_mean(stem, kind.files):
        raise _unknown(source, kind, "is neither a file nor")


def _unknown(name: object, kind: _Kind, is_not: str) -> NeuroasyncError:
    """Return the error about a name that no shipped thing has."""
    stem = os.path.splitext(name)[0] if isinstance(name, str) else name
    hint = did_you_mean(stem, kind.files) or ";"
    known = f"{kind.all}: {', '.join(kind.files)}"
    return kind.error(f"{shown(name)} {is_not} the name of {kind.one}{hint} {known}")
