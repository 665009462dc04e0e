"""Handwritten digits: 1,797 images of 8 x 8, encoded to spike events over 10 timesteps.

The test part of the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin and
C. Kaynak, 1998, doi 10.24432/C50P49, CC BY 4.0), as scikit-learn ships it.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

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


def load_digits(coding: Coding = "rate") -> Digits:
    """Encode the digits and split them: 1,197 to train, 240 to validate, 360 to test.

    Args:
        coding: ``"rate"``: in each timestep a pixel spikes with probability value / 16;
            ``"latency"``: it spikes once, the brighter the earlier.

    Raises:
        ImportError: scikit-learn, which ships the images, is not installed.
        ValueError: the coding is unknown.
    """
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn: pip install 'neuroasync[data]'"
        ) from error
    images, labels = load(return_X_y=True)
    # Images keep their number in the set as the seed of their coding, whatever the split.
    values = np.asarray(images, np.float64).reshape(-1, 8, 8) / 16
    if coding == "rate":
        encoded = encode_rate(values, TIMESTEPS, TIMESTEP_US, _CODING_SEED, labels)
    elif coding == "latency":
        encoded = encode_latency(values, TIMESTEPS, TIMESTEP_US, labels)
    else:
        raise ValueError(f"coding: {coding!r}, expected 'rate' or 'latency'")
    order = np.argsort(uniforms(_SPLIT_SEED, len(values)), kind="stable")
    parts = np.split(order, [len(values) - _TEST - _VALIDATION, len(values) - _TEST])
    return Digits(*(encoded.take(part) for part in parts))
