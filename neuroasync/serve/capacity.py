"""A capacity limiter for queued samples and events, which shares them fairly among connections.

Acquire capacity before an item enters a queue, and release it when the item needs no memory any
more.
"""

import asyncio
from collections import OrderedDict
from typing import Final, NamedTuple

from neuroasync.errors import QueueFullError

__all__ = ["CapacityLimiter", "CapacityShare"]

_UNLIMITED: Final = 2**62
_MAX_WAITING_BYTES: Final = 2**24


class _Waiter(NamedTuple):
    """A request that waits. The future tells whether it got capacity; None if it was refused."""

    granted: asyncio.Future[bool | None]
    share: "CapacityShare"
    samples: int
    events: int
    size: int


class CapacityLimiter:
    """A limiter with two shared bounds: a number of samples and a number of events.

    No share may hold more than is left free for the others. However many connections queue as much
    as they can, there is therefore capacity for one that has queued nothing.

    A share waits for one request at a time. Requests are served in the order of arrival, so that
    connections take turns. Those of shares that hold nothing go first. None of them overtakes an
    earlier one, so that small requests cannot starve a large one.

    Waiting requests take memory, too. If they take more than a limit, the largest is refused.

    Args:
        max_samples: Maximum number of samples at a time.
        max_events: Maximum number of events at a time.
        max_waiting_bytes: Maximum size of everything that waits.

    Attributes:
        free_samples: Number of samples that can be acquired now.
        free_events: Number of events that can be acquired now.
        max_events: Maximum number of events at a time.
    """

    __slots__ = (
        "_holding", "_max_waiting_bytes", "_new", "_waiting", "_waiting_bytes", "free_events",
        "free_samples", "max_events",
    )  # fmt: skip

    def __init__(
        self, max_samples: int, max_events: int, max_waiting_bytes: int = _MAX_WAITING_BYTES
    ) -> None:
        self.free_samples = max_samples
        self.free_events = self.max_events = max_events
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: dict[_Waiter, None] = {}
        self._waiting_bytes = 0
        self._new: OrderedDict[_Waiter, None] = OrderedDict()
        self._holding: OrderedDict[_Waiter, None] = OrderedDict()

    def take_nowait(self, share: "CapacityShare", samples: int, events: int) -> bool:
        """Move capacity to a share if it may have it and no other has to be served first.

        Returns:
            Whether the capacity was moved.
        """
        if self._new or (self._holding and share.is_holding):
            return False
        return self.grow_nowait(share, samples, events)

    def grow_nowait(self, share: "CapacityShare", samples: int, events: int) -> bool:
        """Move capacity to a share like :meth:`take_nowait`, even if others wait."""
        if not self._may_have(share, samples, events):
            return False
        self._move(share, samples, events)
        return True

    def give_back(self, share: "CapacityShare", samples: int, events: int) -> None:
        """Move capacity from a share back to the limiter, and serve requests that wait."""
        self._move(share, -samples, -events)
        self.serve()

    def begin_wait(self, waiter: _Waiter) -> None:
        """Count a request that waits. If all together are too large, refuse the largest one."""
        self._waiting[waiter] = None
        self._waiting_bytes += waiter.size
        while self._waiting_bytes > self._max_waiting_bytes:
            # Of several, the last one is refused.
            largest = max(reversed(self._waiting), key=lambda waiter: waiter.size)
            self._end_wait(largest)
            if not largest.granted.done():
                largest.granted.set_result(None)

    def enqueue(self, waiter: _Waiter) -> None:
        """Let a request wait for its turn."""
        queue = self._holding if waiter.share.is_holding else self._new
        queue[waiter] = None
        self.serve()

    def remove(self, waiter: _Waiter) -> None:
        """Remove a request that waits no longer."""
        self._end_wait(waiter)
        self._new.pop(waiter, None)
        self._holding.pop(waiter, None)
        # It may have been the one that held up others.
        self.serve()

    def serve(self) -> None:
        """Serve requests in order, as far as the free capacity allows."""
        for queue in (self._new, self._holding):
            while queue:
                waiter = next(iter(queue))
                if not waiter.granted.done():
                    if not self._may_have(waiter.share, waiter.samples, waiter.events):
                        return
                    self._move(waiter.share, waiter.samples, waiter.events)
                    waiter.granted.set_result(True)
                del queue[waiter]

    def _end_wait(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            del self._waiting[waiter]
            self._waiting_bytes -= waiter.size

    def _may_have(self, share: "CapacityShare", samples: int, events: int) -> bool:
        has_samples = not samples or share.samples + samples <= self.free_samples
        return has_samples and (not events or share.events + events <= self.free_events)

    def _move(self, share: "CapacityShare", samples: int, events: int) -> None:
        share.samples += samples
        share.events += events
        self.free_samples -= samples
        self.free_events -= events


class CapacityShare:
    """What one connection holds of a limiter's capacity.

    Args:
        limiter: The limiter that all connections share.
        max_samples: Maximum number of samples that the share may hold.
        max_events: Maximum number of events that the share may hold.

    Attributes:
        samples: Number of samples that the share holds.
        events: Number of events that the share holds.
    """

    __slots__ = ("_limiter", "_max_events", "_max_samples", "_waiter", "events", "samples")

    def __init__(
        self,
        limiter: CapacityLimiter,
        max_samples: int = _UNLIMITED,
        max_events: int = _UNLIMITED,
    ) -> None:
        self._limiter = limiter
        self._max_samples = max_samples
        self._max_events = max_events
        self._waiter: _Waiter | None = None
        self.samples = self.events = 0

    @property
    def is_holding(self) -> bool:
        """Whether the share holds anything."""
        return bool(self.samples or self.events)

    def may_hold(self, samples: int, events: int) -> bool:
        """Return whether the share may hold so much more by its own limits."""
        return (
            self.samples + samples <= self._max_samples and self.events + events <= self._max_events
        )

    def acquire_nowait(self, samples: int, events: int) -> bool:
        """Acquire capacity if that is possible without waiting.

        Returns:
            Whether the capacity was acquired.
        """
        return self.may_hold(samples, events) and self._limiter.take_nowait(self, samples, events)

    def hold_nowait(self, events: int) -> bool:
        """Acquire capacity for events that are in memory already, before requests that wait.

        Returns:
            Whether the capacity was acquired.
        """
        return self.may_hold(0, events) and self._limiter.grow_nowait(self, 0, events)

    async def acquire(self, samples: int, events: int, size: int = 0) -> bool:
        """Wait until capacity can be acquired, and acquire it. One call at a time.

        Cancellation: safe. No capacity is acquired.

        Args:
            samples: Number of samples.
            events: Number of events.
            size: Size in bytes of what waits.

        Returns:
            Whether the capacity was acquired. False after :meth:`let_through`.

        Raises:
            QueueFullError: Too much waits, and of all connections this one waits with the most.
        """
        if self.acquire_nowait(samples, events):
            return True
        granted: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self._waiter = waiter = _Waiter(granted, self, samples, events, size)
        self._limiter.begin_wait(waiter)
        if not granted.done() and self.may_hold(samples, events):
            self._limiter.enqueue(waiter)
        try:
            is_acquired = await granted
        except asyncio.CancelledError:
            # The capacity may have been granted in the same turn of the event loop.
            if not granted.cancelled() and granted.result():
                self.release(samples, events)
            raise
        finally:
            self._waiter = None
            self._limiter.remove(waiter)
        if is_acquired is None:
            raise QueueFullError("the queue of the server is full, and so is the space for waiting")
        return is_acquired

    def let_through(self, max_events: int) -> None:
        """Let the request that waits go on without capacity, if it has at most so many events."""
        waiter = self._waiter
        if waiter is not None and waiter.events <= max_events and not waiter.granted.done():
            waiter.granted.set_result(False)

    def release(self, samples: int, events: int) -> None:
        """Return capacity to the limiter."""
        waiter = self._waiter
        # A request that the share's own limits held up does not wait for the limiter yet.
        was_held_up = waiter is not None and not self.may_hold(waiter.samples, waiter.events)
        self._limiter.give_back(self, samples, events)
        if waiter is not None and was_held_up and self.may_hold(waiter.samples, waiter.events):
            self._limiter.enqueue(waiter)
