"""Checks that an open network is used in its own event loop only."""

import asyncio
import threading
from asyncio import _get_running_loop as running_loop  # returns None for none, and never raises

__all__ = ["LoopGuard", "running_loop"]


class LoopGuard:
    """The event loop in which a network is open, and the thread that runs it.

    The guard is created in that loop.

    Attributes:
        loop: the event loop.
    """

    __slots__ = ("_thread", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def check_running(self) -> None:
        """Check that the loop is running in this thread.

        Raises:
            RuntimeError: another loop is running here, or none.
        """
        if (running := running_loop()) is not self.loop:
            raise RuntimeError(self._problem(running))

    def check_caller(self) -> None:
        """Check that no other loop and no other thread uses the network.

        Unlike :meth:`check_running`, it lets the thread of the loop through while no loop is
        running: nothing can interfere then, and a method that does not wait needs no loop.

        Raises:
            RuntimeError: another loop is running here, or this is another thread.
        """
        if (running := running_loop()) is self.loop:
            return
        if running is not None or threading.get_ident() != self._thread:
            raise RuntimeError(self._problem(running))

    def _problem(self, running: asyncio.AbstractEventLoop | None) -> str:
        """Return why the network cannot be used while ``running`` runs here, and a remedy."""
        if self.loop.is_closed():
            return (
                "the network was opened in an event loop that has ended; create a new network, "
                "and close it before its loop ends"
            )
        if running is not None:
            return "the network is open in another event loop; create one network for each loop"
        if threading.get_ident() == self._thread:
            return "the network is open in an event loop that is not running; call it from there"
        return (
            "the network is open in the event loop of another thread; pass the call to that loop, "
            "for example with asyncio.run_coroutine_threadsafe"
        )
