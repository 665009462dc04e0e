"""The queue of coroutines and functions that wait for a time slice, in two orders.

Entries are taken alternately by the CPU time that their accounts have used lately, least first, and
by arrival. Each entry is in one queue for each order. An entry that was taken from one of them is
obsolete in the other one, where it stays until it is first or the queues are rebuilt.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, Final, TypeAlias

__all__ = ["WAITER", "Entry", "TurnQueue", "Waiter"]

Waiter: TypeAlias = "asyncio.Future[None] | Callable[[], None]"
"""The future that a coroutine awaits, or a function that will be called."""

Entry: TypeAlias = list[Any]
"""The rank of an account (float), the number of the arrival, how often the entry was put back, and
a waiter, or None if the entry is obsolete. A list can be marked as obsolete in both queues, and is
compared in C; the first three elements of no two entries are equal."""

WAITER: Final = 3
"""Position of the waiter in an entry."""

_MIN_OBSOLETE: Final = 64
"""Number of obsolete entries from which the queues are rebuilt without them."""


class TurnQueue:
    """The entries that wait for their turn.

    Attributes:
        waiting: number of entries that wait.
    """

    __slots__ = ("_arrivals", "_by_arrival", "_by_use", "_least_used_first", "waiting")

    def __init__(self) -> None:
        self._by_use: list[Entry] = []  # a heap
        self._by_arrival: deque[Entry] = deque()
        self._arrivals = count()
        self._least_used_first = False
        self.waiting = 0

    def __len__(self) -> int:
        """Return the number of entries in both orders, with those that are obsolete."""
        return len(self._by_use) + len(self._by_arrival)

    def add(self, rank: float, waiter: Waiter) -> Entry:
        """Add an entry and return it.

        Args:
            rank: the result of :meth:`CpuAccount.rank`, or minus infinity.
            waiter: the future or function.
        """
        entry = [rank, next(self._arrivals), 0, waiter]
        heapq.heappush(self._by_use, entry)
        self._by_arrival.append(entry)
        self.waiting += 1
        return entry

    def put_back(self, entries: list[Entry]) -> None:
        """Let entries wait again that :meth:`take` has returned.

        By arrival, they come before all others, in the order in which they were taken.
        """
        self._by_arrival.extendleft(reversed(entries))
        for entry in entries:
            entry[2] += 1
            heapq.heappush(self._by_use, entry)
        self.waiting += len(entries)

    def take(self, max_taken: int) -> list[Entry]:
        """Remove up to ``max_taken`` entries, and return copies in the order of their turns.

        Every other call begins with the account that has used least, the calls in between with the
        entry that has waited longest.
        """
        by_use, by_arrival = self._by_use, self._by_arrival
        if len(self) > 4 * self.waiting + _MIN_OBSOLETE:
            by_use[:] = filter(_is_waiting, by_use)
            heapq.heapify(by_use)
            self._by_arrival = by_arrival = deque(filter(_is_waiting, by_arrival))
        self._least_used_first = takes_least_used = not self._least_used_first
        taken: list[Entry] = []
        while len(taken) < max_taken and by_use and by_arrival:
            entry = heapq.heappop(by_use) if takes_least_used else by_arrival.popleft()
            if not _is_waiting(entry):
                continue
            taken.append(entry.copy())
            entry[WAITER] = None
            takes_least_used = not takes_least_used
        self.waiting -= len(taken)
        self._clear_if_empty()
        return taken

    def remove(self, entry: Entry) -> None:
        """Remove an entry that waits."""
        entry[WAITER] = None
        self.waiting -= 1
        self._clear_if_empty()

    def _clear_if_empty(self) -> None:
        """Drop obsolete entries if no other ones are left."""
        if not self.waiting:
            self._by_use.clear()
            self._by_arrival.clear()


def _is_waiting(entry: Entry) -> bool:
    """Return whether an entry is neither obsolete nor that of a coroutine that was cancelled."""
    waiter = entry[WAITER]
    return waiter is not None and not (isinstance(waiter, asyncio.Future) and waiter.done())
