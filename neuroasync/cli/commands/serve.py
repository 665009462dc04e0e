"""``neuroasync serve``: serve networks over websockets and HTTP."""

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from neuroasync import limits
from neuroasync.cli.completion import network_names
from neuroasync.cli.exit_codes import CHECK_FAILED, CliError, require_packages
from neuroasync.cli.output import echo_text

__all__ = ["serve"]

_MAX_LIMIT = 2**31 - 1

NetworkArguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NETWORK]...", show_default=False, autocompletion=network_names,
        help="Networks to serve: .nab files, or names of shipped networks, such as unlayered. "
        "Requests that name none use the first. Default: all shipped networks.",
    ),
]  # fmt: skip


class WhenFullName(StrEnum):
    """What to do with a sample when the queue is full."""

    BLOCK = "block"
    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    ERROR = "error"


HostOption = Annotated[
    str, typer.Option("--host", metavar="HOST", help="Host name or address to listen at.")
]
PortOption = Annotated[
    int,
    typer.Option(
        "--port", metavar="N", min=0, max=65535, help="Port to listen at; 0 chooses a free one."
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers", metavar="N", min=1, max=64,
        help="Number of processes that share the port. Each uses at most one core. A connection "
        "stays with one process.",
    ),
]  # fmt: skip
WhenFullOption = Annotated[
    WhenFullName,
    typer.Option(
        "--when-full",
        help="What to do with a sample when the queue is full. block: stop reading from its client "
        "until the queue has space; drop-oldest: drop the oldest queued sample of its connection; "
        "drop-newest: drop the new sample; error: refuse the new sample. Clients are notified.",
    ),
]  # fmt: skip
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token", metavar="TOKEN", envvar="NEUROASYNC_TOKEN", show_default=False,
        show_envvar=False,
        help="Token that clients must send, as `Authorization: Bearer TOKEN` or `?token=TOKEN`. "
        "Prefer setting NEUROASYNC_TOKEN, because other users can see command lines. Default: no "
        "token.",
    ),
]  # fmt: skip
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host", metavar="NAME", show_default=False,
        help="Name under which clients may reach the server, such as example.com, *.example.com, "
        "or * for all. May be repeated. IP addresses, names without a dot, HOST and the name of "
        "this machine are always allowed. Default: no further name; with a token, all names.",
    ),
]  # fmt: skip
AllowOriginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-origin", metavar="ORIGIN", show_default=False,
        help="Origin of other web pages that may use the server, such as https://example.com, or "
        "* for all. May be repeated. Default: only the pages of the server itself.",
    ),
]  # fmt: skip
ShutdownTimeoutOption = Annotated[
    float,
    typer.Option(
        "--shutdown-timeout", metavar="SECONDS", min=0.1, max=3600,
        help="Maximum time to answer accepted samples after SIGTERM, SIGHUP or Ctrl-C.",
    ),
]  # fmt: skip
SessionsOption = Annotated[
    int,
    typer.Option(
        "--max-sessions", metavar="N", min=1, max=_MAX_LIMIT,
        help="Maximum number of open connections. Further ones are refused with status 503.",
    ),
]  # fmt: skip
ConnectionsOption = Annotated[
    int | None,
    typer.Option(
        "--max-connections", metavar="N", min=1, max=_MAX_LIMIT, show_default=False,
        help="Maximum number of connections of each worker, with or without a session. If there is "
        "no room, the one that has waited longest for its client is closed, or the new one is "
        "refused. Default: --max-sessions and 1024 more, if the limit of open files allows it.",
    ),
]  # fmt: skip
ConnectionsPerAddressOption = Annotated[
    int | None,
    typer.Option(
        "--max-connections-per-address", metavar="N", min=1, max=_MAX_LIMIT, show_default=False,
        help="Maximum number of connections of each worker from one address. Raise it behind a "
        "proxy on another machine. Default: 256, and no limit for clients on this machine.",
    ),
]  # fmt: skip
RequestTimeoutOption = Annotated[
    float,
    typer.Option(
        "--request-timeout", metavar="SECONDS", min=0.1, max=3600,
        help="Maximum time for the head of a request, and again for its body.",
    ),
]  # fmt: skip
MessageBytesOption = Annotated[
    int,
    typer.Option(
        "--max-message-bytes", metavar="N", min=1, max=2**27,
        help="Maximum size of a message. A larger one closes its connection.",
    ),
]  # fmt: skip
MessagesPerSecondOption = Annotated[
    float,
    typer.Option(
        "--max-messages-per-s", metavar="N", min=0.001, max=1e6,
        help="Maximum message rate of one connection. The server delays faster clients.",
    ),
]  # fmt: skip
QueuedSamplesOption = Annotated[
    int,
    typer.Option(
        "--max-queued-samples", metavar="N", min=1, max=_MAX_LIMIT,
        help="Maximum number of queued samples of one connection.",
    ),
]  # fmt: skip
QueuedSamplesTotalOption = Annotated[
    int,
    typer.Option(
        "--max-queued-samples-total", metavar="N", min=1, max=_MAX_LIMIT,
        help="Maximum number of queued samples over all connections.",
    ),
]  # fmt: skip
PassesOption = Annotated[
    int,
    typer.Option(
        "--max-passes", metavar="N", min=1, max=limits.MAX_PASSES,
        help="Maximum number of forward passes of a sample. A sample with a later event is refused "
        "before its passes run.",
    ),
]  # fmt: skip
CpuTimeOption = Annotated[
    float,
    typer.Option(
        "--max-cpu-time", metavar="SECONDS", min=0.001, max=86400,
        help="Maximum CPU time of the passes of a sample. A sample that needs more is ended.",
    ),
]  # fmt: skip
SendTimeoutOption = Annotated[
    float,
    typer.Option(
        "--send-timeout", metavar="SECONDS", min=0.001, max=3600,
        help="How long a response waits for a client that does not read. The server then closes "
        "the connection.",
    ),
]  # fmt: skip


