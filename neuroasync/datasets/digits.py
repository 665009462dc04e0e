"""Handwritten digits: 1,797 images of 8 x 8, encoded to spike events over 10 timesteps.

The test part of the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin and
C. Kaynak, 1998, doi 10.24432/C50P49, CC BY 4.0), as scikit-learn ships it.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.encoders import encode_latency, encode_rate, uniforms
from neuroasync.spikes import SpikeTrains

__all__ = ["TIMESTEPS", "TIMESTEP_US", "Coding", "Digits", "load_digits"]

TIMESTEPS: Final = 10
TIMESTEP_US: Final = 1000
_TEST: Final = 360
_VALIDATION: Final = 240
_SPLIT_SEED: Final = 2408
_CODING_SEED: Final = 5098

Coding: TypeAlias = Literal["rate", "latency"]
"""Brighter pixels spike more often, or earlier."""


class Digits(NamedTuple):
    """A fixed split. Test samples are for measuring, never for training or for choosing."""

    train: SpikeTrains
    validation: SpikeTrains
    test: SpikeTrains


def load_digits(coding: Coding = "rate", draws: int = 1) -> Digits:
    """Encode the digits and split them: 1,197 to train, 240 to validate, 360 to test.

    Args:
        coding: ``"rate"``: in each timestep a pixel spikes with probability value / 16;
            ``"latency"``: it spikes once, the brighter the earlier.
        draws: how many times each training image is encoded, which the rate code draws anew:
            a network then learns the image and not its one encoding.

    Raises:
        ImportError: scikit-learn, which ships the images, is not installed.
        ValueError: the coding is unknown, or ``draws`` is below 1.
    """
    if draws < 1:
        raise ValueError(f"draws: {draws}, expected an integer from 1")
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn: install neuroasync with its extra 'data'"
        ) from error
    images, labels = load(return_X_y=True)
    values = np.asarray(images, np.float64).reshape(-1, 8, 8) / 16
    order = np.argsort(uniforms(_SPLIT_SEED, len(values)), kind="stable")
    first_test = len(values) - _TEST
    train, validation, test = np.split(order, [first_test - _VALIDATION, first_test])
    # Images keep their number in the set as the seed of their coding, whatever the split.
    encoded = _encode(values, labels, coding, 0)
    drawn = [encoded.take(train)]
    drawn += [_encode(values, labels, coding, k).take(train) for k in range(1, draws)]
    return Digits(_joined(drawn), encoded.take(validation), encoded.take(test))


def _encode(
    values: NDArray[np.float64], labels: NDArray[np.int64], coding: Coding, draw: int
) -> SpikeTrains:
    if coding == "rate":
        return encode_rate(values, TIMESTEPS, TIMESTEP_US, _CODING_SEED + draw, labels)
    if coding == "latency":
        return encode_latency(values, TIMESTEPS, TIMESTEP_US, labels)
    raise ValueError(f"coding: {coding!r}, expected 'rate' or 'latency'")


def _joined(parts: list[SpikeTrains]) -> SpikeTrains:
    labels = [part.labels for part in parts if part.labels is not None]
    trains = [train for part in parts for train in part]
    return SpikeTrains.from_trains(trains, parts[0].shape, np.concatenate(labels))
