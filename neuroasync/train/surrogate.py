"""The derivative that training uses in place of the spike's."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from neuroasync.train.kernels import surrogate as kernel

__all__ = ["Surrogate"]

_KINDS: Final = {
    "arctan": kernel.ARCTAN,
    "fast-sigmoid": kernel.FAST_SIGMOID,
    "sigmoid": kernel.SIGMOID,
}


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A surrogate derivative, at the distance x = v - threshold.

    Attributes:
        name: ``"arctan"``: 1 / (1 + (a x)²); ``"fast-sigmoid"``: 1 / (1 + a |x|)²;
            ``"sigmoid"``: a s(a x) (1 - s(a x)), s the logistic function.
        slope: a, above 0.

    Raises:
        ValueError: there is no such surrogate.

    Source:
        Those of ``train.kernels.surrogate``, which is what runs.
    """

    name: str = "arctan"
    slope: float = 1.5

    def __post_init__(self) -> None:
        """Check both."""
        if self.name not in _KINDS:
            raise ValueError(f"surrogate: {self.name!r:.80}, expected one of {list(_KINDS)}")
        if not 0 < self.slope < float("inf"):
            raise ValueError(f"surrogate_slope: {self.slope!r}, expected a finite number above 0")

    @property
    def code(self) -> tuple[int, float]:
        """Number and slope that the kernels know it by."""
        return _KINDS[self.name], float(self.slope)

    def derivative(self, x: Tensor) -> Tensor:
        """The derivative at each element of ``x``, in torch."""
        a = self.slope
        if self.name == "arctan":
            return 1 / (1 + (a * x) ** 2)
        if self.name == "fast-sigmoid":
            return 1 / (1 + a * x.abs()) ** 2
        s = torch.sigmoid(a * x)
        return a * s * (1 - s)
