"""One server process: uvicorn, with a shutdown that first answers all accepted samples."""

import asyncio
import contextlib
import gc
import logging
import math
import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any, Final, cast

import uvicorn
from starlette.applications import Starlette

from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.process.connection_limits import ConnectionLimits, files_for_connections
from neuroasync.serve.process.connection_table import ConnectionTable
from neuroasync.serve.process.http_protocol import HttpProtocol
from neuroasync.serve.process.signals import DRAIN_SIGNALS, handled_signals
from neuroasync.serve.process.uvicorn_protocol import WebsocketProtocol
from neuroasync.serve.server_state import ServerState

__all__ = ["serve_app"]

log: Final = logging.getLogger("neuroasync.serve")
_UVICORN_SHUTDOWN_S: Final = 1
"""How long uvicorn may take to shut down after draining, in seconds."""

_CLOSING_S: Final = 1.0
"""How long clients may take to answer the close frames of the shutdown, in seconds."""

_CLOSING_POLL_S: Final = 0.02
"""How often the server looks whether they have answered, in seconds."""

_ACCEPTS_PER_TURN: Final = 32
"""Maximum number of connections that are accepted in one turn of the event loop."""


class _Server(uvicorn.Server):
    """A uvicorn server that drains before it closes connections.

    Unlike uvicorn's, it does not raise the signal again after the shutdown, so that the process can
    return its own exit code.

    Args:
        config: Configuration of uvicorn.
        server_state: State of the app, to drain at the shutdown.
        shutdown_timeout_s: Maximum duration of the shutdown, in seconds.
        on_ready: Called once the server listens.
        on_stopping: Called once the server takes no new work.

    Attributes:
        is_clean: Whether all accepted samples were answered, except for clients that do not read
            their responses.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        shutdown_timeout_s: float,
        on_ready: Callable[[], None],
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._server_state = server_state
        self._shutdown_timeout_s = shutdown_timeout_s
        self._on_ready = on_ready
        self._on_stopping = on_stopping
        self._drain_timeout: asyncio.Timeout | None = None
        self.is_clean = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and report that the server is ready."""
        await super().startup(sockets)
        if (parent := multiprocessing.parent_process()) is not None:
            asyncio.get_running_loop().add_reader(parent.sentinel, self._handle_lost_parent)
        # All objects that exist now stay until the end. Freezing them keeps full collections from
        # scanning them, which would stop the event loop for about 30 ms.
        gc.collect()
        gc.freeze()
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer all accepted samples, then close the connections that are still open."""
        self._on_stopping()
        # Draining waits for all requests, also for those whose body never ends.
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpProtocol):
                connection.stop_receiving()
        # The answers to the close frames and the shutdown of uvicorn itself need some of the time.
        timeout_s = self._shutdown_timeout_s
        closing_s = min(_CLOSING_S, timeout_s / 4)
        drain_s = max(timeout_s - closing_s - _UVICORN_SHUTDOWN_S, timeout_s / 2)
        self._drain_timeout = asyncio.timeout(drain_s)
        try:
            async with self._drain_timeout:
                await self._server_state.drain()
        except TimeoutError:
            self.is_clean = self._server_state.is_blocked()
            self._server_state.abort_connections()
            if not self.is_clean:
                log.warning(
                    "shutdown timeout: not all accepted samples were answered",
                    extra={"shutdown_timeout_s": timeout_s},
                )
        await self._wait_for_close_frames(closing_s)
        await super().shutdown(sockets)
        if self.force_exit:
            # Uvicorn does not end the app then, and logs a traceback when the app is cancelled.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_UVICORN_SHUTDOWN_S):
                    await self.lifespan.shutdown()

    async def _wait_for_close_frames(self, timeout_s: float) -> None:
        """Wait until the clients have answered the close frames.

        A connection that is closed while data arrives is reset. Its client then loses the responses
        that it has not read.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        # Uvicorn has no event for the end of its connections.
        while self._awaits_close_frame() and loop.time() < end_s:  # noqa: ASYNC110
            await asyncio.sleep(_CLOSING_POLL_S)

    def _awaits_close_frame(self) -> bool:
        connections = () if self.force_exit else self.server_state.connections
        return any(isinstance(c, WebsocketProtocol) and c.close_sent for c in connections)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start draining at the first signal. Stop waiting at the second one."""
        del frame
        if not self.should_exit:
            self.should_exit = True
        elif not self.force_exit:
            self.force_exit = True
            if self._drain_timeout is not None:
                loop = asyncio.get_running_loop()
                # A signal handler may interrupt the loop anywhere, so it must not change a timer
                # directly.
                loop.call_soon_threadsafe(self._stop_draining)

    def _stop_draining(self) -> None:
        if self._drain_timeout is not None:
            # Draining may have ended since the signal arrived.
            with contextlib.suppress(RuntimeError):
                self._drain_timeout.reschedule(asyncio.get_running_loop().time())

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Route signals to :meth:`handle_exit` while the server runs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[int, Any] = dict.fromkeys(DRAIN_SIGNALS, self.handle_exit)
        if multiprocessing.parent_process() is not None:
            # A terminal sends SIGINT and SIGHUP to all processes. The parent process then sends
            # SIGTERM to its workers, which would otherwise count as a second signal.
            handlers |= dict.fromkeys(set(DRAIN_SIGNALS) - {signal.SIGTERM}, signal.SIG_IGN)
        with handled_signals(handlers):
            yield

    def _handle_lost_parent(self) -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            asyncio.get_running_loop().remove_reader(parent.sentinel)
        log.warning("shutting down: the parent process has ended")
        self.should_exit = True


def serve_app(
    app: Starlette,
    listener: socket.socket,
    limits: ServerLimits,
    connection_limits: ConnectionLimits,
    shutdown_timeout_s: float,
    on_ready: Callable[[], None],
    on_stopping: Callable[[], None],
) -> bool:
    """Serve an app until a signal arrives.

    Args:
        app: An app from ``create_app``.
        listener: A bound socket.
        limits: The limits of the app.
        connection_limits: The limits for the connections of this process.
        shutdown_timeout_s: Maximum duration of the shutdown after a signal, in seconds.
        on_ready: Called once the server listens.
        on_stopping: Called once the server takes no new work.

    Returns:
        Whether all accepted samples were answered.
    """
    server_state: ServerState = app.state.server_state
    table = _make_table(connection_limits, server_state)

    async def once_per_second() -> None:
        table.close_overdue()
        table.return_memory()
        server_state.update_task_count()

    # Requests that are not HTTP are counted. A log line for each would let clients fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=cast(Any, partial(HttpProtocol, table)),
        ws=WebsocketProtocol,
        ws_max_size=limits.max_message_bytes,
        # Compression would take about 100 KB per connection and most of the processor time.
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=math.ceil(connection_limits.keep_alive_s),
        timeout_graceful_shutdown=_UVICORN_SHUTDOWN_S,
        callback_notify=once_per_second,
        timeout_notify=1,
    )
    server = _Server(config, server_state, shutdown_timeout_s, on_ready, on_stopping)
    # uvloop accepts one connection for each listening descriptor and turn, so that a new client
    # could wait for seconds in the queue of the system while others connect again and again.
    server.run([listener, *(listener.dup() for _ in range(_ACCEPTS_PER_TURN - 1))])
    return server.is_clean


def _make_table(limits: ConnectionLimits, server_state: ServerState) -> ConnectionTable:
    n = files_for_connections(limits.max_connections)
    if n < limits.max_connections:
        log.warning(
            "the limit of open files allows %d connections instead of %d; raise it with `ulimit`",
            n, limits.max_connections,
        )  # fmt: skip

    def count(reason: str) -> None:
        server_state.metrics.add("connections_refused", 1, reason)

    return ConnectionTable(replace(limits, max_connections=n), time.monotonic, count)
