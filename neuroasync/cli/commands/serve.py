"""``neuroasync serve``: a network behind a websocket."""

import importlib.util
import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from neuroasync.cli.exit_codes import NO, CliError
from neuroasync.cli.options import BundlePath
from neuroasync.cli.output import say_text
from neuroasync.core.formats.bundle import read_bundle

__all__ = ["serve"]

_MOST = 2**31 - 1


class FullName(StrEnum):
    """What becomes of a sample for which there is no room."""

    BLOCK = "block"
    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    ERROR = "error"


HostOption = Annotated[
    str, typer.Option("--host", metavar="HOST", help="Name or address to listen at.")
]
PortOption = Annotated[
    int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 picks one that is free.")
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers", metavar="N", min=1, max=64,
        help="Processes that share the port, a core each. A connection stays with one of them.",
    ),
]  # fmt: skip
FullOption = Annotated[
    FullName,
    typer.Option(
        "--when-full",
        help="What becomes of a sample for which there is no room. block: its client is not read "
        "until there is; drop-oldest: the one of its connection that waits longest makes room; "
        "drop-newest: it is dropped; error: it is refused. Clients are told.",
    ),
]  # fmt: skip
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token", metavar="TOKEN", envvar="NEUROASYNC_TOKEN", show_default=False,
        show_envvar=False,
        help="What clients must show, as `Authorization: Bearer TOKEN` or `?token=TOKEN`. Better "
        "set NEUROASYNC_TOKEN: others can see a command line. Default: none is asked for.",
    ),
]  # fmt: skip
ShutdownTimeoutOption = Annotated[
    float,
    typer.Option(
        "--shutdown-timeout", metavar="SECONDS", min=0.1, max=3600,
        help="After SIGTERM or Ctrl-C: how long to answer what was accepted, then end.",
    ),
]  # fmt: skip
SessionsOption = Annotated[
    int,
    typer.Option(
        "--max-sessions", metavar="N", min=1, max=_MOST,
        help="Connections at a time; one more is refused with status 503.",
    ),
]  # fmt: skip
MessageBytesOption = Annotated[
    int,
    typer.Option(
        "--max-message-bytes", metavar="N", min=1, max=2**27,
        help="Largest message; one that is larger closes its connection.",
    ),
]  # fmt: skip
RateOption = Annotated[
    float,
    typer.Option(
        "--max-rate", metavar="N", min=0.001, max=1e6,
        help="Messages a second that are read from one connection; a faster client waits.",
    ),
]  # fmt: skip
QueuedSamplesOption = Annotated[
    int,
    typer.Option(
        "--max-queued-samples", metavar="N", min=1, max=_MOST,
        help="Samples of one connection that wait for the one that is under way.",
    ),
]  # fmt: skip
QueuedSamplesTotalOption = Annotated[
    int,
    typer.Option(
        "--max-queued-samples-total", metavar="N", min=1, max=_MOST,
        help="Samples that wait, of all connections.",
    ),
]  # fmt: skip
SendTimeoutOption = Annotated[
    float,
    typer.Option(
        "--send-timeout", metavar="SECONDS", min=0.001, max=3600,
        help="How long an answer waits for a client that does not read, before it is cut off.",
    ),
]  # fmt: skip


def serve(
    bundle: BundlePath,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    workers: WorkersOption = 1,
    when_full: FullOption = FullName.BLOCK,
    token: TokenOption = None,
    shutdown_timeout: ShutdownTimeoutOption = 10.0,
    max_sessions: SessionsOption = 2048,
    max_message_bytes: MessageBytesOption = 2**18,
    max_rate: RateOption = 1000.0,
    max_queued_samples: QueuedSamplesOption = 8,
    max_queued_samples_total: QueuedSamplesTotalOption = 1024,
    send_timeout: SendTimeoutOption = 10.0,
) -> None:
    """Serve a network over websockets and HTTP.

    \b
    Examples:
      neuroasync serve net.nab
      neuroasync serve net.nab --port 0 --workers 2 --when-full drop-oldest

    It prints its address once it listens. Messages, samples and the query of an address are
    explained by `python -m pydoc neuroasync.serve`.
    """  # noqa: D301  # \b keeps the examples' lines
    _check_installed()
    read_bundle(bundle)
    if token == "":
        raise CliError("--token: empty, expected some characters")
    if workers > 1 and sys.platform == "win32":
        raise CliError("--workers: one is all that Windows can do")

    from neuroasync.serve.limits import ServerLimits
    from neuroasync.serve.process.supervisor import ServerOptions
    from neuroasync.serve.process.supervisor import serve as run

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    limits = ServerLimits(
        sessions=max_sessions,
        message_bytes=max_message_bytes,
        messages_per_s=max_rate,
        max_queued_samples=max_queued_samples,
        max_queued_samples_total=max_queued_samples_total,
        send_timeout_s=send_timeout,
    )
    options = ServerOptions(
        bundle, host, port, workers, limits, when_full.value, token, shutdown_timeout
    )
    try:
        is_clean = run(options, lambda url: _say_ready(bundle, url, workers))
    except OSError as error:
        raise CliError(f"{host}:{port}: {error.strerror or error}") from error
    if not is_clean:
        raise typer.Exit(NO)


def _say_ready(bundle: Path, url: str, workers: int) -> None:
    of = f", {workers} workers" if workers > 1 else ""
    say_text(f"serving {bundle.name} at {url}{of}")
    sys.stdout.flush()


def _check_installed() -> None:
    """Raise CliError unless the extra is installed."""
    for name in ("starlette", "uvicorn", "websockets", "prometheus_client"):
        if importlib.util.find_spec(name) is None:
            raise CliError(f"serving needs {name}: install neuroasync with its extra 'serve'")
