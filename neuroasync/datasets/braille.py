"""Braille letters that a robot's fingertip felt, encoded by a delta code."""

from pathlib import Path
from typing import Final

import numpy as np

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.npz import Field
from neuroasync.datasets.dataset import Dataset, DatasetInfo, dataset_from_files
from neuroasync.datasets.files import (
    checked_labels,
    checked_offsets,
    raise_dataset_error,
    read_file,
    shipped_arrays,
)
from neuroasync.encoders import encode_delta

__all__ = ["load_braille"]

_BRAILLE: Final = DatasetInfo(
    name="braille",
    title="Tactile Braille Letters",
    classes=("space", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    input_shape=(2, 12),
    timestep_us=25_000,
    licence="CC BY 4.0",
    credit="S. F. Müller-Cleve et al. (2022), doi 10.5281/zenodo.6556273",
)
_TAXEL_US: Final = 25_000
_TAXEL_STEP: Final = 2
"""Threshold of the delta code, in units of the sensor, whose noise is about 1 unit."""


def load_braille(folder: Path | None) -> Dataset:
    """Load 27 Braille characters, felt by 12 taxels of a robot's fingertip.

    Each sample has 76 or 77 values per taxel, at 40 Hz. The whole set ships: 918 samples for
    training and validation, 216 for testing. A taxel spikes whenever its value, from 0 to 255,
    has changed by 2.
    """
    return dataset_from_files(_BRAILLE, (_part(folder, "train"), _part(folder, "test")))


def _part(folder: Path | None, part: str) -> SpikeTrains:
    """Return the encoded samples of one file, ``"train"`` or ``"test"``."""
    name = f"braille_{part}.npz"
    fields = {"taxels": Field("|u1", 2), "offsets": Field("<i8"), "labels": Field("|u1")}
    source = "https://doi.org/10.5281/zenodo.6556273"
    skipped = ("meta", "repetition", "class_names")
    arrays = (
        shipped_arrays(name, fields)
        if folder is None
        else read_file(folder, name, fields, skipped, source)
    )
    path = name if folder is None else folder / name
    taxels = arrays["taxels"]
    offsets = checked_offsets(arrays["offsets"], len(taxels), path)
    labels = checked_labels(arrays["labels"], 27, len(offsets) - 1, path)
    if taxels.shape[1] != 12 or np.any(np.diff(offsets) < 1):
        raise_dataset_error(
            path,
            "taxels must have 12 values per row and at least one row per sample, "
            f"got {taxels.shape[1]} values per row and at least {np.diff(offsets).min(initial=0)} "
            "rows per sample",
        )
    signals = np.split(taxels, offsets[1:-1])
    return encode_delta(signals, _TAXEL_STEP, _TAXEL_US, labels)
