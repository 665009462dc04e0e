"""Sinks of decisions: a function, a queue, a websocket, or lines of JSON.

A sink is a plain or async function that takes one decision::

    await pump(session.stream(source), print)
    await pump(session.stream(source), queue.put)  # a BoundedQueue
    await pump(session.stream(source), WebsocketSink(connection))
    async with JsonLines("decisions.jsonl") as sink:
        await pump(session.stream(source), sink)
"""

import errno
import inspect
import os
import threading
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Final, NoReturn, Protocol, Self, TextIO, TypeAlias

from neuroasync.core.copies import cannot_copy
from neuroasync.core.engine.decision import Decision
from neuroasync.core.model.checks import must_be, shown
from neuroasync.errors import ClosedError
from neuroasync.messages import format_decision
from neuroasync.runtime.bounded_queue import WhenFull
from neuroasync.sources.buffered import buffered_items, closed_after
from neuroasync.sources.counts import SourceCounts
from neuroasync.sources.worker_thread import run_in_thread

__all__ = ["JsonLines", "Sink", "WebsocketSink", "pump"]

_NOT_OPEN: Final = "the file is not open; use the sink in an 'async with' block"

Sink: TypeAlias = Callable[[Decision], Awaitable[object] | object]
"""A function that takes one decision. A plain function must not block."""


async def pump(
    decisions: AsyncIterable[Decision],
    sink: Sink,
    *,
    capacity: int = 64,
    when_full: WhenFull = "block",
) -> SourceCounts:
    """Pass each decision to ``sink``, in order, until the stream ends.

    Further decisions are made while the sink handles earlier ones. At most ``capacity`` decisions
    wait for the sink. When the queue is full, ``when_full`` decides: the stream waits
    (``"block"``), the oldest or newest decision is dropped, or QueueFullError ends the pump
    (``"error"``).

    Cancellation: safe; no task is left behind. Decisions that wait are lost.

    Args:
        decisions: a stream of decisions. An async generator, such as that of a session, is closed
            at the end.
        sink: the function that takes the decisions.
        capacity: maximum number of decisions that wait for the sink.
        when_full: what to do when the queue is full.

    Returns:
        Counts of the decisions that the sink received (``accepted``) and that were lost
        (``dropped``).

    Raises:
        TypeError: ``decisions`` is not an async iterable, or ``sink`` is not callable.
        ValueError: ``capacity`` or ``when_full`` is not valid.
        QueueFullError: the queue was full and ``when_full`` is ``"error"``; the sink has received
            the decisions that waited.
        Exception: any error of ``decisions`` or ``sink``.
    """
    if not isinstance(decisions, AsyncIterable):
        raise TypeError(
            "`decisions` must be an async iterable of decisions, such as session.stream(source), "
            f"got {type(decisions).__name__}"
        )
    if not callable(sink):
        raise TypeError(f"`sink` must be a function of a decision, got {sink!r:.80}")
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
    """A websocket, for example of the library websockets."""

    async def send(self, message: str | bytes, /) -> object: ...


