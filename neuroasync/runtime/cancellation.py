"""Tells the cancellation of a task from an error that user code raises in it."""

import asyncio

__all__ = ["ends_this_task"]


def ends_this_task(error: BaseException) -> bool:
    """Return whether ``error``, which user code let through, must leave the running task.

    KeyboardInterrupt and SystemExit end the event loop. A CancelledError ends the task if the task
    was cancelled; otherwise user code has raised it, for example because a future of its own was
    cancelled. All other exceptions are the outcome of the user code.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return True
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
