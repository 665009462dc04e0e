"""A time slice that all sessions of an event loop share; at its end, they yield.

A separate slice for each session would add up: with 100 busy sessions and 1 ms each, a turn of the
event loop would last 100 ms. Here, sessions run for one slice in total in each turn, and the other
sessions wait for a later turn.

Every other turn begins with the session that has used the least CPU time lately, and the turns in
between with the one that has waited longest. The first rule lets a session with short samples
overtake any number of sessions with long ones. The second rule lets no session wait forever.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeAlias
from weakref import WeakKeyDictionary

from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.runtime.cpu_time.turn_queue import WAITER, Entry, TurnQueue

__all__ = ["TimeSlice"]

SLICE_S: Final = 5e-4
"""Length of the time slice of sessions, s. The last call of a turn may end after it."""

_GRACE_S: Final = 5e-4
"""Time after a slice in which a session may still begin to work, s. Short samples, which end within
it, thus need not wait for a turn."""

_MIN_WORK: Final = 2000
"""Minimum number of synaptic operations of a speed measurement, and of a result of `work`."""

_MIN_S: Final = 1e-4
"""Minimum estimate of the time that the result of `work` takes, s. A call of a kernel costs about
5 µs, so a slice ends rather than be divided further."""

_MIN_SHARE: Final = 0.25
"""Maximum share of a slice that the result of `work` takes after the speed was overestimated. A
wrong estimate, after the density of the events has changed, then delays the event loop by little.
The share doubles with each estimate that was right."""

_RIGHT: Final = 0.8
"""Minimum ratio between a measured speed and its estimate for which the estimate was right."""

_MAX_WOKEN: Final = 64
"""Maximum number of sessions that are woken in one turn, which they use one after the other."""

Call: TypeAlias = tuple[Callable[..., None], tuple[Any, ...]]
"""A function and its arguments."""


class TimeSlice:
    """The time slice of one event loop; :meth:`of_running_loop` returns the shared one.

    Args:
        slice_s: how long sessions may run in one turn of the event loop, s.
        grace_s: how long after it a session may still begin if no other one waits before it, s.

    Attributes:
        deadline: end of the current time slice, by ``time.perf_counter``, s.
        opened_cpu_s: CPU time of the thread when the current time slice was opened, s.
    """

    _by_loop: ClassVar["WeakKeyDictionary[asyncio.AbstractEventLoop, TimeSlice]"] = (
        WeakKeyDictionary()
    )

    def __init__(self, slice_s: float = SLICE_S, grace_s: float = 0.0) -> None:
        self._slice_s = slice_s
        self._grace_s = grace_s
        # This object must not refer to the loop, which is the weak key that it is stored under.
        self._queue = TurnQueue()
        self._unserved: list[Entry] = []  # those that were woken in vain in this turn
        self._max_woken = 1
        self._woken = 0
        self._served = 0
        self.deadline = self.opened_cpu_s = 0.0
        self._is_open = self._is_in_call = False
        self._last_calls: deque[Call] = deque()  # they follow the other calls of this turn
        self._rate = 1e8
        self._share = _MIN_SHARE

    @classmethod
    def of_running_loop(cls) -> "TimeSlice":
        """Return the time slice that all sessions of the running event loop share."""
        loop = asyncio.get_running_loop()
        time_slice = cls._by_loop.get(loop)
        if time_slice is None:
            time_slice = cls._by_loop[loop] = cls(grace_s=_GRACE_S)
        return time_slice

    def is_exhausted(self) -> bool:
        """Return whether the slice of this turn is used up. Begin a slice if there is none."""
        if not self._is_open:
            if self._queue.waiting or self._unserved:
                return True
            self._open()
        return time.perf_counter() > self.deadline - _MIN_S

    @property
    def is_contended(self) -> bool:
        """Whether sessions wait for their turn."""
        return bool(self._woken or self._queue.waiting or self._unserved)

    def must_wait(self) -> bool:
        """Return whether a new session has to wait for earlier ones, or for the next slice.

        In a function that :meth:`call_in_turn` has called, return whether the slice is over.
        """
        if self._is_in_call:
            return time.perf_counter() > self.deadline + self._grace_s
        if self._woken or self._queue.waiting or self._unserved:
            return True
        if not self._is_open:
            self._open()
            return False
        return time.perf_counter() > self.deadline + self._grace_s

    def work(self) -> int:
        """Return how many synaptic operations to run before looking at the time again.

        They are estimated to fit into the rest of the slice. Unless the latest estimates were
        right, they also fit into a share of a whole slice.
        """
        left_s, most_s = self.deadline - time.perf_counter(), self._share * self._slice_s
        if left_s > most_s:
            left_s = most_s
        work = int((left_s if left_s > _MIN_S else _MIN_S) * self._rate)
        return work if work > _MIN_WORK else _MIN_WORK

    def measured(self, work: int, seconds: float) -> None:
        """Update the speed estimate: ``work`` synaptic operations took ``seconds``."""
        if work >= _MIN_WORK and seconds > 0:
            rate = work / seconds
            is_right = rate > _RIGHT * self._rate
            self._share = min(1.0, 2 * self._share) if is_right else _MIN_SHARE
            # A lower speed counts at once, so that the next measurement is not too long as well.
            self._rate = rate if rate < self._rate else self._rate + (rate - self._rate) / 8

    async def wait_turn(self, account: CpuAccount | None = None) -> None:
        """Let the event loop run, and wait for a time slice.

        Cancellation: safe.

        Args:
            account: the CPU time that the session has used lately; None if it has used none.
        """
        if not self._woken and not self._queue.waiting and not self._unserved:
            await self._wait_alone()
        else:
            await self._wait_in_queue(account)

    async def _wait_alone(self) -> None:
        """Wait for the next turn while no other session waits, which needs no queue.

        Cancellation: safe.
        """
        self._woken = 1  # sessions that come meanwhile join the queue
        try:
            await asyncio.sleep(0)
        finally:
            self._woken -= 1
        if not self._is_open:
            self._open()
        # Sessions that were woken in this turn run in the next one, and have a slice of their own.
        self.deadline = time.perf_counter() + self._slice_s

    async def _wait_in_queue(self, account: CpuAccount | None) -> None:
        """Wait in the queue until this session may run in a slice.

        Cancellation: safe.
        """
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        entry = self._queue.add(-math.inf if account is None else account.rank(), turn)
        if not self._is_open:
            self._open()
        while True:
            try:
                await turn
            except asyncio.CancelledError:
                # The session may have been woken in the same turn of the event loop.
                if turn.cancelled():
                    self._forget(entry)
                else:
                    self._woken -= 1
                raise
            if self._begin_turn():
                return
            # Earlier sessions have used up the slice, so this one keeps its place.
            turn = loop.create_future()
            entry = [*entry[:WAITER], turn]
            self._keep_places([entry])

    def call_in_turn(self, function: Callable[[], None], account: CpuAccount) -> None:
        """Call a function in a time slice, when a session with this account would have its turn.

        It costs less than a task that waits. The function should not take longer than a slice.
        """
        self._queue.add(account.rank(), function)
        if not self._is_open:
            self._open()

    def call_last(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function at the end of this turn, after those that :meth:`call_in_turn` calls.

        No other callback of the event loop runs in between. The function runs even if an earlier
        one has raised an error, and its time is not part of the slice. If no function of
        :meth:`call_in_turn` is running, it is called at once.
        """
        if self._is_in_call:
            self._last_calls.append((function, arguments))
        else:
            function(*arguments)

    def _call(self, entries: list[Entry]) -> None:
        """Call functions whose turn has come, one after the other, until the slice is used up."""
        k = 0
        self._is_in_call = True
        try:
            for k, entry in enumerate(entries):
                if not self._begin_turn():
                    self._woken -= len(entries) - k - 1
                    self._keep_places(entries[k:])
                    return
                entry[WAITER]()
        except BaseException:
            if later := entries[k + 1 :]:  # they are called nevertheless
                asyncio.get_running_loop().call_soon(self._call, later)
            raise
        finally:
            self._is_in_call = False
            self._run_last_calls()

    def _run_last_calls(self) -> None:
        """Call the functions that :meth:`call_last` has kept for the end of this turn."""
        try:
            while self._last_calls:
                function, arguments = self._last_calls.popleft()
                function(*arguments)
        finally:
            if self._last_calls:  # after an error, which concerns none of them
                self._run_last_calls()

    def _keep_places(self, entries: list[Entry]) -> None:
        """Let entries that were woken in vain wait again, before all others."""
        self._unserved += entries
        if not self._is_open:
            self._open()

    def _begin_turn(self) -> bool:
        """Begin the turn of an entry that was woken; return whether the slice still has time."""
        self._woken -= 1
        now = time.perf_counter()
        if not self._served:
            self.deadline = now + self._slice_s
        if now > self.deadline:
            return False
        self._served += 1
        return True

    def _forget(self, entry: Entry) -> None:
        """Remove the entry of a session whose wait was cancelled."""
        unserved = [other for other in self._unserved if other is not entry]
        if len(unserved) == len(self._unserved):
            self._queue.remove(entry)
        self._unserved = unserved

    def _open(self) -> None:
        self._is_open = True
        self.deadline = time.perf_counter() + self._slice_s
        self.opened_cpu_s = time.thread_time()
        asyncio.get_running_loop().call_soon(self._close)

    def _close(self) -> None:
        """End the slice, and wake as many waiting sessions as may fit into the next one."""
        self._is_open = False
        if not self._queue.waiting and not self._unserved:  # the usual case, in every turn
            self._max_woken = min(_MAX_WOKEN, 2 * self._max_woken)
            self._served = 0
            return
        # If the last slice could not serve all that were woken, wake one more than it served;
        # otherwise wake twice as many.
        next_woken = self._served + 1 if self._unserved else 2 * self._max_woken
        self._max_woken = min(_MAX_WOKEN, next_woken)
        self._served = 0
        self._queue.put_back(self._unserved)
        self._unserved = []
        woken = self._queue.take(self._max_woken)
        self._woken += len(woken)
        self._wake(woken)
        if woken:
            self._open()

    def _wake(self, entries: list[Entry]) -> None:
        """Let the turns of entries come in the next turn of the event loop, in this order."""
        loop = asyncio.get_running_loop()
        calls: list[Entry] = []
        for entry in entries:
            turn = entry[WAITER]
            if isinstance(turn, asyncio.Future):
                turn.set_result(None)
                calls = []
                continue
            if not calls:  # calls with no session in between are one callback of the event loop
                loop.call_soon(self._call, calls)
            calls.append(entry)
