"""Data sets that Tonic reads: N-MNIST, Spiking Heidelberg Digits, DVS128 Gesture.

Tonic (https://tonic.readthedocs.io, GPL-3.0) is not part of neuroasync; the extra ``data`` installs
it. It looks for a set in a folder with the set's name inside ``data_dir``, and downloads it if it
is missing. The events of a part are read at its first use, and need 16 bytes each in memory: 4 GB
for all training samples of N-MNIST, 1 GB for those of SHD.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.datasets.dataset import Dataset, DatasetInfo, LazySamples
from neuroasync.datasets.files import DATA_VARIABLE
from neuroasync.datasets.folds import Ints, hold_out
from neuroasync.errors import DatasetError

__all__ = ["TONIC_SETS", "EventReader", "dataset_from_readers", "load_tonic"]


class EventReader(Protocol):
    """Interface of Tonic's data sets: samples by number, each with its events and its class.

    ``events`` is a structured array with the fields ``t`` (µs), ``x``, ``p`` and, for cameras,
    ``y``, in any order and of any integer type, or bool for ``p``.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> tuple[NDArray[Any], Any]: ...


@dataclass(frozen=True, slots=True)
class _Set:
    """A data set that Tonic reads.

    Attributes:
        reader: Name of the class in ``tonic.datasets``.
        grouped_by: Attribute of the reader with the group of each sample; "" without groups.
        rebase_time: Whether times are counted from a sample's first event.
        info: Description of the set.
    """

    reader: str
    grouped_by: str
    rebase_time: bool
    info: DatasetInfo


_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ZIFFERN: Final = (
    "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun",
)  # fmt: skip

TONIC_SETS: Final = {
    "nmnist": _Set("NMNIST", "", True, DatasetInfo(
        name="nmnist",
        title="N-MNIST",
        classes=tuple("0123456789"),
        input_shape=(2, 34, 34),
        timestep_us=10_000,
        licence="CC BY-SA 4.0",
        credit="G. Orchard, A. Jayawant, G. K. Cohen and N. Thakor, Front. Neurosci. 9:437 (2015)",
    )),
    "shd": _Set("SHD", "speaker", False, DatasetInfo(
        name="shd",
        title="Spiking Heidelberg Digits",
        classes=(*_DIGITS, *_ZIFFERN),
        input_shape=(700,),
        timestep_us=10_000,
        licence="CC BY 4.0",
        credit="B. Cramer, Y. Stradmann, J. Schemmel and F. Zenke, IEEE TNNLS 33:2744 (2022)",
    )),
    "dvs-gesture": _Set("DVSGesture", "users", True, DatasetInfo(
        name="dvs-gesture",
        title="DVS128 Gesture",
        classes=(
            "hand clapping", "right hand wave", "left hand wave", "right arm clockwise",
            "right arm counter clockwise", "left arm clockwise", "left arm counter clockwise",
            "arm roll", "air drums", "air guitar", "other gestures",
        ),
        input_shape=(2, 128, 128),
        timestep_us=20_000,
        licence="CC BY 4.0",
        credit="A. Amir et al., A Low Power, Fully Event-Based Gesture Recognition System (2017)",
    )),
}  # fmt: skip


def load_tonic(name: str, folder: Path | None) -> Dataset:
    """Load one of ``TONIC_SETS`` by Tonic's reader.

    Raises:
        ImportError: Tonic is not installed.
        DatasetError: No folder is given, or Tonic cannot read or download the set.
    """
    chosen = TONIC_SETS[name]
    if folder is None:
        raise DatasetError(
            f"{name} does not ship with neuroasync; name the folder where Tonic finds the set or "
            f"can download it to, by `data_dir`, --data or the environment variable {DATA_VARIABLE}"
        )
    try:
        reader = getattr(importlib.import_module("tonic.datasets"), chosen.reader)
    except ImportError as error:
        raise ImportError(f"{name} needs Tonic: pip install 'neuroasync[data]'") from error
    try:
        train, test = reader(str(folder), train=True), reader(str(folder), train=False)
    except Exception as error:  # Tonic passes on errors of downloads, archives and h5py.
        raise DatasetError(
            f"{str(folder)!r}: Tonic can neither read nor download {chosen.reader} there: "
            f"{str(error) or type(error).__name__:.200}"
        ) from error
    return dataset_from_readers(chosen.info, train, test, chosen.grouped_by, chosen.rebase_time)


