"""Turns of connections whose small samples wait for a time slice."""

from collections import deque
from collections.abc import Callable
from typing import Final

from neuroasync.runtime.time_slice import CpuAccount, TimeSlice

__all__ = ["ArrivalTurns"]

_PER_TURN: Final = 4
"""Number of small samples that take about as long as the time slice of one session."""


class ArrivalTurns:
    """Lets connections take turns in the order of their samples' arrival.

    A turn of the event loop's time slice serves several small samples. For every few connections
    that wait, there is therefore one entry among the sessions that wait for the time slice, so that
    all together get the share of the processor that as many sessions would get.

    Args:
        time_slice: The time slice of the sessions.

    Attributes:
        time_slice: As given.
    """

    __slots__ = ("_entries", "_waiting", "time_slice")

    def __init__(self, time_slice: TimeSlice) -> None:
        self.time_slice = time_slice
        self._waiting: deque[Callable[[], None]] = deque()
        self._entries = 0

    def wait(self, take_turn: Callable[[], None], account: CpuAccount) -> None:
        """Call ``take_turn``, which must not raise, when it is the turn of a connection.

        Args:
            take_turn: Called while the connection need not wait for a time slice.
            account: The CPU time of the connection, which may rank all that wait.
        """
        self._waiting.append(take_turn)
        if len(self._waiting) > _PER_TURN * self._entries:
            self._add_entry(account)

    def _add_entry(self, account: CpuAccount) -> None:
        self._entries += 1

        def run() -> None:
            self._entries -= 1
            waiting = self._waiting
            try:
                while waiting:
                    waiting.popleft()()
                    if self.time_slice.is_exhausted():
                        break
            finally:
                if len(waiting) > _PER_TURN * self._entries:
                    self._add_entry(account)

        self.time_slice.call_in_turn(run, account)
