"""How often a client may send."""

from collections.abc import Callable

__all__ = ["TokenBucket"]


class TokenBucket:
    """A bucket of tokens, full at first, that holds those of one second.

    Args:
        per_s: tokens that come in a second.
        clock: seconds, of the event loop.
    """

    __slots__ = ("_clock", "_most", "_per_s", "_then_s", "_tokens")

    def __init__(self, per_s: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._most = max(per_s, 1.0)
        self._tokens = self._most
        self._clock = clock
        self._then_s = clock()

    def delay_s(self) -> float:
        """Take a token; return how long to wait until it is there."""
        now_s = self._clock()
        self._tokens = min(self._most, self._tokens + (now_s - self._then_s) * self._per_s) - 1
        self._then_s = now_s
        return max(0.0, -self._tokens / self._per_s)
