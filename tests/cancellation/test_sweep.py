"""Each public coroutine keeps its promises when it is cancelled, at each of its suspensions."""

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

import neuroasync as na
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.serve import create_app
from tests.cancellation import (
    clock_cases,
    network_cases,
    queue_cases,
    server_cases,
    session_cases,
    source_cases,
)
from tests.cancellation.public_coroutines import public_coroutines
from tests.cancellation.suspensions import CASES, Cut, When
from tests.cancellation.undisturbed import BUNDLE

_MODULES = (clock_cases, network_cases, queue_cases, server_cases, session_cases, source_cases)
_MAX_SUSPENSIONS = 400

_NOT_SWEPT = {
    "Cluster.run_job": "its waits depend on Ray; tests/cluster cancels it",
    "Cluster.train_dataset": "its waits depend on Ray; tests/cluster cancels it",
    "Session.__aenter__": "it never suspends",
    "Source.__aexit__": "it is aclose()",
}


def eager_loop() -> asyncio.AbstractEventLoop:
    """Return an asyncio loop whose tasks begin to run when they are created."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def uvloop_loop() -> asyncio.AbstractEventLoop:
    return pytest.importorskip("uvloop").new_event_loop()


LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(
        uvloop_loop,
        id="uvloop",
        marks=pytest.mark.skipif(sys.platform == "win32", reason="uvloop does not run on Windows"),
    ),
    pytest.param(
        eager_loop,
        id="eager tasks",
        marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks need Python 3.12"),
    ),
]


@pytest.mark.parametrize("when", ["suspended", "woken"])
@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("name", sorted(CASES))
def test_cancellation_at_each_suspension_keeps_the_promises(
    name: str, new_loop: Callable[[], asyncio.AbstractEventLoop], when: When
):
    with asyncio.Runner(loop_factory=new_loop) as runner:
        for at in range(1, _MAX_SUSPENSIONS):
            cut = Cut(at, when)
            runner.run(_checked(name, cut))
            if cut.has_ended:
                return
    pytest.fail(f"the call has more than {_MAX_SUSPENSIONS} suspensions")


async def _checked(name: str, cut: Cut) -> None:
    """Run a case, and check that it leaves no task, no thread of a job and no descriptor."""
    problems: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(context))
    # With slices of length 0, a session yields wherever it can.
    TimeSlice._by_loop[loop] = TimeSlice(0.0)
    await asyncio.to_thread(int)  # creates the thread pool and what it needs
    before = _descriptors()
    try:
        await CASES[name][1](cut)
    except BaseException as error:
        error.add_note(f"the call was cancelled at suspension {cut._at}")
        raise
    await _none_left("tasks", lambda: asyncio.all_tasks() - {asyncio.current_task()})
    await _none_left("descriptors", lambda: _descriptors() - before)
    await _none_left("threads", _threads_of_jobs)
    assert not problems, f"cancelled at suspension {cut._at}: {problems}"


async def _none_left(kind: str, found: Callable[[], Collection[object]]) -> None:
    """Wait for the end of what may take a moment, such as closing a socket."""
    for turn in range(1000):
        if not (left := found()):
            return
        if turn == 20:
            gc.collect()
        await asyncio.sleep(0 if turn < 20 else 0.001)
    raise AssertionError(f"{kind} are left: {left}")


def _descriptors() -> set[str]:
    """Return the open descriptors, each with what it refers to; on other systems, none."""
    found = set()
    for path in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # the one that lists the others is closed by now
            found.add(f"{path.name}: {path.readlink()}")
    # uvloop keeps one in reserve once it listens.
    return {descriptor for descriptor in found if not descriptor.endswith("/dev/null")}


def _threads_of_jobs() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("neuroasync")]


def test_every_public_coroutine_is_swept():
    swept = {name for covers, _ in CASES.values() for name in covers}
    assert public_coroutines() - swept - set(_NOT_SWEPT) == set()


def test_every_route_of_the_server_is_swept():
    swept = {name for covers, _ in CASES.values() for name in covers}
    app = create_app(na.Network(BUNDLE))
    routes = {route.path for route in app.routes if "{" not in route.path}
    assert routes - swept == set()


def test_a_call_that_swallows_a_cancellation_is_found():
    async def swallows() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    with pytest.raises(AssertionError, match=r"swallowed a cancellation"):
        asyncio.run(Cut(1, "suspended")(swallows()))


@pytest.mark.parametrize("when", ["suspended", "woken"])
def test_cancellations_arrive_at_the_suspension_that_was_chosen(when):
    reached = []

    async def work(cut: Cut) -> None:
        async def steps() -> None:
            for k in range(3):
                reached.append(k)
                await asyncio.sleep(0.001 if k else 0)

        await cut(steps())

    for at in range(1, 6):
        reached.clear()
        cut = Cut(at, when)
        asyncio.run(work(cut))
        assert (len(reached), cut.is_cancelled, cut.has_ended) == (min(at, 3), at <= 3, at > 3)
