"""Load any data set by its name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from neuroasync.core.model.checks import check_int, must_be
from neuroasync.datasets.braille import load_braille
from neuroasync.datasets.dataset import Dataset
from neuroasync.datasets.files import data_folder
from neuroasync.datasets.images import Coding, load_digits, load_mnist_like
from neuroasync.datasets.nmnist import load_nmnist_small
from neuroasync.datasets.spoken import load_spoken_digits
from neuroasync.datasets.tonic_readers import TONIC_SETS, load_tonic

__all__ = ["DATASETS", "load_dataset"]

_CODINGS: Final[dict[str, Coding]] = {
    "digits": "rate",
    "mnist": "latency",
    "fashion-mnist": "latency",
}
"""Image data sets, with their default codings."""

_RECORDED: Final[dict[str, Callable[[Path | None], Dataset]]] = {
    "nmnist-small": load_nmnist_small,
    "spoken-digits": load_spoken_digits,
    "braille": load_braille,
}

DATASETS: Final = (*_CODINGS, *_RECORDED, *TONIC_SETS)
"""Names of the data sets."""


def load_dataset(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    coding: Coding | None = None,
    encodings_per_image: int = 1,
) -> Dataset:
    """Load a data set, with a fixed split into training, validation and test part.

    =============  =============  ==========================================
    name           input          samples of the training + of the test file
    =============  =============  ==========================================
    digits         8 x 8          1,437 + 360, all ship
    mnist          28 x 28        1,000 + 300 ship; 60,000 + 10,000
    fashion-mnist  28 x 28        1,000 + 300 ship; 60,000 + 10,000
    nmnist-small   2 x 34 x 34    200 + 100 ship; 800 + 100
    spoken-digits  2 x 32         900 + 300 ship; 2,100 + 300
    braille        2 x 12         918 + 216, all ship
    nmnist         2 x 34 x 34    60,000 + 10,000, by Tonic
    shd            700            8,156 + 2,264, by Tonic
    dvs-gesture    2 x 128 x 128  1,077 + 264, by Tonic
    =============  =============  ==========================================

    A fifth of the training file is the validation part (240 samples of the digits). The same call
    gives the same events on every machine.

    Args:
        name: One of ``DATASETS``.
        data_dir: Folder with files of the set (``neuroasync.datasets.files`` describes them), or
            where Tonic stores it. Defaults to the folder that the environment variable
            ``NEUROASYNC_DATA`` names. Without a folder, the shipped samples are loaded. The
            digits need no folder.
        coding: How pixels become events, for images only: ``"rate"`` (default of digits),
            ``"latency"`` (default of mnist and fashion-mnist) or ``"current"``.
        encodings_per_image: Number of encodings of each training image. The rate code is random,
            so several encodings keep a network from learning the details of a single one.

    Returns:
        The data set. Its parts are encoded at their first use.

    Raises:
        ValueError: The name or coding is unknown, or an argument does not apply to the set.
        DatasetError: The folder or a file does not exist, or a file is damaged, or has fewer than 5
            training samples.
        ImportError: The set needs Tonic, which is not installed.
    """
    if name not in DATASETS:
        raise ValueError(f"`name` must be one of {', '.join(DATASETS)}, got {name!r:.80}")
    if name not in _CODINGS and coding is not None:
        raise ValueError(
            f"`coding` must be None for {name}, which is recorded as events or has a fixed code, "
            f"got {coding!r:.80}"
        )
    chosen = coding or _CODINGS.get(name, "rate")
    if chosen not in ("rate", "latency", "current"):
        raise ValueError(f"`coding` must be 'rate', 'latency' or 'current', got {coding!r:.80}")
    encodings_per_image = check_int(
        "encodings_per_image", encodings_per_image, 1, 2**53, ValueError
    )
    if encodings_per_image > 1 and name not in _CODINGS:
        requirement = f"1 for {name}, whose code is not random"
        raise ValueError(must_be("encodings_per_image", requirement, f"{encodings_per_image}"))
    if name == "digits":
        return load_digits(chosen, encodings_per_image)
    folder = data_folder(data_dir)
    if name in _CODINGS:
        return load_mnist_like(name, folder, chosen, encodings_per_image)
    return _RECORDED[name](folder) if name in _RECORDED else load_tonic(name, folder)
