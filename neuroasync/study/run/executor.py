"""Where the steps of a study run: in this process, one after the other, or on a cluster."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeAlias

__all__ = ["Executor", "LocalExecutor", "OnNetwork"]

OnNetwork: TypeAlias = Callable[[str, float, str], None]
"""Called with a network's name, the share of it that is done, 0 to 1, and its current activity."""


class Executor(Protocol):
    """Runs the steps of networks; see ``LocalExecutor``, and ``Cluster.executor``.

    Attributes:
        is_local: Whether steps run in this process, where they can write into the output folder.
    """

    is_local: bool

    @property
    def has_room(self) -> bool:
        """Whether the step of one more network should be submitted."""

    def share(self, value: object) -> Any:
        """Return what to submit for a large argument that several steps have."""

    def submit(self, name: str, step: Callable[..., Any], *args: Any) -> None:
        """Let ``step(*args, on_share)`` run for the network of this name."""

    def wait(self, on_network: OnNetwork) -> tuple[str, Any]:
        """Wait until a step has ended; return the name of its network and its result.

        An exception of the step is raised unchanged.
        """

    def close(self) -> None:
        """End all steps that are still running."""


class LocalExecutor:
    """Runs the steps in this process, which uses all cores for each."""

    is_local = True

    def __init__(self) -> None:
        self._submitted: list[tuple[str, Callable[..., Any]]] = []

    @property
    def has_room(self) -> bool:
        """Whether no step is waiting."""
        return not self._submitted

    def share(self, value: object) -> Any:
        """Return the value itself."""
        return value

    def submit(self, name: str, step: Callable[..., Any], *args: Any) -> None:
        """Keep the step until :meth:`wait`."""
        self._submitted.append((name, partial(step, *args)))

    def wait(self, on_network: OnNetwork) -> tuple[str, Any]:
        """Run the step that was submitted first."""
        name, step = self._submitted.pop(0)
        return name, step(partial(on_network, name))

    def close(self) -> None:
        """Do nothing, because no step runs after :meth:`wait`."""
