"""Image data sets, whose pixels are encoded as spikes: digits, MNIST and Fashion-MNIST."""

from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.npz import Field
from neuroasync.datasets.dataset import Dataset, DatasetInfo, LazySamples, join
from neuroasync.datasets.files import (
    Arrays,
    checked_labels,
    raise_dataset_error,
    read_file,
    shipped_arrays,
)
from neuroasync.datasets.folds import Ints, Split, hold_out
from neuroasync.encoders import encode_current, encode_latency, encode_rate, uniforms

__all__ = ["Coding", "encode_image", "load_digits", "load_mnist_like"]

Coding: TypeAlias = Literal["rate", "latency", "current"]
"""How pixels become input events, over 10 timesteps of 1 ms.

``"rate"``: in each timestep, a pixel spikes with a probability equal to its value from 0 to 1.
``"latency"``: a pixel spikes once, and brighter pixels spike earlier.
``"current"``: in each timestep, a pixel that is not black gives an event that has its brightness,
from 0 to 1, as its value.
"""

_TIMESTEPS: Final = 10
_TIMESTEP_US: Final = 1000
_CODING_SEED: Final = 5098
_SPLIT_SEED: Final = 2408
_DIGITS_TEST: Final = 360
_DIGITS_VALIDATION: Final = 240
_BATCH: Final = 1000
"""Number of images that are encoded at once, to bound the memory for intermediate arrays."""

_MNIST_TRAIN: Final = 60_000
"""Number of images in the original training files. Test images are numbered from here."""

_FIELDS: Final = {"images": Field("|u1", 3), "labels": Field("|u1")}

_DIGITS: Final = DatasetInfo(
    name="digits",
    title="Optical Recognition of Handwritten Digits (UCI), test part",
    classes=tuple("0123456789"),
    input_shape=(8, 8),
    timestep_us=_TIMESTEP_US,
    licence="CC BY 4.0",
    credit="E. Alpaydin and C. Kaynak (1998), doi 10.24432/C50P49",
)
_MNIST: Final = DatasetInfo(
    name="mnist",
    title="MNIST database of handwritten digits",
    classes=tuple("0123456789"),
    input_shape=(28, 28),
    timestep_us=_TIMESTEP_US,
    licence="CC BY-SA 3.0",
    credit="Y. LeCun, C. Cortes and C. J. C. Burges",
)
_FASHION_MNIST: Final = DatasetInfo(
    name="fashion-mnist",
    title="Fashion-MNIST database of images of clothing",
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    input_shape=(28, 28),
    timestep_us=_TIMESTEP_US,
    licence="MIT",
    credit="H. Xiao, K. Rasul and R. Vollgraf (2017), arXiv 1708.07747; copyright 2017 Zalando SE",
)  # fmt: skip
_MNIST_LIKE: Final = {info.name: info for info in (_MNIST, _FASHION_MNIST)}
_SOURCES: Final = {
    "mnist": "http://yann.lecun.com/exdb/mnist (and mirrors of it)",
    "fashion-mnist": "https://github.com/zalandoresearch/fashion-mnist",
}


def load_digits(coding: Coding, encodings_per_image: int) -> Dataset:
    """Load 1,797 images of 8 x 8 pixels. The whole set ships.

    The set has no split of its own. A fixed one is used: 1,197 images for training, 240 for
    validation and 360 for testing.
    """
    arrays = shipped_arrays("digits.npz", _FIELDS)
    labels = checked_labels(arrays["labels"], 10, len(arrays["images"]), "digits.npz")
    values = arrays["images"] / 16
    order = np.argsort(uniforms(_SPLIT_SEED, len(values)), kind="stable")
    first_test = len(values) - _DIGITS_TEST
    split = Split(*np.split(order, [first_test - _DIGITS_VALIDATION, first_test]))
    samples = _samples(values, labels, np.arange(len(values)), coding)
    return Dataset(_DIGITS, samples, split, encodings_per_image, coding)


