"""The rate limit for the messages of one client."""

from collections.abc import Callable

__all__ = ["TokenBucket"]


class TokenBucket:
    """A token bucket that holds the tokens of one second and is full at first.

    Args:
        tokens_per_s: Rate at which tokens are added.
        clock: Function that returns the time in seconds, such as the clock of the event loop.
    """

    __slots__ = ("_capacity", "_clock", "_last_s", "_tokens", "_tokens_per_s")

    def __init__(self, tokens_per_s: float, clock: Callable[[], float]) -> None:
        self._tokens_per_s = tokens_per_s
        # With less than one token, a rate below 1 could never pay for a message.
        self._capacity = max(tokens_per_s, 1.0)
        self._tokens = self._capacity
        self._clock = clock
        self._last_s = clock()

    def take_now(self) -> bool:
        """Take a token if it is available; return whether it was."""
        now_s = self._clock()
        tokens = self._tokens + (now_s - self._last_s) * self._tokens_per_s
        if tokens < 1:
            return False
        self._tokens = (tokens if tokens < self._capacity else self._capacity) - 1
        self._last_s = now_s
        return True

    def take(self) -> float:
        """Take a token and return how long to wait until it is available, in seconds."""
        now_s = self._clock()
        tokens = self._tokens + (now_s - self._last_s) * self._tokens_per_s
        if tokens > self._capacity:
            tokens = self._capacity
        # The balance may become negative: the delay then includes the tokens that are owed.
        self._tokens = tokens = tokens - 1
        self._last_s = now_s
        return 0.0 if tokens >= 0 else -tokens / self._tokens_per_s

    def give_back(self) -> None:
        """Give back the token that was taken last."""
        self._tokens += 1
