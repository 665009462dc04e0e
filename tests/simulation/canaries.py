"""Planted faults. Schedules that do not find them would not find a real fault either.

Each canary replaces one function by a version with a typical mistake.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final
from unittest import mock

from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.network_lifecycle import NetworkLifecycle
from neuroasync.runtime.sample_ownership import SampleOwnership
from neuroasync.runtime.scheduler import Scheduler
from neuroasync.serve.capacity import CapacityShare, _Waiter
from neuroasync.serve.connection.sample_inbox import SampleInbox
from tests.simulation.schedule import run_schedule

__all__ = ["CANARIES", "find"]


@contextlib.contextmanager
def _replaced(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    with mock.patch.object(owner, name, function):
        yield


def _lost_capacity():
    """A request that is cancelled just after it got capacity keeps it for ever."""

    async def acquire(self, samples, events, size=0):
        if self.acquire_nowait(samples, events):
            return True
        granted = asyncio.get_running_loop().create_future()
        self._waiter = waiter = _Waiter(granted, self, samples, events, size)
        if self.may_hold(samples, events):
            self._limiter.enqueue(waiter)
        try:
            return await granted
        finally:
            self._waiter = None
            self._limiter.remove(waiter)

    return _replaced(CapacityShare, "acquire", acquire)


def _uncounted_sample():
    """A sample that is dropped to make room is counted nowhere."""
    settle = SampleInbox._settle

    def forgets(self, sample, family, value):
        if family == "samples_dropped":
            self._discard_chunks(sample)
            self._open.discard(sample)
        else:
            settle(self, sample, family, value)

    return _replaced(SampleInbox, "_settle", forgets)


def _lost_item():
    """A queue takes the item before its last ``await``, so that a cancellation loses it."""

    async def get(self):
        await self.readable()
        item = self.pop()
        await asyncio.sleep(0)
        return item

    return _replaced(BoundedQueue, "get", get)


def _leaked_task():
    """A session does not cancel the tasks that it has started."""

    def close(self):
        self.is_closed = True
        self._end_populations()

    return _replaced(Scheduler, "close", close)


def _unawaited_task():
    """The reader of a buffer is cancelled, but its end is not awaited."""

    async def ended(task):
        task.cancel()

    return _replaced(sys.modules["neuroasync.sources.buffered"], "_ended", ended)


def _order_dependence():
    """The seed of a sample depends on how many sessions happen to be open."""
    open_runner = NetworkLifecycle.open_runner

    def biased(self, plan, seed_of, recorder, account):
        others = self.open_sessions
        return open_runner(self, plan, lambda number: seed_of(number) + others, recorder, account)

    return _replaced(NetworkLifecycle, "open_runner", biased)


def _kept_sample():
    """A cancelled call does not abandon its sample."""

    def leave(self, kind, error, traceback):
        self._is_busy = False

    return _replaced(SampleOwnership, "__exit__", leave)


def _swallowed_cancellation():
    """A queue treats a cancellation as a reason to look at its condition again."""
    wait = BoundedQueue._wait

    async def suppressed(self):
        with contextlib.suppress(asyncio.CancelledError):
            await wait(self)

    return _replaced(BoundedQueue, "_wait", suppressed)


def _missed_wake_up():
    """A full queue wakes nobody when an item is taken."""

    def pop(self):
        item = self.first()
        self._items.popleft()
        return item

    return _replaced(BoundedQueue, "pop", pop)


CANARIES: Final = {
    "lost capacity": _lost_capacity,
    "uncounted sample": _uncounted_sample,
    "lost item": _lost_item,
    "leaked task": _leaked_task,
    "unawaited task": _unawaited_task,
    "order dependence": _order_dependence,
    "kept sample": _kept_sample,
    "swallowed cancellation": _swallowed_cancellation,
    "missed wake-up": _missed_wake_up,
}
"""The planted faults, by name."""


def find(canary: str, schedules: int = 500) -> int | None:
    """Return the first seed below ``schedules`` that fails with a planted fault, or None."""
    with CANARIES[canary]():
        for seed in range(schedules):
            try:
                run_schedule(seed)
            except Exception:
                return seed
    return None
