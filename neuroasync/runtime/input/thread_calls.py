"""Calls that run in threads, and that the owner of the threads can wait for."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

__all__ = ["ThreadCalls"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class ThreadCalls:
    """Short computations in threads, beside the event loop that starts them.

    A computation must not change anything that the event loop uses.
    """

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: set[asyncio.Future[Any]] = set()

    async def run(
        self,
        function: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Return what ``function`` returns in a thread.

        Cancellation: the thread ends on its own, and its result is dropped; see :meth:`join`.

        Raises:
            Exception: as ``function``.
        """
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(None, partial(function, *args, **kwargs))
        self._running.add(call)
        call.add_done_callback(self._end)
        await asyncio.wait((call,))  # in contrast to the call itself, this can be cancelled
        return call.result()

    async def join(self) -> None:
        """Wait until no thread is left. Cancellation: safe."""
        while self._running:
            await asyncio.wait(self._running)

    def _end(self, call: asyncio.Future[Any]) -> None:
        self._running.discard(call)
        if not call.cancelled():
            call.exception()  # asyncio logs an exception that nothing has retrieved
