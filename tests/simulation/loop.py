"""An event loop that makes every choice of a schedule at random, from one seed.

A real event loop decides a hundred times in a millisecond which task runs next, and a bug may need
one particular order. :class:`SimulatedLoop` makes these choices with a random number generator,
so that each seed is another schedule, and the same seed is the same schedule again:

* which of the ready tasks runs next. Callbacks that are not tasks stay in the order in which they
  were scheduled, because asyncio and uvloop promise that order;
* when a job of ``run_in_executor`` starts and when its result arrives, as separate steps. Jobs
  run in the thread of the loop;
* how long a piece of code takes: each reading of a clock may advance it a little, and the clock
  may jump between two steps. If nothing is ready, the clock advances to the next timer.

Nothing waits in real time. A state in which nothing can ever run again raises
:class:`DeadlockError` with the place where each task waits.
"""

import asyncio
import contextlib
import heapq
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final
from unittest import mock
from zlib import crc32

from tests.helpers.clock_loop import ClockLoop

__all__ = ["DeadlockError", "EndlessError", "SimulatedLoop", "simulated_time"]

_MAX_STEPS: Final = 200_000
_MAX_JUMP_S: Final = 12.0
"""Longer than the timeouts of the scenarios. During a longer jump, a stream would have too many
windows."""


class DeadlockError(Exception):
    """Tasks wait for something that cannot happen any more."""


class EndlessError(Exception):
    """The schedule has more steps than any scenario needs."""


class SimulatedLoop(ClockLoop):
    """An event loop that runs the schedule of a seed.

    Args:
        random: makes all choices.
        jump_rate: probability that the clock jumps before a step.
        tick_s: mean of how far the clock advances when it is read, s.

    Attributes:
        steps: number of callbacks that have run.
        trace: a checksum of all choices, which two runs of a seed share.
        before_step: called before each step; it may cancel tasks.
        jobs: jobs of executors that have not ended.
        problems: contexts that were passed to the exception handler.
    """

    def __init__(self, random: Random, *, jump_rate: float = 0.0, tick_s: float = 0.0) -> None:
        super().__init__()
        self.steps = 0
        self.trace = 0
        self.before_step: Callable[[], None] = lambda: None
        self.problems: list[dict[str, Any]] = []
        self.jobs: set[_Job] = set()
        self._random = random
        self._jump_rate = jump_rate
        self._tick_s = tick_s
        self._number_of: weakref.WeakKeyDictionary[asyncio.Future[Any], int] = (
            weakref.WeakKeyDictionary()
        )
        self._numbers = 0
        self._parents: dict[int, int] = {}
        self.set_exception_handler(lambda _, context: self.problems.append(context))
        self.set_task_factory(self._create_task)

    def calm(self) -> None:
        """Let the clock advance only to timers from now on."""
        self._jump_rate = self._tick_s = 0.0

    def read_clock(self) -> float:
        """Return the time in seconds, as code sees it that reads a clock and takes time itself."""
        if self._tick_s and self._random.random() < 0.5:
            self.advance(self._random.expovariate(1 / self._tick_s))
        return self.time()

    def pending_futures(self) -> list[asyncio.Future[Any]]:
        """Return the futures that exist and are not done."""
        return [future for future in self._number_of if not future.done()]

    def descendants(self, task: asyncio.Task[Any]) -> list[asyncio.Task[Any]]:
        """Return the tasks that are running and that ``task``, or one of these, has created."""
        ancestor, running = self._number_of[task], asyncio.all_tasks(self)
        return [t for t in running if ancestor in self._line(self._number_of[t])]

    def _line(self, number: int) -> Iterator[int]:
        """Yield the numbers of the tasks that led to a task, the latest first."""
        while number in self._parents:
            number = self._parents[number]
            yield number

    def pending_timers(self) -> list[asyncio.TimerHandle]:
        """Return the timers that would still fire."""
        return [timer for timer in self._scheduled if not timer.cancelled()]

    def create_future(self) -> asyncio.Future[Any]:
        future = super().create_future()
        self._register(future)
        return future

    def run_in_executor(self, executor, func, *args):
        """Run a job in the loop's own thread, in a later step. Its result takes another step.

        As in a pool of threads, a job can be cancelled before it starts; later, only its result
        is discarded.
        """
        self._numbers += 1
        job = _Job(self, self._numbers, func, args)
        self.call_soon(job.start)
        return job.result

    def _create_task(self, loop, coroutine, **options):
        task = asyncio.Task(coroutine, loop=loop, **options)
        self._register(task)
        if (parent := asyncio.current_task(self)) is not None:
            self._parents[self._numbers] = self._number_of[parent]
        return task

    def _register(self, future: asyncio.Future[Any]) -> None:
        self._numbers += 1
        self._number_of[future] = self._numbers

    def _run_once(self) -> None:
        """Run one callback, where asyncio runs all that are ready."""
        self.steps += 1
        if self.steps > _MAX_STEPS:
            raise EndlessError(f"no end after {_MAX_STEPS} steps: {_waits(self)}")
        self.before_step()
        if self._jump_rate and self._random.random() < self._jump_rate:
            self.advance(min(self._random.expovariate(1) ** 3, _MAX_JUMP_S))
        self._collect_timers()
        if not self._ready:
            if not self._scheduled:
                raise DeadlockError(f"nothing can run any more: {_waits(self)}")
            self.advance(self._scheduled[0].when() - self.time())
            self._collect_timers()
        handle = self._choose()
        if not handle.cancelled():
            handle._run()

    def _collect_timers(self) -> None:
        """Move the timers that are due to the ready callbacks, and remove cancelled ones."""
        timers, now_s = self._scheduled, self.time()
        while timers and (timers[0].cancelled() or timers[0].when() <= now_s):
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if not timer.cancelled():
                self._ready.append(timer)

    def _choose(self) -> asyncio.Handle:
        """Remove one of the ready callbacks and return it."""
        # The order in which tasks became ready may depend on addresses in memory, where a set of
        # objects was iterated. The order of their creation does not.
        candidates: dict[int, asyncio.Handle] = {}
        for handle in self._ready:
            owner = getattr(handle._callback, "__self__", None)
            if isinstance(owner, asyncio.Task):
                candidates.setdefault(self._number_of[owner], handle)
            else:
                candidates.setdefault(owner.number if isinstance(owner, _Job) else 0, handle)
        number = self._random.choice(sorted(candidates))
        self.trace = crc32(f"{number} {len(candidates)}".encode(), self.trace)
        self._ready.remove(candidates[number])
        return candidates[number]


