"""Means over runs with several seeds, with their standard errors."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Mean"]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds.

    Attributes:
        value: The mean.
        error: Its standard error, or None for a single seed.
    """

    value: float
    error: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> "Mean":
        """Return the mean of at least one value.

        Raises:
            ValueError: There is no value.
        """
        known = list(values)
        if not known:
            raise ValueError("`values` must have at least one value, got none")
        mean = math.fsum(known) / len(known)
        if len(known) < 2:
            return cls(mean, None)
        variance = math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1)
        return cls(mean, math.sqrt(variance / len(known)))
