"""N-MNIST small: handwritten digits on a screen, recorded by a moving event camera."""

from pathlib import Path
from typing import Final

import numpy as np

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.npz import Field
from neuroasync.core.formats.packed_events import PACKED_FIELDS, unpack
from neuroasync.datasets.dataset import Dataset, DatasetInfo, dataset_from_files
from neuroasync.datasets.files import (
    checked_labels,
    checked_offsets,
    raise_dataset_error,
    read_file,
    shipped_arrays,
)
from neuroasync.errors import EventsError

__all__ = ["load_nmnist_small"]

_NMNIST: Final = DatasetInfo(
    name="nmnist-small",
    title="N-MNIST, the small subset of the SLAYER tests",
    classes=tuple("0123456789"),
    input_shape=(2, 34, 34),
    timestep_us=10_000,
    licence="CC BY-SA 4.0",
    credit="G. Orchard, A. Jayawant, G. K. Cohen and N. Thakor, Front. Neurosci. 9:437 (2015)",
)
_NMNIST_FIELDS: Final = {
    "t": Field("<u4"), "x": Field("|u1"), "y": Field("|u1"), "p": Field("|u1"),
    "offsets": Field("<i8"), "labels": Field("|u1"),
}  # fmt: skip


def load_nmnist_small(folder: Path | None) -> Dataset:
    """Load digits on a screen, recorded by an event camera during three saccades.

    The input has 2 x 34 x 34 cells, and a sample lasts about 310 ms. Time 0 is a sample's first
    event. The first 200 samples of the training file and all 100 of the test file ship. With a
    folder, all samples in its files are loaded (800 and 100). Only 2 of the 100 test samples
    belong to class 8.
    """
    return dataset_from_files(_NMNIST, (_part(folder, "train"), _part(folder, "test")))


def _part(folder: Path | None, part: str) -> SpikeTrains:
    """Return the samples of one file, ``"train"`` or ``"test"``."""
    if folder is None:
        return unpack(shipped_arrays(f"nmnist-small-{part}.npz", PACKED_FIELDS))
    path = folder / f"nmnist_small_{part}.npz"
    source = "https://www.garrickorchard.com/datasets/n-mnist (SLAYER's tests have this subset)"
    skipped = ("meta", "sample_id", "sensor_size")
    arrays = read_file(folder, path.name, _NMNIST_FIELDS, skipped, source)
    events = arrays["t"].size
    for name, extent in (("x", 34), ("y", 34), ("p", 2)):
        if arrays[name].size != events or arrays[name].max(initial=0) >= extent:
            raise_dataset_error(path, f"{name} must have {events} values from 0 to {extent - 1}")
    offsets = checked_offsets(arrays["offsets"], events, path)
    labels = checked_labels(arrays["labels"], 10, len(offsets) - 1, path)
    t, sizes = arrays["t"].astype(np.int64), np.diff(offsets)
    starts = np.append(t, 0)[offsets[:-1]]  # An empty last sample starts behind the last event.
    x, y, p = (arrays[name].astype(np.int64) for name in "xyp")
    try:
        index = (p * 34 + y) * 34 + x
        return SpikeTrains(t - np.repeat(starts, sizes), index, offsets, labels, (2, 34, 34))
    except EventsError as error:
        raise_dataset_error(path, error)
