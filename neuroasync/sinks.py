"""Where decisions go: to a function, a queue, a websocket, or lines of JSON.

A sink is a function of one decision, plain or async::

    await pump(session.stream(source), print)
    await pump(session.stream(source), queue.put)  # a BoundedQueue
    await pump(session.stream(source), WebsocketSink(connection))
    async with JsonLines("decisions.jsonl") as sink:
        await pump(session.stream(source), sink)
"""

import asyncio
import inspect
import os
import threading
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Protocol, Self, TextIO, TypeAlias

from neuroasync.core.engine.decision import Decision
from neuroasync.errors import ClosedError
from neuroasync.messages import format_decision
from neuroasync.runtime.bounded_queue import WhenFull
from neuroasync.sources.buffered import buffered_items, closed_after
from neuroasync.sources.counts import SourceCounts

__all__ = ["JsonLines", "Sink", "WebsocketSink", "pump"]

Sink: TypeAlias = Callable[[Decision], Awaitable[object] | object]
"""What takes decisions, one at a time. A plain function must not block."""


async def pump(
    decisions: AsyncIterable[Decision],
    sink: Sink,
    *,
    capacity: int = 64,
    when_full: WhenFull = "block",
) -> SourceCounts:
    """Give each decision to ``sink``, in order, until there are no more.

    Decisions are made while the sink is still at work on those before. Up to ``capacity`` of them
    wait for it; then ``when_full`` says what happens: no more are made until there is room
    (``"block"``), the oldest or the newest is dropped, or QueueFullError ends it (``"error"``).

    Cancellation: safe; no task is left behind. Decisions that wait are lost.

    Args:
        decisions: a stream of them; closed in the end if it is an async generator, as those of a
            session are.
        sink: where they go.
        capacity: decisions that wait for the sink.
        when_full: what to do with one for which there is no room.

    Returns:
        How many the sink took (``accepted``), and how many were lost (``dropped``).

    Raises:
        TypeError: ``decisions`` cannot be iterated over, or ``sink`` is no function.
        ValueError: ``capacity`` or ``when_full`` is not valid.
        QueueFullError: there was no room, and ``when_full`` is ``"error"``; the sink has got what
            waited.
        Exception: what ``decisions`` or ``sink`` raises.
    """
    if not isinstance(decisions, AsyncIterable):
        raise TypeError(
            f"decisions: {type(decisions).__name__}, expected an async iterable of decisions, such "
            "as session.stream(source)"
        )
    if not callable(sink):
        raise TypeError(f"sink: {sink!r:.80}, expected a function of a decision")
    async with (
        closed_after(decisions),
        buffered_items(decisions, capacity, when_full, _one) as waiting,
    ):
        async for decision in waiting:
            done = sink(decision)
            if inspect.isawaitable(done):
                await done
    return waiting.counts


def _one(_: Decision) -> int:
    return 1


class _Connection(Protocol):
    """A websocket, of the library websockets for instance."""

    async def send(self, message: str | bytes, /) -> object: ...


class WebsocketSink:
    """Sends each decision as a message of :mod:`neuroasync.messages`, numbered from 0.

    ``latency_ms`` is the decision's ``wall_s``. A peer that does not read makes it wait.

    Cancellation: as of the connection.

    Args:
        connection: what has an async ``send``; the caller's to close.
        binary: send MessagePack, not JSON.
    """

    def __init__(self, connection: _Connection, *, binary: bool = False) -> None:
        self._connection = connection
        self._binary = binary
        self._sample = 0

    async def __call__(self, decision: Decision) -> None:
        """Send it."""
        message = format_decision(
            decision, self._sample, decision.wall_s * 1000, binary=self._binary
        )
        self._sample += decision.is_final
        await self._connection.send(message)


class JsonLines:
    """Writes each decision as a line of JSON, a message of :mod:`neuroasync.messages`.

    Samples are numbered from 0; ``latency_ms`` is the decision's ``wall_s``. Each line is written
    and flushed in a thread. To be used in ``async with``.

    Cancellation: a line that was begun is written to its end.

    Args:
        to: path of a file, which is written anew, or a text stream, which stays open.

    Raises:
        OSError: the file cannot be written; on entering the block, or in it.
    """

    def __init__(self, to: str | os.PathLike[str] | TextIO) -> None:
        self._to = to
        self._file: TextIO | None = None
        self._lock = threading.Lock()
        self._sample = 0

    async def __call__(self, decision: Decision) -> None:
        """Write a line, and flush it."""
        line = format_decision(decision, self._sample, decision.wall_s * 1000)
        self._sample += decision.is_final
        await asyncio.to_thread(self._write, f"{line!s}\n")

    async def __aenter__(self) -> Self:
        """Open the file."""
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await asyncio.to_thread(self._close)

    def _open(self) -> None:
        if isinstance(self._to, str | os.PathLike):
            self._file = open(self._to, "w", encoding="utf-8")  # noqa: SIM115  # closed with the block
        else:
            self._file = self._to

    def _write(self, line: str) -> None:
        with self._lock:
            if self._file is None:
                raise ClosedError("the file is not open; use the sink in an async with block")
            self._file.write(line)
            self._file.flush()

    def _close(self) -> None:
        with self._lock:
            if self._file is not None and self._file is not self._to:
                self._file.close()
            self._file = None
