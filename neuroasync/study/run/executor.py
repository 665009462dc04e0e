"""Where the tasks of a study run: in this process, one after the other, or on a cluster."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeAlias

__all__ = ["Executor", "LocalExecutor", "OnNetwork"]

OnNetwork: TypeAlias = Callable[[str, float, str], None]
"""Called with a network's name, the share of it that is done, 0 to 1, and its current activity."""


class Executor(Protocol):
    """Runs the tasks of networks; see ``LocalExecutor`` and ``ClusterExecutor``.

    Attributes:
        is_local: Whether tasks run in this process, where they can write into the output folder.
    """

    is_local: bool

    @property
    def has_room(self) -> bool:
        """Whether a task of one more network should be submitted."""

    def store(self, value: object) -> Any:
        """Store a large argument of several tasks, and return what to pass to :meth:`submit`."""

    def submit(self, name: str, task: Callable[..., Any], *args: Any) -> None:
        """Let ``task(*args, on_share)`` run for the network of this name."""

    def wait(self, on_network: OnNetwork) -> tuple[str, Any]:
        """Wait until a task has ended; return the name of its network and its result.

        An exception of the task is raised unchanged.
        """

    def close(self) -> None:
        """End all tasks that are still running."""


class LocalExecutor:
    """Runs the tasks in this process, which uses all cores for each."""

    is_local = True

    def __init__(self) -> None:
        self._submitted: list[tuple[str, Callable[..., Any]]] = []

    @property
    def has_room(self) -> bool:
        """Whether no task is waiting."""
        return not self._submitted

    def store(self, value: object) -> Any:
        """Return the value itself."""
        return value

    def submit(self, name: str, task: Callable[..., Any], *args: Any) -> None:
        """Keep the task until :meth:`wait`."""
        self._submitted.append((name, partial(task, *args)))

    def wait(self, on_network: OnNetwork) -> tuple[str, Any]:
        """Run the task that was submitted first."""
        name, task = self._submitted.pop(0)
        return name, task(partial(on_network, name))

    def close(self) -> None:
        """Do nothing, because no task runs after :meth:`wait`."""
