"""A server that consists of one or more processes that listen at one address."""

import contextlib
import logging
import multiprocessing
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, Final, cast

from neuroasync.core.compilation_log import compilation_log, show_compilation
from neuroasync.runtime.bounded_queue import WhenFull
from neuroasync.serve.app import create_app
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.process.connection_limits import ConnectionLimits
from neuroasync.serve.process.signals import (
    DRAIN_SIGNALS,
    handled_signals,
    terminal_signals_blocked,
)
from neuroasync.serve.process.worker import serve_app

__all__ = ["ServerOptions", "serve"]

_SOCKET_BYTES: Final = 2**15
"""Size of the system's buffers of a connection, in each direction. Linux doubles it."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Options of a server, for all of its processes.

    Attributes:
        networks: Paths of the bundles, or names of shipped networks, by the names of the networks.
        host: Name or address to listen at.
        port: Port to listen at, or 0 to choose a free one.
        workers: Number of processes, at least 1.
        limits: Limits of the server. The limits of the shared queue are divided among the workers.
        connection_limits: Limits of each worker for its connections.
        when_full: What to do with a sample when the queue is full. See
            :func:`neuroasync.serve.create_app`.
        token: Token that clients must present, or None.
        allow_hosts: Further values of the header ``Host`` that are accepted.
        allow_origins: Origins of other web pages that may use the server.
        shutdown_timeout_s: Maximum duration of the shutdown after a signal, in seconds.
    """

    networks: Mapping[str, str]
    host: str
    port: int
    workers: int
    limits: ServerLimits
    connection_limits: ConnectionLimits
    when_full: WhenFull
    token: str | None
    allow_hosts: tuple[str, ...]
    allow_origins: tuple[str, ...]
    shutdown_timeout_s: float


def serve(
    options: ServerOptions, on_ready: Callable[[str], None], on_stopping: Callable[[], None]
) -> bool:
    """Serve until SIGTERM, SIGINT or SIGHUP arrives. A second signal ends the server immediately.

    Args:
        options: Options of the server.
        on_ready: Called with the address, such as ``http://127.0.0.1:8000``, once all workers
            listen.
        on_stopping: Called once the server takes no new work and answers what it has accepted.

    Returns:
        Whether all accepted samples were answered and no process failed.

    Raises:
        OSError: The address is in use or does not belong to this machine.
        BundleError: The bundle cannot be read.
    """
    if options.workers == 1:
        n = len(options.networks)
        with contextlib.closing(_listeners(options, 1)[0]) as listener:
            report_ready = partial(on_ready, _url(listener))
            metrics = ServerMetrics(networks=n)
            return _serve_listener(options, listener, metrics, report_ready, on_stopping)
    return _Supervisor(options, on_stopping).run(on_ready)


def _serve_listener(
    options: ServerOptions,
    listener: socket.socket,
    metrics: ServerMetrics,
    on_ready: Callable[[], None],
    on_stopping: Callable[[], None],
) -> bool:
    app = create_app(
        options.networks, limits=options.limits, when_full=options.when_full, token=options.token,
        allow_hosts=options.allow_hosts, allow_origins=options.allow_origins, metrics=metrics,
    )  # fmt: skip
    timeout_s = options.shutdown_timeout_s
    return serve_app(
        app, listener, options.limits, options.connection_limits, timeout_s, on_ready, on_stopping
    )


