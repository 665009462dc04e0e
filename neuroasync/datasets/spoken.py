"""Spoken digits: sound recordings, encoded by a cochlea-like filter bank."""

from pathlib import Path
from typing import Final

import numpy as np

from neuroasync.cochlea import encode_sound
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.npz import Field
from neuroasync.core.formats.packed_events import PACKED_FIELDS, unpack
from neuroasync.datasets.dataset import Dataset, DatasetInfo, LazySamples, dataset_from_files
from neuroasync.datasets.files import (
    Arrays,
    checked_labels,
    checked_offsets,
    raise_dataset_error,
    read_file,
    shipped_arrays,
)
from neuroasync.datasets.folds import Ints, hold_out

__all__ = ["load_spoken_digits"]

_SPOKEN: Final = DatasetInfo(
    name="spoken-digits",
    title="Free Spoken Digit Dataset",
    classes=tuple("0123456789"),
    input_shape=(2, 32),
    timestep_us=10_000,
    licence="CC BY-SA 4.0",
    credit="Z. Jackson et al., Free Spoken Digit Dataset, doi 10.5281/zenodo.1342401",
)
_SPEAKERS: Final = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
_SOUND_FIELDS: Final = {
    "wav": Field("<i2"), "speaker": Field("|u1"), "take": Field("|u1"),
    "sample_rate": Field("<i4", 0),
    "offsets": Field("<i8"), "labels": Field("|u1"),
}  # fmt: skip
_PACKED_FIELDS: Final = {**PACKED_FIELDS, "speaker": Field("|u1")}
_PARTS: Final = ("train", "test")


def load_spoken_digits(folder: Path | None) -> Dataset:
    """Load ten digits, spoken by six speakers and encoded by :mod:`neuroasync.cochlea`.

    The spikes of 900 training recordings (takes 5 to 19) and of 300 test recordings (takes 0 to
    4) ship. With a folder, all recordings in its files are loaded (2,100 and 300); encoding them
    takes a few seconds. The groups are the speakers. Each part has recordings of all of them; see
    :meth:`Dataset.leave_out`.
    """
    if folder is None:
        shipped = [shipped_arrays(f"spoken-digits-{part}.npz", _PACKED_FIELDS) for part in _PARTS]
        speaker = np.concatenate([arrays["speaker"] for arrays in shipped]).astype(np.int64)
        parts = (unpack(shipped[0]), unpack(shipped[1]))
        return dataset_from_files(_SPOKEN, parts, speaker, _SPEAKERS)
    files = [_sound_file(folder, part) for part in _PARTS]
    sounds = [
        arrays["wav"][a:b]
        for arrays in files
        for a, b in zip(arrays["offsets"], arrays["offsets"][1:], strict=False)
    ]
    labels, speaker = (
        np.concatenate([arrays[name] for arrays in files]).astype(np.int64)
        for name in ("labels", "speaker")
    )
    rate, numbers = int(files[0]["sample_rate"]), np.arange(len(labels))

    def encode(chosen: Ints, _encoding_index: int) -> SpikeTrains:
        return encode_sound([sounds[k] for k in chosen], rate, labels[chosen])

    samples = LazySamples(labels, encode, group=speaker, groups=_SPEAKERS)
    first_test = len(files[0]["labels"])
    split = hold_out(numbers[:first_test], numbers[first_test:], samples.strata)
    return Dataset(_SPOKEN, samples, split)


def _sound_file(folder: Path, part: str) -> Arrays:
    """Return the arrays of one file of recordings, ``"train"`` or ``"test"``."""
    path = folder / f"fsdd_{part}.npz"
    source = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    arrays = read_file(folder, path.name, _SOUND_FIELDS, ("meta", "speaker_names"), source)
    offsets = checked_offsets(arrays["offsets"], arrays["wav"].size, path)
    checked_labels(arrays["labels"], 10, len(offsets) - 1, path)
    if arrays["sample_rate"] != 8000:
        raise_dataset_error(path, f"sample_rate must be 8000 Hz, got {arrays['sample_rate']}")
    speaker = arrays["speaker"]
    if speaker.size != len(offsets) - 1 or speaker.max() >= len(_SPEAKERS):
        raise_dataset_error(
            path, f"speaker must have {len(offsets) - 1} values from 0 to {len(_SPEAKERS) - 1}"
        )
    return arrays
