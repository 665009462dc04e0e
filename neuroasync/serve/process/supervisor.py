"""A server of one or more processes that listen at one address."""

import contextlib
import multiprocessing
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast

from neuroasync.runtime.bounded_queue import WhenFull
from neuroasync.serve.app import create_app
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.process.worker import serve_app

__all__ = ["ServerOptions", "serve"]

_SOCKET_BYTES: Final = 2**15
"""What the system may buffer of a connection, each way; Linux doubles it."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What the processes of a server have to know.

    Attributes:
        bundle: path of the network.
        host: name or address to listen at.
        port: 0 for one that is free.
        workers: processes, from 1.
        limits: of the server; what waits in all is shared out among the workers.
        when_full, token: see :func:`neuroasync.serve.create_app`.
        shutdown_timeout_s: how long the end may take once a signal has come.
    """

    bundle: Path
    host: str
    port: int
    workers: int
    limits: ServerLimits
    when_full: WhenFull
    token: str | None
    shutdown_timeout_s: float


def serve(options: ServerOptions, on_ready: Callable[[str], None]) -> bool:
    """Serve until SIGTERM or SIGINT; at a second one, end at once.

    Args:
        options: how.
        on_ready: called once all workers listen, with the address, ``http://127.0.0.1:8000``.

    Returns:
        Whether all that was accepted has been answered, and no process has failed.

    Raises:
        OSError: the address is in use, or is none of this machine.
        BundleError: the bundle cannot be read.
    """
    if options.workers == 1:
        with contextlib.closing(_listeners(options, 1)[0]) as listener:
            told = partial(on_ready, _url(listener))
            return _work(options, listener, ServerMetrics(), told)
    return _Processes(options).run(on_ready)


def _work(
    options: ServerOptions,
    listener: socket.socket,
    tally: ServerMetrics,
    on_ready: Callable[[], None],
) -> bool:
    app = create_app(
        options.bundle, limits=options.limits, when_full=options.when_full, token=options.token,
        tally=tally,
    )  # fmt: skip
    return serve_app(app, listener, options.limits, options.shutdown_timeout_s, on_ready)


class _Processes:
    """Workers, each with a listening socket of its own at the same port.

    The system shares connections out among them. If one fails, all end: whoever keeps the server
    running has to know.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._processes: list[SpawnProcess] = []
        self._is_ending = False

    def run(self, on_ready: Callable[[str], None]) -> bool:
        """Start all, and wait until all have ended."""
        options, n = self._options, self._options.workers
        listeners = _listeners(options, n)
        url = _url(listeners[0])
        context = multiprocessing.get_context("spawn")
        cells = context.RawArray("d", n * ServerMetrics.SIZE)
        limits = _share(options.limits, n)
        pipes: list[Connection] = []
        with _signals(self._end):
            for k, listener in enumerate(listeners):
                ours, theirs = context.Pipe(duplex=False)
                arguments = (replace(options, limits=limits), listener, cells, k, theirs)
                process = context.Process(target=_run_worker, args=arguments, daemon=True)
                process.start()
                theirs.close()
                listener.close()
                self._processes.append(process)
                pipes.append(ours)
            if all(_is_ready(pipe) for pipe in pipes) and not self._is_ending:
                on_ready(url)
            else:
                self._end()
            return self._wait()

    def _wait(self) -> bool:
        """Wait for all; return whether all have ended well. Once one has failed, end the others."""
        running = {process.sentinel: process for process in self._processes}
        while running:
            for sentinel in wait(list(running)):
                process = running.pop(cast(int, sentinel))
                process.join()
                if not self._is_ending:
                    self._end()
        return all(process.exitcode == 0 for process in self._processes)

    def _end(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self._is_ending = True
        for process in self._processes:
            process.terminate()


def _run_worker(
    options: ServerOptions, listener: socket.socket, cells: Any, worker: int, pipe: Connection
) -> None:
    """A worker process."""
    tally = ServerMetrics(memoryview(cells).cast("B").cast("d"), worker)

    def ready() -> None:
        pipe.send(True)
        pipe.close()

    raise SystemExit(0 if _work(options, listener, tally, ready) else 1)


def _is_ready(pipe: Connection) -> bool:
    with contextlib.suppress(EOFError):
        return bool(pipe.recv())
    return False


def _share(limits: ServerLimits, workers: int) -> ServerLimits:
    """Limits of one worker; sessions are counted over all of them."""
    return replace(
        limits,
        max_queued_samples_total=-(-limits.max_queued_samples_total // workers),
        server_waiting_events=-(-limits.server_waiting_events // workers),
    )


def _listeners(options: ServerOptions, n: int) -> list[socket.socket]:
    """Sockets at the address; several share its port, which nobody else may have."""
    family, _, _, _, address = socket.getaddrinfo(
        options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    alone = _bound(family, address)
    if n == 1:
        return [alone]
    # A port that was bound to be shared can be bound by others, too: so it is bound alone first.
    address = alone.getsockname()
    alone.close()
    return [_bound(family, address, shares=True) for _ in range(n)]


def _bound(family: int, address: tuple[object, ...], shares: bool = False) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit them; without, the system may buffer megabytes of each.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BYTES)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        if shares:
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


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {n: signal.signal(n, handler) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