class WebsocketSink:
    """A sink that sends each decision as a message of :mod:`neuroasync.messages`.

    Samples are numbered from 0; ``latency_ms`` is the ``wall_s`` of the decision. A peer that does
    not read makes the sink wait.

    Cancellation: as safe as ``connection.send`` is.

    Args:
        connection: an object with an async method ``send``; the caller closes it.
        binary: whether to send MessagePack instead of JSON.

    Raises:
        TypeError: ``connection`` has no method ``send``.
    """

    def __init__(self, connection: _Connection, *, binary: bool = False) -> None:
        if not callable(getattr(connection, "send", None)):
            requirement = "a websocket with an async method `send`"
            raise TypeError(must_be("connection", requirement, shown(connection)))
        self._connection = connection
        self._binary = binary
        self._sample = 0

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied, because it numbers the samples of one stream."""
        raise cannot_copy(self, "create another")

    async def __call__(self, decision: Decision) -> None:
        """Send a decision.

        Cancellation: the message may have been sent or not; the sample's number is used up.

        Raises:
            TypeError: ``connection.send`` is not async; the message may have been sent.
        """
        message = format_decision(
            decision, self._sample, decision.wall_s * 1000, binary=self._binary
        )
        self._sample += decision.is_final
        sending = self._connection.send(message)
        if not inspect.isawaitable(sending):
            raise TypeError(
                must_be("connection", "a websocket whose `send` is async", shown(self._connection))
            )
        await sending


class JsonLines:
    """A sink that writes each decision as a line of JSON; use it in ``async with``.

    The lines are messages of :mod:`neuroasync.messages`. Samples are numbered from 0 in each
    block; ``latency_ms`` is the ``wall_s`` of the decision. Each line is written and flushed in a
    thread.

    Cancellation: a line is always written completely.

    Args:
        to: path of a file, which is overwritten, or a text stream, which stays open.

    Raises:
        TypeError: ``to`` is neither.
        OSError: the file cannot be written, on entering the block or inside it.
    """

    def __init__(self, to: str | os.PathLike[str] | TextIO) -> None:
        if not isinstance(to, str | os.PathLike) and not hasattr(to, "write"):
            raise TypeError(must_be("to", "the path of a file, or a text stream", shown(to)))
        self._to = to
        self._file: TextIO | None = None
        self._is_wanted = False
        self._lock = threading.Lock()
        self._lines: deque[str] = deque()
        self._sample = 0

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied, because it numbers the samples of one stream."""
        raise cannot_copy(self, "create another")

    async def __call__(self, decision: Decision) -> None:
        """Write the decision as a line and flush it.

        Cancellation: the thread writes the line nevertheless.

        Raises:
            ClosedError: the file is not open.
            OSError: a line cannot be written.
        """
        if self._file is None:
            raise ClosedError(_NOT_OPEN)
        line = format_decision(decision, self._sample, decision.wall_s * 1000)
        self._sample += decision.is_final
        self._lines.append(f"{line!s}\n")
        await run_in_thread(self._write)

    async def __aenter__(self) -> Self:
        """Open the file.

        Cancellation: the file is not open, but it may have been created or emptied.

        Raises:
            RuntimeError: the sink is in an ``async with`` block already.
            OSError: the file cannot be opened.
        """
        if self._is_wanted:
            raise RuntimeError("the sink is open already; create another one for another stream")
        self._is_wanted = True
        try:
            await run_in_thread(self._open)
        except BaseException:
            await run_in_thread(self._close)
            raise
        self._sample = 0
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file, after writing the lines of cancelled calls.

        Cancellation: the thread closes it nevertheless.

        Raises:
            OSError: a line cannot be written.
        """
        await run_in_thread(self._close)

    def _open(self) -> None:
        with self._lock:
            if not self._is_wanted:  # the task was cancelled before a thread was free
                return
            if not isinstance(self._to, str | os.PathLike):
                self._file = self._to
                return
            try:
                self._file = open(self._to, "w", encoding="utf-8")  # noqa: SIM115  # Closed by __aexit__.
            except ValueError as error:  # the path has a null character, or is not Unicode
                raise OSError(errno.EINVAL, str(error), os.fspath(self._to)) from error

    def _write(self) -> None:
        with self._lock:
            self._write_lines()

    def _write_lines(self) -> None:
        # Threads may start in any order, so each of them writes all lines that wait.
        while self._lines:
            line = self._lines.popleft()
            if self._file is None:
                raise ClosedError(_NOT_OPEN)
            self._file.write(line)
            self._file.flush()

    def _close(self) -> None:
        with self._lock:
            self._is_wanted = False
            file = self._file
            if file is None:
                return
            try:
                self._write_lines()
            finally:
                self._lines.clear()
                self._file = None
                if file is not self._to:
                    file.close()
