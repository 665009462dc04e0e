"""Room for samples and events that wait: taken before they are, given back when they go on."""

import asyncio
import contextlib
from collections import deque
from typing import TypeAlias

__all__ = ["CapacityLimiter"]

_Place: TypeAlias = tuple[asyncio.Future[None], int, int]


class CapacityLimiter:
    """Two bounds at once, samples and events, for whoever shares them.

    Who waits is served in the order of arrival, and nobody overtakes: a small sample does not
    starve a large one.

    Args:
        samples: most that are in it.
        events: most that are in it.

    Attributes:
        samples, events: free at the moment.
    """

    __slots__ = ("_waiting", "events", "events_in_all", "samples")

    def __init__(self, samples: int, events: int) -> None:
        self.samples = samples
        self.events = self.events_in_all = events
        self._waiting: deque[_Place] = deque()

    def take_now(self, samples: int, events: int) -> bool:
        """Take room if there is enough and nobody waits for it; return whether it was taken."""
        if self._waiting or samples > self.samples or events > self.events:
            return False
        self.samples -= samples
        self.events -= events
        return True

    async def take(self, samples: int, events: int) -> None:
        """Wait until there is room, and take it.

        Cancellation: safe; nothing is taken.
        """
        if self.take_now(samples, events):
            return
        granted = asyncio.get_running_loop().create_future()
        place: _Place = (granted, samples, events)
        self._waiting.append(place)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.give(samples, events)
            else:
                self._leave(place)
            raise

    def give(self, samples: int, events: int) -> None:
        """Give room back."""
        self.samples += samples
        self.events += events
        if self._waiting:
            self._grant()

    def _leave(self, place: _Place) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(place)
        self._grant()

    def _grant(self) -> None:
        """Serve those who wait, in turn, as far as the room goes."""
        while self._waiting:
            granted, samples, events = self._waiting[0]
            if granted.cancelled():
                self._waiting.popleft()
                continue
            if samples > self.samples or events > self.events:
                return
            self._waiting.popleft()
            self.samples -= samples
            self.events -= events
            granted.set_result(None)