class _Supervisor:
    """The parent of worker processes, each with its own listening socket at the same port.

    The system distributes connections among the workers. If one worker fails, all end, so that a
    service manager notices the failure and can restart the server.
    """

    def __init__(self, options: ServerOptions, on_stopping: Callable[[], None]) -> None:
        self._options = options
        self._on_stopping = on_stopping
        self._processes: list[SpawnProcess] = []
        self._ready: set[SpawnProcess] = set()
        self._told_to_end: set[SpawnProcess] = set()
        self._is_ending = False

    def run(self, on_ready: Callable[[str], None]) -> bool:
        """Start all workers and wait until all have ended."""
        options, n = self._options, self._options.workers
        listeners = _listeners(options, n)
        url = _url(listeners[0])
        context = multiprocessing.get_context("spawn")
        cells = context.RawArray("d", n * len(options.networks) * ServerMetrics.SIZE)
        limits = _limits_per_worker(options.limits, n)
        pipes: list[Connection] = []
        with handled_signals(dict.fromkeys(DRAIN_SIGNALS, self._end)):
            for k, listener in enumerate(listeners):
                parent_end, worker_end = context.Pipe(duplex=False)
                arguments = (replace(options, limits=limits), listener, cells, k, worker_end)
                process = context.Process(target=_run_worker, args=arguments, daemon=True)
                with terminal_signals_blocked():
                    process.start()
                # The worker has copies. An open copy here would hide that a worker has died.
                worker_end.close()
                listener.close()
                self._processes.append(process)
                pipes.append(parent_end)
            if self._are_ready(pipes) and not self._is_ending:
                on_ready(url)
            else:
                self._end()
            return self._wait()

    def _are_ready(self, pipes: list[Connection]) -> bool:
        """Wait until all workers listen, or one has failed, and return whether all listen."""
        for process, pipe in zip(self._processes, pipes, strict=True):
            try:
                pipe.recv()
            except EOFError:
                return False
            self._ready.add(process)
        return True

    def _wait(self) -> bool:
        """Wait for all workers. When the first one ends, end the others, too.

        Returns:
            Whether all workers ended with exit code 0, or before they could accept a sample.
        """
        running = {process.sentinel: process for process in self._processes}
        while running:
            for sentinel in wait(list(running)):
                process = running.pop(cast(int, sentinel))
                process.join()
                if not self._is_ending:
                    self._end()
        return all(
            process.exitcode == 0
            # A worker that still starts does not handle the signal.
            or (process.exitcode == -signal.SIGTERM and process not in self._ready)
            for process in self._processes
        )

    def _end(self, number: int = 0, _frame: FrameType | None = None) -> None:
        """End all workers. Only a further signal of the user tells a worker a second time."""
        if not self._is_ending:
            self._is_ending = True
            self._on_stopping()
        for process in self._processes:
            if number or process not in self._told_to_end:
                self._told_to_end.add(process)
                process.terminate()


def _run_worker(
    options: ServerOptions, listener: socket.socket, cells: Any, worker: int, pipe: Connection
) -> None:
    """Run a worker process."""
    if worker == 0:
        show_compilation()
    else:  # One note is enough, because all workers start at the same time.
        compilation_log.setLevel(logging.CRITICAL)
    shared = memoryview(cells).cast("B").cast("d")
    metrics = ServerMetrics(shared, worker, len(options.networks))

    def ready() -> None:
        pipe.send(True)
        pipe.close()

    is_clean = _serve_listener(options, listener, metrics, ready, lambda: None)
    raise SystemExit(0 if is_clean else 1)


def _limits_per_worker(limits: ServerLimits, workers: int) -> ServerLimits:
    """Divide the limits of the shared queue, rounding up. Sessions are counted over all workers."""
    return replace(
        limits,
        max_queued_samples_total=-(-limits.max_queued_samples_total // workers),
        max_queued_events_total=-(-limits.max_queued_events_total // workers),
    )


def _listeners(options: ServerOptions, n: int) -> list[socket.socket]:
    """Return ``n`` listening sockets that share one port, which no other process uses."""
    family, _, _, _, address = socket.getaddrinfo(
        options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    exclusive = _bind(family, address)
    if n == 1:
        return [exclusive]
    # SO_REUSEPORT also shares a port with another server of the same user. Binding the port
    # exclusively first makes sure that it is free, and finds out which port 0 stands for.
    address = exclusive.getsockname()
    exclusive.close()
    return [_bind(family, address, shares_port=True) for _ in range(n)]


def _bind(family: int, address: tuple[object, ...], shares_port: bool = False) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit these sizes. By default, the system may buffer megabytes for each.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BYTES)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        if shares_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
