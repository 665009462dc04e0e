"""The bytes of samples that digests cover."""

import hashlib
from collections.abc import Iterator

import numpy as np

from neuroasync.core.events.spike_trains import SpikeTrains

__all__ = ["sample_bytes", "samples_digest"]


def sample_bytes(samples: SpikeTrains) -> Iterator[memoryview]:
    """Yield the bytes of samples and labels, which are the same on every machine.

    These are times, input indices, offsets and labels as little-endian int64, then labels over time
    with their offsets and interval, if there are any. The values of the events follow as float32,
    if they have any.
    """
    arrays = [samples.t_us, samples.index, samples.offsets]
    if samples.labels is not None:
        arrays.append(samples.labels)
    if (over := samples.labels_over_time) is not None:
        arrays += [over.labels, over.offsets, np.array([over.every_us])]
    for array in arrays:
        yield np.ascontiguousarray(array, "<i8").data
    if samples.value is not None:
        yield np.ascontiguousarray(samples.value, "<f4").data


def samples_digest(samples: SpikeTrains) -> bytes:
    """Return the SHA-256 of the bytes of samples."""
    digest = hashlib.sha256()
    for data in sample_bytes(samples):
        digest.update(data)
    return digest.digest()
