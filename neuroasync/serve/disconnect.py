"""End the work for an HTTP request when its client leaves."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from neuroasync.serve.connection.websocket import GoneError

__all__ = ["run_while_connected"]

Result = TypeVar("Result")


async def run_while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of ``work``, or cancel it when the client leaves.

    Cancellation: cancels ``work`` and waits until it has ended.

    Args:
        request: The request. Its body must have been read.
        work: What to do for the request. Its exceptions are passed on.

    Raises:
        GoneError: The client has left.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise GoneError
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        # Both have ended when this function returns, and their errors count as seen.
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
