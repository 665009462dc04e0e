"""Runs coroutines from synchronous functions, also from those that a notebook calls."""

import asyncio
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

    A notebook runs its cells in an event loop, and a thread can only run one. The coroutine then
    runs in another thread. An interrupt of the waiting thread cancels it.

    Args:
        main: the coroutine.
        runner: runs it, if several coroutines share a loop; no other thread may use this loop.

    Returns:
        What the coroutine returns.

    Raises:
        BaseException: the exception of the coroutine.
    """

    def run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run(coroutine) if runner is None else runner.run(coroutine)

    if not _has_running_loop():
        return run(main)
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def cancellable() -> _Result:
        if (task := asyncio.current_task()) is not None:
            started.append((asyncio.get_running_loop(), task))
        return await main

    with ThreadPoolExecutor(1, "neuroasync") as pool:
        ended = pool.submit(run, cancellable())
        try:
            return ended.result()
        except BaseException:
            for loop, task in started:
                with suppress(RuntimeError):  # The loop is closed if the coroutine has ended.
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
