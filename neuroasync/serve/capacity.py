"""A capacity limiter for queued samples and events.

Acquire capacity before an item enters a queue, and release it when the item leaves the queue.
"""

import asyncio
import contextlib
from collections import deque
from typing import TypeAlias

__all__ = ["CapacityLimiter"]

_Waiter: TypeAlias = tuple[asyncio.Future[None], int, int]


class CapacityLimiter:
    """A limiter with two shared bounds: a number of samples and a number of events.

    Waiters are served in the order of arrival. No request overtakes an earlier one, so that small
    samples cannot starve a large one.

    Args:
        max_samples: Maximum number of samples at a time.
        max_events: Maximum number of events at a time.

    Attributes:
        free_samples: Number of samples that can be acquired now.
        free_events: Number of events that can be acquired now.
        max_events: Maximum number of events at a time.
    """

    __slots__ = ("_waiters", "free_events", "free_samples", "max_events")

    def __init__(self, max_samples: int, max_events: int) -> None:
        self.free_samples = max_samples
        self.free_events = self.max_events = max_events
        self._waiters: deque[_Waiter] = deque()

    def acquire_nowait(self, samples: int, events: int) -> bool:
        """Acquire capacity if enough is free and nothing waits for it.

        Returns:
            Whether the capacity was acquired.
        """
        if self._waiters or samples > self.free_samples or events > self.free_events:
            return False
        self.free_samples -= samples
        self.free_events -= events
        return True

    async def acquire(self, samples: int, events: int) -> None:
        """Wait until enough capacity is free, and acquire it.

        Cancellation: safe. No capacity is acquired.
        """
        if self.acquire_nowait(samples, events):
            return
        granted = asyncio.get_running_loop().create_future()
        waiter: _Waiter = (granted, samples, events)
        self._waiters.append(waiter)
        try:
            await granted
        except asyncio.CancelledError:
            # The capacity may have been granted in the same turn of the event loop.
            if granted.done() and not granted.cancelled():
                self.release(samples, events)
            else:
                self._remove(waiter)
            raise

    def release(self, samples: int, events: int) -> None:
        """Return capacity to the limiter."""
        self.free_samples += samples
        self.free_events += events
        if self._waiters:
            self._grant()

    def _remove(self, waiter: _Waiter) -> None:
        with contextlib.suppress(ValueError):
            self._waiters.remove(waiter)
        # The removed waiter may have been the one that held up smaller requests.
        self._grant()

    def _grant(self) -> None:
        """Serve waiters in order, as far as the free capacity allows."""
        while self._waiters:
            granted, samples, events = self._waiters[0]
            if granted.cancelled():
                self._waiters.popleft()
                continue
            if samples > self.free_samples or events > self.free_events:
                return
            self._waiters.popleft()
            self.free_samples -= samples
            self.free_events -= events
            granted.set_result(None)