def serve(
    networks: NetworkArguments = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    workers: WorkersOption = 1,
    when_full: WhenFullOption = WhenFullName.BLOCK,
    token: TokenOption = None,
    allow_host: AllowHostOption = None,
    allow_origin: AllowOriginOption = None,
    shutdown_timeout: ShutdownTimeoutOption = 10.0,
    max_sessions: SessionsOption = 2048,
    max_connections: ConnectionsOption = None,
    max_connections_per_address: ConnectionsPerAddressOption = None,
    request_timeout: RequestTimeoutOption = 20.0,
    max_message_bytes: MessageBytesOption = 2**18,
    max_messages_per_s: MessagesPerSecondOption = 1000.0,
    max_queued_samples: QueuedSamplesOption = 8,
    max_queued_samples_total: QueuedSamplesTotalOption = 1024,
    max_passes: PassesOption = limits.MAX_PASSES,
    max_cpu_time: CpuTimeOption = 30.0,
    send_timeout: SendTimeoutOption = 10.0,
) -> None:
    """Serve networks over websockets and HTTP, with a live page.

    \b
    Examples:
      neuroasync serve
      neuroasync serve unlayered my.nab
      neuroasync serve net.nab --port 0 --workers 2 --when-full drop-oldest

    The command prints the address once it listens. Open the address in a browser to watch the
    networks decide. A network is named like its file, and requests select it with the query
    parameter `network`. `python -m pydoc neuroasync.serve` explains the messages and the query
    parameters.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.shipped import NETWORK_FILES, load_bundle

    _check_installed()
    named = _name_networks(networks or list(NETWORK_FILES))
    # Workers read the bundles themselves. Reading them here reports an error once, before they
    # start.
    for source in named.values():
        load_bundle(source)
    if token == "":
        raise CliError("--token must not be empty")
    if workers > 1 and sys.platform == "win32":
        raise CliError("--workers must be 1 on Windows")

    from neuroasync.serve.limits import ServerLimits
    from neuroasync.serve.process.connection_limits import ConnectionLimits
    from neuroasync.serve.process.supervisor import ServerOptions
    from neuroasync.serve.process.supervisor import serve as run
    from neuroasync.serve.request_guard import check_hosts, check_origins

    allow_hosts, allow_origins = tuple(allow_host or ()), tuple(allow_origin or ())
    try:
        check_hosts(allow_hosts)
        check_origins(allow_origins)
    except ValueError as error:
        raise CliError(str(error)) from None
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    server_limits = ServerLimits(
        max_sessions=max_sessions,
        max_message_bytes=max_message_bytes,
        max_messages_per_s=max_messages_per_s,
        max_queued_samples=max_queued_samples,
        max_queued_samples_total=max_queued_samples_total,
        max_passes=max_passes,
        max_cpu_s=max_cpu_time,
        send_timeout_s=send_timeout,
    )
    connection_limits = ConnectionLimits(
        max_connections=max_connections or min(max_sessions + 1024, _MAX_LIMIT),
        max_connections_per_address=max_connections_per_address,
        max_body_bytes=max(max_message_bytes, 2**20),
        max_unfinished_bytes=max(4 * max_message_bytes, 2**24),
        request_timeout_s=request_timeout,
        send_timeout_s=send_timeout,
    )
    if token is None or allow_hosts:
        allow_hosts += (host,)
    options = ServerOptions(
        named, host, port, workers, server_limits, connection_limits, when_full.value, token,
        allow_hosts, allow_origins, shutdown_timeout,
    )  # fmt: skip
    try:
        is_clean = run(options, lambda url: _print_ready(list(named), url, workers), _print_stop)
    except OSError as error:
        raise CliError(f"{host}:{port}: {error.strerror or error}") from error
    _print_line("stopped" if is_clean else "stopped before all accepted samples were answered")
    if not is_clean:
        raise typer.Exit(CHECK_FAILED)


def _name_networks(sources: Sequence[str]) -> dict[str, str]:
    """Return the networks by name: the stem of the file, with its folder where stems are equal."""
    stems = [Path(source).stem for source in sources]
    named: dict[str, str] = {}
    for source, stem in zip(sources, stems, strict=True):
        # A shipped network keeps its name. It is a source without a folder.
        is_plain = stems.count(stem) == 1 or not os.path.dirname(source)
        name = stem if is_plain else f"{Path(source).absolute().parent.name}/{stem}"
        if named.get(name) == source:
            raise CliError(f"{source} is given twice")
        if name in named:
            raise CliError(
                f"{source}: {named[name]} has the same name, {name!r}; rename one of the files"
            )
        named[name] = source
    return named


def _print_ready(names: Sequence[str], url: str, workers: int) -> None:
    suffix = f", {workers} workers" if workers > 1 else ""
    _print_line(f"serving {', '.join(names)} at {url}{suffix}")
    _print_line("open this address in a browser to watch; press Ctrl-C to stop")


def _print_stop() -> None:
    _print_line("stopping: answering the samples that were accepted")


def _print_line(text: str) -> None:
    # After SIGHUP, there may be no terminal any more.
    with contextlib.suppress(OSError):
        echo_text(text)
        # A program that started the server may wait for the line.
        sys.stdout.flush()


def _check_installed() -> None:
    """Raise a CliError unless the packages of the extra are installed."""
    names = ("starlette", "uvicorn", "websockets", "prometheus_client")
    require_packages(*((name, "serve", "serving") for name in names))
