"""The account of the CPU time that a session has used, and the limit for one sample."""

import math
import time
from typing import Final

from neuroasync.core.model.checks import as_number, must_be, shown
from neuroasync.errors import CpuTimeLimitError

__all__ = ["CpuAccount", "check_max_cpu"]

_HALF_LIFE_S: Final = 5.0
"""Time after which used CPU time counts half, s. Old work must not slow a session down forever."""

_TURN_COST_S: Final = 5e-5
"""CPU time that is added for each turn, because the caller parses events and sends decisions, s."""


class CpuAccount:
    """The CPU time that one session uses.

    Args:
        max_sample_s: maximum CPU time of one sample, s.
    """

    __slots__ = ("_charged_at_s", "_lately_s", "_max_sample_s", "_sample_s")

    def __init__(self, max_sample_s: float = math.inf) -> None:
        self._max_sample_s = max_sample_s
        self._sample_s = self._lately_s = self._charged_at_s = 0.0

    def begin_sample(self) -> None:
        """Begin to count the CPU time of a new sample."""
        self._sample_s = 0.0

    def charge(self, cpu_s: float) -> None:
        """Add the CPU time of a turn that ends now, s.

        Raises:
            CpuTimeLimitError: the sample has used too much.
        """
        now_s = time.perf_counter()
        left = 0.5 ** ((now_s - self._charged_at_s) / _HALF_LIFE_S)
        self._lately_s = self._lately_s * left + cpu_s + _TURN_COST_S
        self._charged_at_s = now_s
        self._sample_s += cpu_s
        if self._sample_s > self._max_sample_s:
            raise CpuTimeLimitError(
                f"the sample used more than {self._max_sample_s:g} s of CPU time; send a shorter "
                "sample, or use a stop rule that ends it sooner"
            )

    def rank(self) -> float:
        """Return a number that is lower for an account that was charged less lately.

        All accounts decay alike, so the order of two accounts changes only when one is charged.
        """
        if not self._lately_s:
            return -math.inf
        return math.log2(self._lately_s) + self._charged_at_s / _HALF_LIFE_S


def check_max_cpu(max_cpu_s: float | None) -> float:
    """Return a maximum of CPU time, s; infinity for None.

    Raises:
        ValueError: it is not a number above 0.
    """
    if max_cpu_s is None:
        return math.inf
    value = as_number(max_cpu_s)
    if value is None or not value > 0:
        raise ValueError(must_be("max_cpu_s", "a number above 0, or None", shown(max_cpu_s)))
    return value
