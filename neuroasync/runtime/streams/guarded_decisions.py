"""An async generator of decisions that refuses to run outside its network's event loop."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, NoReturn

from neuroasync.core.copies import cannot_copy
from neuroasync.core.engine.decision import Decision

__all__ = ["GuardedDecisions"]


class GuardedDecisions(AsyncGenerator[Decision, None]):
    """The decisions of a watch or a stream, for one event loop.

    The check runs before the generator is resumed. An exception inside the generator would end it
    and abandon the sample; a refusal changes nothing, and the owner of the generator continues.

    Args:
        decisions: the generator; it has not begun.
        check: raises RuntimeError or ClosedError if the caller is not in the network's event loop.
    """

    __slots__ = ("_check", "_decisions")

    def __init__(
        self, decisions: AsyncGenerator[Decision, None], check: Callable[[], None]
    ) -> None:
        self._decisions = decisions
        self._check = check

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise cannot_copy(self, "session.snapshot() saves a stream")

    async def __anext__(self) -> Decision:
        """Return the next decision. Cancellation: the current sample is abandoned."""
        self._check()
        return await anext(self._decisions)

    async def asend(self, value: None) -> Decision:
        """Return the next decision. Cancellation: the current sample is abandoned."""
        self._check()
        return await self._decisions.asend(value)

    async def athrow(self, *error: Any) -> Decision:
        """Raise an exception inside the generator. Cancellation: the sample is abandoned."""
        self._check()
        return await self._decisions.athrow(*error)

    async def aclose(self) -> None:
        """Abandon the current sample and close the generator. Cancellation: it is closed."""
        self._check()
        await self._decisions.aclose()
