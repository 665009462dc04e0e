"""Ray tasks whose exceptions are those of the function, with results in an event loop."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import ray
from ray.exceptions import RayError

from neuroasync.core.cpu import limited_cores
from neuroasync.errors import NeuroasyncError

__all__ = ["TASKS_PER_CPU", "ClusterError", "Failure", "call", "cancel", "result_of", "submit"]

TASKS_PER_CPU: Final = 2
"""Number of tasks that are submitted for each core, so that a worker that ends one finds the next
one waiting."""

_CPUS: Final = 1
"""Number of cores that a task may use."""

_MAX_RETRIES: Final = 10
"""How often Ray repeats a task whose worker was lost."""

_CANCEL_AGAIN_S: Final = 1.0
"""Time after which tasks that have not ended are cancelled again, s. Ray loses a cancellation that
reaches the worker just before it starts the task."""


class ClusterError(NeuroasyncError, RuntimeError):
    """The cluster cannot be reached, or Ray could not run a task, even after retries."""


class Failure:
    """An exception of a task. Ray would wrap it in another one that shows its own call stack."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        # Notes name the sample. Not every exception keeps them in a pickle.
        self.notes: tuple[str, ...] = tuple(getattr(error, "__notes__", ()))

    def exception(self) -> Exception:
        """Return the exception with its notes."""
        for note in self.notes[len(getattr(self.error, "__notes__", ())) :]:
            self.error.add_note(note)
        return self.error


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a worker; return its result, or a ``Failure``."""
    try:
        with limited_cores(_CPUS):
            return function(*args)
    except Exception as error:
        return Failure(error)


_remote = ray.remote(num_cpus=_CPUS, max_retries=_MAX_RETRIES)(call)


def submit(function: Callable[..., Any], *args: Any) -> Any:
    """Submit a call as a Ray task for one CPU, and return the reference to its result.

    Ray repeats the call if its worker is lost, so the call must have no other effect than its
    result.

    Args:
        function: a function of a module that the workers can import.
        *args: its arguments; Ray replaces references by the objects they refer to.
    """
    return _remote.remote(function, *args)


async def result_of(task: Any) -> Any:
    """Return the result of a task.

    Cancellation: safe; the task still runs until :func:`cancel`.

    Raises:
        ClusterError: Ray could not run the task.
        Exception: the exception of the function, unchanged.
    """
    try:
        result = await asyncio.wrap_future(task.future())
    except RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # The last line of a traceback states the error; other messages begin with it.
        reason = lines[-1] if isinstance(error, ray.exceptions.RayTaskError) else lines[0]
        raise ClusterError(f"Ray could not run a task: {reason}") from error
    if isinstance(result, Failure):
        raise result.exception()
    return result


async def cancel(tasks: Sequence[Any], *, force: bool = False) -> None:
    """Cancel tasks, and wait until they have ended.

    Cancellation: the tasks have been told to end, and may still run for a moment.

    Args:
        tasks: the tasks.
        force: whether to end their worker processes, instead of interrupting them.
    """
    running = list(tasks)
    while running:
        for task in running:
            ray.cancel(task, force=force)
        _, running = await asyncio.to_thread(
            ray.wait,
            running,
            num_returns=len(running),
            timeout=_CANCEL_AGAIN_S,
            fetch_local=False,
        )
