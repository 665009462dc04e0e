"""Run a coroutine from synchronous code, also inside a running event loop, as in a notebook."""

import asyncio
import contextvars
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["close_runner", "run_blocking"]

_Result = TypeVar("_Result")


def run_blocking(
    main: Coroutine[Any, Any, _Result], runner: asyncio.Runner | None = None
) -> _Result:
    """Run a coroutine in an event loop of its own, and wait until it has ended.

    If this thread has a running event loop, the coroutine runs in another thread, with a copy of
    the context variables. The loop of this thread stands still meanwhile. If this thread gets a
    ``KeyboardInterrupt``, as in a notebook, the coroutine is cancelled. Under ``asyncio.run``, the
    first Ctrl-C takes effect only when the coroutine has ended.

    Args:
        main: the coroutine.
        runner: the runner to use, if several calls share an event loop.

    Returns:
        What the coroutine returns.

    Raises:
        Exception: the exception of the coroutine.
    """

    def run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run(coroutine) if runner is None else runner.run(coroutine)

    if not _has_running_loop():
        return run(main)
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[_Result]]] = []
    is_interrupted = False

    async def cancellable() -> _Result:
        task = asyncio.create_task(main)
        tasks.append((asyncio.get_running_loop(), task))
        if is_interrupted:  # before this coroutine had begun
            task.cancel()
        return await task

    with ThreadPoolExecutor(1, "neuroasync") as pool:
        ended = pool.submit(contextvars.copy_context().run, run, cancellable())
        try:
            return ended.result()
        except BaseException:
            if not ended.done():  # This thread was interrupted.
                is_interrupted = True
                for loop, task in tasks:
                    with suppress(RuntimeError):  # The coroutine has ended meanwhile.
                        loop.call_soon_threadsafe(task.cancel)
            raise


def close_runner(runner: asyncio.Runner) -> None:
    """Close a runner, in another thread if this one has a running event loop."""
    if not _has_running_loop():
        runner.close()
        return
    with ThreadPoolExecutor(1, "neuroasync") as pool:
        pool.submit(runner.close).result()


def _has_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