def load_mnist_like(
    name: str, folder: Path | None, coding: Coding, encodings_per_image: int
) -> Dataset:
    """Load MNIST or Fashion-MNIST: images of 28 x 28 pixels in ten classes.

    1,000 images of the training file and 300 of the test file ship. With a
    folder, all images in its files are loaded. With the rate code, an image has about 1,000
    events of 16 bytes in MNIST, and 2,300 in Fashion-MNIST.
    """
    train, test = (_mnist_like_file(name, folder, part) for part in ("train", "test"))
    labels = np.concatenate([train["labels"], test["labels"]]).astype(np.int64)
    first_test = len(train["labels"])
    numbers = np.arange(len(labels))
    # An image's number seeds its encoding. It must not depend on how many images were loaded.
    seeds = np.where(numbers < first_test, numbers, numbers - first_test + _MNIST_TRAIN)
    values = np.concatenate([train["images"], test["images"]])
    samples = _samples(values, labels, seeds, coding)
    split = hold_out(numbers[:first_test], numbers[first_test:], labels)
    return Dataset(_MNIST_LIKE[name], samples, split, encodings_per_image, coding)


def encode_image(
    values: NDArray[np.float64], coding: Coding, number: int = 0, encoding_index: int = 0
) -> SpikeTrain:
    """Encode one image in the same way as the images of the data sets.

    Args:
        values: f64[height, width], brightness of the pixels, from 0 to 1.
        coding: How pixels become spikes.
        number: Number of the image in its set, from 0, which seeds the rate code.
        encoding_index: Number of the encoding, from 0, which also seeds the rate code.

    Raises:
        ValueError: A value is not from 0 to 1.
    """
    return _encoded(values[None], coding, encoding_index, np.array([number]))[0]


def _mnist_like_file(name: str, folder: Path | None, part: str) -> Arrays:
    """Return the arrays of one file of a set, ``"train"`` or ``"test"``."""
    file_name = f"{name.replace('-', '_')}_{part}.npz"
    if folder is None:
        arrays = shipped_arrays(file_name, _FIELDS)
    else:
        arrays = read_file(folder, file_name, _FIELDS, ("meta", "first_index"), _SOURCES[name])
    path = file_name if folder is None else folder / file_name
    shape = arrays["images"].shape
    if shape[1:] != (28, 28) or not shape[0]:
        raise_dataset_error(
            path, f"images must have shape [samples, 28, 28] and at least one sample, got {shape}"
        )
    checked_labels(arrays["labels"], 10, shape[0], path)
    return arrays


def _samples(values: NDArray[np.generic], labels: Ints, seeds: Ints, coding: Coding) -> LazySamples:
    """Return images as samples. ``values`` are f64, from 0 to 1, or u1, from 0 to 255."""
    scale = 255 if values.dtype == np.uint8 else 1

    def encode(numbers: Ints, encoding_index: int) -> SpikeTrains:
        batches = [numbers[k : k + _BATCH] for k in range(0, max(len(numbers), 1), _BATCH)]
        return join([encode_batch(batch, encoding_index) for batch in batches])

    def encode_batch(numbers: Ints, encoding_index: int) -> SpikeTrains:
        images = np.asarray(values[numbers], np.float64) / scale
        return _encoded(images, coding, encoding_index, seeds[numbers], labels[numbers])

    return LazySamples(labels, encode)


def _encoded(
    images: NDArray[np.float64],
    coding: Coding,
    encoding_index: int,
    seeds: Ints,
    labels: Ints | None = None,
) -> SpikeTrains:
    """Encode images, f64[samples, height, width]."""
    if coding == "current":
        return encode_current(images, _TIMESTEPS, _TIMESTEP_US, labels)
    if coding == "latency":
        return encode_latency(images, _TIMESTEPS, _TIMESTEP_US, labels)
    return encode_rate(
        images, _TIMESTEPS, _TIMESTEP_US, _CODING_SEED + encoding_index, labels, seeds
    )
