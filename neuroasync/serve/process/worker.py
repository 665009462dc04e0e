"""One process that serves: uvicorn, with a shutdown that answers first what was accepted."""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.process.uvicorn_protocol import WebsocketProtocol
from neuroasync.serve.server_state import ServerState

__all__ = ["serve_app"]

log: Final = logging.getLogger("neuroasync.serve")


class _Server(uvicorn.Server):
    """Drains before it closes connections, and ends without raising the signal again.

    Args:
        config: of uvicorn.
        service: what is drained.
        shutdown_timeout_s: how long the end may take.
        on_ready: called once it listens.

    Attributes:
        is_clean: all that was accepted has been answered, but for clients that do not read.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        service: ServerState,
        shutdown_timeout_s: float,
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._service = service
        self._grace_s = shutdown_timeout_s
        self._on_ready = on_ready
        self._draining: asyncio.Timeout | None = None
        self.is_clean = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell."""
        await super().startup(sockets)
        if (parent := multiprocessing.parent_process()) is not None:
            asyncio.get_running_loop().add_reader(parent.sentinel, self._orphaned)
        # What is loaded stays: a full collection need not look at it, which takes some 30 ms.
        gc.collect()
        gc.freeze()
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was accepted; then close what is still open."""
        # What comes after takes a second at most.
        self._draining = asyncio.timeout(max(self._grace_s - 1, self._grace_s / 2))
        try:
            async with self._draining:
                await self._service.drain()
        except TimeoutError:
            self.is_clean = self._service.is_blocked()
            self._service.cut()
            if not self.is_clean:
                log.warning(
                    "ended before all was answered", extra={"shutdown_timeout_s": self._grace_s}
                )
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first signal; wait for nobody any more at a second one."""
        del frame
        if not self.should_exit:
            self.should_exit = True
        elif not self.force_exit:
            self.force_exit = True
            if self._draining is not None:
                loop = asyncio.get_running_loop()
                loop.call_soon_threadsafe(self._draining.reschedule, loop.time())

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """While it serves, signals are for :meth:`handle_exit`."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ours: dict[int, Any] = {signal.SIGTERM: self.handle_exit, signal.SIGINT: self.handle_exit}
        if multiprocessing.parent_process() is not None:
            ours[signal.SIGINT] = signal.SIG_IGN  # a terminal sends it to all; the parent tells us
        before = {number: signal.signal(number, handler) for number, handler in ours.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _orphaned(self) -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            asyncio.get_running_loop().remove_reader(parent.sentinel)
        log.warning("the parent process is gone")
        self.should_exit = True


def serve_app(
    app: Starlette,
    listener: socket.socket,
    limits: ServerLimits,
    shutdown_timeout_s: float,
    on_ready: Callable[[], None],
) -> bool:
    """Serve until a signal comes.

    Args:
        app: made by ``create_app``.
        listener: bound.
        limits: as of the app.
        shutdown_timeout_s: how long the end may take once a signal has come.
        on_ready: called once it listens.

    Returns:
        Whether all that was accepted has been answered.
    """
    service: ServerState = app.state.service

    async def tick() -> None:
        service.count_tasks()

    config = uvicorn.Config(
        app,
        ws=WebsocketProtocol,
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,  # takes some 100 KB a connection, and most of the time
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
        callback_notify=tick,
        timeout_notify=1,
    )
    server = _Server(config, service, shutdown_timeout_s, on_ready)
    server.run([listener])
    return server.is_clean
