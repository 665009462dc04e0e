"""Any data set by name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from neuroasync.datasets.braille import load_braille
from neuroasync.datasets.dataset import Dataset
from neuroasync.datasets.files import data_folder
from neuroasync.datasets.images import Coding, load_digits, load_mnist
from neuroasync.datasets.nmnist import load_nmnist_small
from neuroasync.datasets.spoken import load_spoken_digits
from neuroasync.datasets.tonic_readers import TONIC_SETS, load_tonic

__all__ = ["DATASETS", "load_dataset"]

_CODINGS: Final[dict[str, Coding]] = {"digits": "rate", "mnist": "latency"}
"""Sets of images, with the code that is taken if none is named."""

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
    """A data set, split into train, validation and test parts; the split is fixed.

    =============  =============  ==========================================
    name           input          samples of the training + of the test file
    =============  =============  ==========================================
    digits         8 x 8          1,437 + 360, all ship
    mnist          28 x 28        1,000 + 300 ship; 50,000 + 10,000
    nmnist-small   2 x 34 x 34    200 + 100 ship; 800 + 100
    spoken-digits  2 x 32         900 + 300 ship; 2,100 + 300
    braille        2 x 12         918 + 216, all ship
    nmnist         2 x 34 x 34    60,000 + 10,000, by Tonic
    shd            700            8,156 + 2,264, by Tonic
    dvs-gesture    2 x 128 x 128  1,077 + 264, by Tonic
    =============  =============  ==========================================

    A fifth of the training file validates (of the digits: 240). The same call gives the same
    events on every machine.

    Args:
        name: one of ``DATASETS``.
        data_dir: folder with files of the set (``neuroasync.datasets.files`` describes them), or
            for Tonic. If None, the one that ``NEUROASYNC_DATA`` names; without, what ships. The
            digits need none.
        coding: how pixels become spikes, for images only: ``"rate"`` (the default of digits) or
            ``"latency"`` (that of mnist).
        encodings_per_image: encodings of each training image. The rate code draws anew: a
            network then learns the image and not its one encoding.

    Raises:
        ValueError: the name or coding is unknown, or an argument does not go with the set.
        DatasetError: there is no such folder, or a file is missing or mangled.
        ImportError: the set is read by Tonic, which is not installed.
    """
    if name not in DATASETS:
        raise ValueError(f"name: {name!r:.80}, expected one of {', '.join(DATASETS)}")
    if name not in _CODINGS and coding is not None:
        raise ValueError(f"coding: {coding!r:.80}, but {name} has spikes of its own; expected None")
    chosen = coding or _CODINGS.get(name, "rate")
    if chosen not in ("rate", "latency"):
        raise ValueError(f"coding: {coding!r:.80}, expected 'rate' or 'latency'")
    if encodings_per_image < 1 or (encodings_per_image > 1 and name not in _CODINGS):
        raise ValueError(
            f"encodings_per_image: {encodings_per_image}, expected 1, or more "
            "for images (digits, mnist)"
        )
    if name == "digits":
        return load_digits(chosen, encodings_per_image)
    folder = data_folder(data_dir)
    if name == "mnist":
        return load_mnist(folder, chosen, encodings_per_image)
    return _RECORDED[name](folder) if name in _RECORDED else load_tonic(name, folder)