class _Job:
    """A job of an executor, which the loop starts in one step and whose result it sets in another.

    Attributes:
        number: number of the job among the tasks and futures of the loop.
        result: the future that the caller awaits.
    """

    def __init__(
        self, loop: SimulatedLoop, number: int, func: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        self.number = number
        self.result = loop.create_future()
        self._loop = loop
        self._func = func
        self._args = args
        self._value: Any = None
        self._error: BaseException | None = None
        loop.jobs.add(self)

    def start(self) -> None:
        if self.result.cancelled():
            self._loop.jobs.discard(self)
            return
        # In a thread, no event loop is running.
        asyncio._set_running_loop(None)
        try:
            self._value = self._func(*self._args)
        except BaseException as error:
            self._error = error
        finally:
            asyncio._set_running_loop(self._loop)
        self._loop.call_soon(self.finish)

    def finish(self) -> None:
        self._loop.jobs.discard(self)
        if self.result.cancelled():
            return
        if self._error is None:
            self.result.set_result(self._value)
        else:
            self.result.set_exception(self._error)


def _waits(loop: SimulatedLoop) -> str:
    """Return where each task waits."""
    lines = []
    for task in asyncio.all_tasks(loop):
        stack = task.get_stack(limit=1)
        at = f"{stack[0].f_code.co_qualname}:{stack[0].f_lineno}" if stack else "?"
        lines.append(f"{task.get_name()} in {at}")
    return "; ".join(sorted(lines))


@contextlib.contextmanager
def simulated_time(loop: SimulatedLoop) -> Iterator[None]:
    """Let ``time.monotonic`` and ``time.perf_counter`` return the time of the loop.

    Only readings in this thread advance the clock, so that threads cannot disturb the schedule.
    """
    thread = threading.get_ident()

    def read() -> float:
        return loop.read_clock() if threading.get_ident() == thread else loop.time()

    with mock.patch.multiple(time, monotonic=read, perf_counter=read):
        yield