def dataset_from_readers(
    info: DatasetInfo, train: EventReader, test: EventReader, grouped_by: str, rebase_time: bool
) -> Dataset:
    """Return the data set of two readers. Classes are read now, and events when they are used.

    Args:
        info: Description of the set. Reading an event outside of its shape is an error.
        train: Reader of the training samples. Some of them become validation samples.
        test: Reader of the test samples.
        grouped_by: Attribute of the readers with one group per sample; "" without groups.
        rebase_time: Whether times are counted from a sample's first event.

    Raises:
        DatasetError: A class is out of range.
    """
    readers, first_test = (train, test), len(train)
    labels = np.concatenate([_labels(info, reader) for reader in readers])
    group, groups = _groups(readers, grouped_by)

    def encode(chosen: Ints, _encoding_index: int) -> SpikeTrains:
        trains = []
        for k in chosen.tolist():
            reader, at = (train, k) if k < first_test else (test, k - first_test)
            trains.append(_spike_train(info, reader, at, rebase_time))
        return SpikeTrains.from_trains(trains, info.input_shape, labels[chosen])

    samples = LazySamples(labels, encode, group=group, groups=groups)
    numbers = np.arange(len(labels))
    split = hold_out(numbers[:first_test], numbers[first_test:], samples.strata)
    return Dataset(info, samples, split)


def _labels(info: DatasetInfo, reader: EventReader) -> Ints:
    """Return the classes of all samples, from Tonic's list if it has one."""
    listed: Sequence[Any] = getattr(reader, "targets", ())
    targets = listed if len(listed) else [reader[k][1] for k in range(len(reader))]
    labels = np.asarray(targets)
    is_listed = labels.shape == (len(reader),) and labels.dtype.kind in "iu"
    if not is_listed or not np.all((labels >= 0) & (labels < len(info.classes))):
        raise DatasetError(
            f"{info.name}: classes must be from 0 to {len(info.classes) - 1} "
            f"for {len(reader)} samples, "
            f"got {np.unique(labels)!s:.80} for {labels.size}"
        )
    return labels.astype(np.int64)


def _groups(
    readers: tuple[EventReader, EventReader], by: str
) -> tuple[Ints | None, tuple[str, ...]]:
    """Return the group index of each sample, and the names of the groups."""
    if not by:
        return None, ()
    values = np.concatenate([np.asarray(getattr(reader, by), np.int64) for reader in readers])
    names, group = np.unique(values, return_inverse=True)
    return group.astype(np.int64), tuple(map(str, names.tolist()))


def _spike_train(info: DatasetInfo, reader: EventReader, at: int, rebase_time: bool) -> SpikeTrain:
    try:
        events, _ = reader[at]
        t_us = events["t"].astype(np.int64)
        axes = ("p", "y", "x")[-len(info.input_shape) :]
        coordinates = [events[axis].astype(np.int64) for axis in axes]
        if rebase_time and t_us.size:
            t_us = t_us - t_us.min()
        index = np.ravel_multi_index(tuple(coordinates), info.input_shape)
        order = np.argsort(t_us, kind="stable")  # In some recordings, time jumps back a few µs.
        return SpikeTrain(t_us[order], index[order])
    except Exception as error:  # The type of error for a damaged file depends on the reader.
        raise DatasetError(
            f"{info.name}: sample {at} of {type(reader).__name__}: "
            f"{str(error) or type(error).__name__:.200}"
        ) from error
