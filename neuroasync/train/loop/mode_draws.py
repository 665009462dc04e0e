"""Draws of the run mode of each batch, in which modes with more errors have more weight.

Let w[m] be the weight of run mode m in a distribution, and e[m] the moving average of the errors of
its batches, where the error of a batch is 1 minus its accuracy. With the focus k, mode m is drawn
with a probability in proportion to

    w[m] * exp(k * e[m])

A mode that was not drawn yet counts as the mean of the others. With k = 0, the weights decide
alone.

The probabilities p maximise the sum over m of p[m] * e[m], minus 1/k times their Kullback-Leibler
divergence from the weights: the worst case over distributions near the weights, as in
distributionally robust optimisation (Sagawa et al., ICLR 2020, arXiv 1911.08731).
"""

import math
from bisect import bisect_left
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.formats.orders.run_modes import RunModes

__all__ = ["ModeDraws"]

_RATE: Final = 0.1
"""Weight of a new error in the moving average."""
_KEYS: Final = 2**64
"""Number of keys."""


class ModeDraws:
    """The errors of run modes so far, and draws that depend on them.

    Args:
        modes: The distribution.
        focus: The focus k, at least 0.

    Attributes:
        modes: The distribution.
        errors: f64[modes], moving averages of the errors, from 0 to 1; -1 before the first.
    """

    def __init__(self, modes: RunModes, focus: float) -> None:
        self.modes, self._focus = modes, focus
        self.errors: NDArray[np.float64] = np.full(len(modes), -1.0)

    def probabilities(self) -> list[float]:
        """Return the probability of each mode in the next draw."""
        known = [error for error in self.errors.tolist() if error >= 0]
        mean = sum(known) / max(1, len(known))
        errors = [error if error >= 0 else mean for error in self.errors.tolist()]
        highest = max(errors)  # Exponents of at most 0 cannot overflow.
        weights = [
            weight * math.exp(self._focus * (error - highest))
            for weight, error in zip(self.modes.weights, errors, strict=True)
        ]
        return [weight / sum(weights) for weight in weights]

    def draw(self, key: int) -> int:
        """Return the number of the run mode that a key selects.

        Args:
            key: A uniformly distributed integer of 64 bits.
        """
        bounds = list(accumulate(self.probabilities()))
        # The left end of a key's interval is excluded, so that no mode of probability 0 is drawn.
        return bisect_left(bounds, (key + 1) / _KEYS * bounds[-1])

    def add(self, mode: int, error: float) -> None:
        """Take the error of a batch into the moving average of its mode.

        Args:
            mode: Number of the mode.
            error: 1 minus the accuracy of the batch, from 0 to 1.
        """
        before = float(self.errors[mode])
        after = error if before < 0 else before + _RATE * (error - before)
        self.errors[mode] = max(0.0, after)  # Rounding may leave an accuracy just above 1.
