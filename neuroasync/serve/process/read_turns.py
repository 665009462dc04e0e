"""Turns for reading the parts of long requests and messages.

The event loop reads from every connection that has received data before it does anything else. If
a thousand clients send long bodies at the same time, that takes 0.1 s and more, in which no other
client gets a response. A connection that has received a part of a body or a long message therefore
stops reading, and reads on in its turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from uvicorn.protocols.http.flow_control import FlowControl

__all__ = ["ReadTurns", "TurnFlowControl"]

_MAX_RESUMED: Final = 8
"""Maximum number of connections that read on in one turn of the event loop. Each reads at most what
the system holds for it, 64 KB, which takes about 0.2 ms."""


class ReadTurns:
    """The connections of an event loop that wait until they may read on, in order."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def wait(self, loop: asyncio.AbstractEventLoop, resume: Callable[[], None]) -> None:
        """Call ``resume`` in a later turn of the event loop."""
        if not self._waiting:
            loop.call_soon(self._resume_next, loop)
        self._waiting.append(resume)

    def _resume_next(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(min(_MAX_RESUMED, len(self._waiting))):
            self._waiting.popleft()()
        if self._waiting:
            loop.call_soon(self._resume_next, loop)


class TurnFlowControl(FlowControl):
    """The flow control of an HTTP connection that may have to wait for its turn to read.

    Args:
        transport: The transport of the connection.
        turns: The turns of the worker.
    """

    def __init__(self, transport: asyncio.Transport, turns: ReadTurns) -> None:
        super().__init__(transport)
        self._turns = turns
        self._is_waiting = False

    def wait_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop reading until it is the turn of this connection, unless reading is paused anyway."""
        if self.read_paused or self._is_waiting:
            return
        self._is_waiting = True
        self._transport.pause_reading()
        self._turns.wait(loop, self._end_wait)

    def pause_reading(self) -> None:
        """Stop reading."""
        if not self._is_waiting:
            super().pause_reading()
        self.read_paused = True

    def resume_reading(self) -> None:
        """Read on, possibly in a later turn."""
        if not self._is_waiting:
            super().resume_reading()
        self.read_paused = False

    def _end_wait(self) -> None:
        self._is_waiting = False
        if not self.read_paused and not self._transport.is_closing():
            self._transport.resume_reading()
