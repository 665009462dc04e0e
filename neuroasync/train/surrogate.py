"""Surrogate derivative of the spike function.

A neuron spikes when x = v - threshold is above 0. The derivative of that step function is 0 almost
everywhere, so training uses one of these instead, with the slope a:

- ``"arctan"``:       1 / (1 + (a x)**2)
- ``"fast-sigmoid"``: 1 / (1 + a |x|)**2
- ``"sigmoid"``:      a s(a x) (1 - s(a x)), with the logistic function s

``neuroasync.train.kernels.surrogate`` names their sources and has the compiled versions.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from neuroasync.core.model.checks import as_number, shown
from neuroasync.train.kernels import surrogate as kernel

__all__ = ["Surrogate"]

_KINDS: Final = {
    "arctan": kernel.ARCTAN,
    "fast-sigmoid": kernel.FAST_SIGMOID,
    "sigmoid": kernel.SIGMOID,
}


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A surrogate derivative of the spike function.

    Attributes:
        name: ``"arctan"``, ``"fast-sigmoid"`` or ``"sigmoid"``; see the module for equations.
        slope: Slope a, above 0.

    Raises:
        ValueError: The name is unknown or the slope is out of range.
    """

    name: str = "arctan"
    slope: float = 1.5

    def __post_init__(self) -> None:
        """Check the name and the slope."""
        if not isinstance(self.name, str) or self.name not in _KINDS:
            raise ValueError(f"`surrogate` must be one of {list(_KINDS)}, got {self.name!r:.80}")
        slope = as_number(self.slope)
        if slope is None or not 0 < slope < float("inf"):
            raise ValueError(
                f"`surrogate_slope` must be a finite number above 0, got {shown(self.slope)}"
            )

    @property
    def code(self) -> tuple[int, float]:
        """The integer that selects the derivative in the kernels, and the slope."""
        return _KINDS[self.name], float(self.slope)

    def derivative(self, x: Tensor) -> Tensor:
        """Return the derivative at each element of ``x``, computed by torch."""
        a = self.slope
        if self.name == "arctan":
            return 1 / (1 + (a * x) ** 2)
        if self.name == "fast-sigmoid":
            return 1 / (1 + a * x.abs()) ** 2
        s = torch.sigmoid(a * x)
        return a * s * (1 - s)
