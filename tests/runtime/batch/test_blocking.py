"""A coroutine runs to its end from synchronous code, inside and outside a running loop."""

import asyncio
import contextvars
import threading
from concurrent.futures import Future

import pytest

from neuroasync.runtime.batch import blocking
from neuroasync.runtime.batch.blocking import close_runner, run_blocking


async def doubled(value):
    await asyncio.sleep(0)
    return 2 * value


async def failing():
    raise ZeroDivisionError


async def call(function):
    """Call a synchronous function in a running loop, as the cell of a notebook does."""
    return function()


def test_the_result_is_returned():
    assert run_blocking(doubled(2)) == 4
    assert asyncio.run(call(lambda: run_blocking(doubled(2)))) == 4


def test_an_exception_is_raised():
    with pytest.raises(ZeroDivisionError):
        run_blocking(failing())
    with pytest.raises(ZeroDivisionError):
        asyncio.run(call(lambda: run_blocking(failing())))


def test_a_runner_keeps_its_loop():
    loops = []

    async def note():
        loops.append(asyncio.get_running_loop())

    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    run_blocking(note(), runner)
    asyncio.run(call(lambda: run_blocking(note(), runner)))
    assert loops[0] is loops[1]
    asyncio.run(call(lambda: close_runner(runner)))
    assert loops[0].is_closed()
    close_runner(runner)


@pytest.mark.parametrize("is_early", [False, True], ids=["running", "not begun"])
def test_an_interrupt_of_the_waiting_thread_cancels_the_coroutine(monkeypatch, is_early):
    may_begin, is_running, is_cancelled = (threading.Event() for _ in range(3))

    async def wait():
        is_running.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    class Interrupted(Future):
        def result(self, timeout=None):
            if not is_early:
                may_begin.set()
                is_running.wait()
            raise KeyboardInterrupt

    class Pool(blocking.ThreadPoolExecutor):
        def submit(self, function, *args):
            super().submit(lambda: may_begin.wait() and function(*args))
            return Interrupted()

        def shutdown(self, *args, **kwargs):
            may_begin.set()
            super().shutdown(*args, **kwargs)

    monkeypatch.setattr(blocking, "ThreadPoolExecutor", Pool)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(call(lambda: run_blocking(wait())))
    assert is_cancelled.is_set() is not is_early
    assert is_running.is_set() is not is_early


def test_the_coroutine_has_the_context_of_the_caller():
    variable = contextvars.ContextVar("variable", default=0)

    async def read():
        return variable.get()

    def check():
        variable.set(5)
        return run_blocking(read())

    assert check() == 5
    assert asyncio.run(call(check)) == 5
