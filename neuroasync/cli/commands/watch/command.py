"""The command and its options."""

import asyncio
import re
import sys
from collections.abc import Mapping
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync.cli.decide_samples import run_in_loop
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import (
    GroupSizeOption,
    InputOption,
    NetworkArgument,
    PolicyOption,
    UntilOption,
    mode_of,
    seed_option,
    sensor_of,
    sensor_option,
    view_of,
    view_option,
)
from neuroasync.cli.output import one_line

if TYPE_CHECKING:
    from neuroasync.cli.commands.watch.display import Display
    from neuroasync.cli.commands.watch.event_input import EventInput
    from neuroasync.core.engine.run_settings import RunOptions
    from neuroasync.runtime.network import Network

__all__ = ["show_windows", "watch"]

_WINDOW = "50ms"
"""Length of a window, if neither the user nor the bundle states one."""

_JITTER_BUFFER_US = 5000
"""How long passes on UDP packets are delayed, because packets arrive unevenly, µs."""


class PacketFormatName(StrEnum):
    """The formats of UDP packets."""

    SPIF = "spif"
    FAERY_T64 = "t64_x16_y16_on8"
    FAERY_T32 = "t32_x16_y15_on1"


CameraOption = Annotated[
    Path | None,
    typer.Option(
        "--camera", metavar="FILE", show_default=False,
        help="Replay a recording of an event camera: AEDAT4, .raw, .dat, .es or HDF5. Default: no "
        "recording.",
    ),
]  # fmt: skip
UdpOption = Annotated[
    str | None,
    typer.Option(
        "--udp", metavar="[HOST:]PORT", show_default=False,
        help="Listen for UDP packets at this port, for packets from this machine only unless a "
        "host such as 0.0.0.0 is given. Default: no port.",
    ),
]  # fmt: skip
WebsocketOption = Annotated[
    str | None,
    typer.Option(
        "--websocket", metavar="URI", show_default=False,
        help="Receive messages of events from a websocket server, such as ws://localhost:9000. "
        "Default: no server.",
    ),
]  # fmt: skip
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window", metavar="TIME", show_default=False,
        help="Length of a window, which is one decision. Default: the length of the samples that "
        "the network was trained on, if the bundle states it; else 50ms.",
    ),
]  # fmt: skip
ViewOption = Annotated[
    str | None,
    view_option(
        "; for UDP packets without --sensor, the pixels from 0,0 on without binning.",
    ),
]
SensorOption = Annotated[
    str | None,
    sensor_option(
        "what the recording says; for UDP packets, the size of the network's input.",
    ),
]
PacketFormatOption = Annotated[
    PacketFormatName | None,
    typer.Option(
        "--packet-format", show_default=False,
        help="Format of UDP packets. spif: SPIF and AEStream; the others: Faery. Default: spif.",
    ),
]  # fmt: skip
SpeedOption = Annotated[
    float | None,
    typer.Option(
        "--speed", metavar="X", show_default=False,
        help="Replay a recording this many times as fast as it was recorded. inf: as fast as "
        "possible. The decisions are the same at every speed. Default: 1.",
    ),
]  # fmt: skip
SeedOption = Annotated[
    int,
    seed_option("Window i of the stream, counted from 0, runs with sample_seed(S, i)."),
]
LinesOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Write one line of JSON for each decision, in the message format of the server; "
        "latency_ms counts from the delivery of the window's first event to the decision, and so "
        "includes the wait for the rest of the window. Default: a line of text, which is updated "
        "if stdout is a terminal.",
    ),
]


def watch(
    network: NetworkArgument,
    camera: CameraOption = None,
    udp: UdpOption = None,
    websocket: WebsocketOption = None,
    window: WindowOption = None,
    view: ViewOption = None,
    sensor: SensorOption = None,
    packet_format: PacketFormatOption = None,
    speed: SpeedOption = None,
    policy: PolicyOption = None,
    group_size: GroupSizeOption = None,
    input_mode: InputOption = None,
    seed: SeedOption = 0,
    until: UntilOption = "quiet",
    json: LinesOption = False,
) -> None:
    """Decide on the events of a camera while they arrive.

    \b
    Examples:
      neuroasync watch nmnist-unlayered --camera recording.raw
      neuroasync watch nmnist-unlayered --udp 3333 --sensor 640x480 --window 20ms
      neuroasync watch net.nab --websocket ws://localhost:9000 --json | jq .label

    Each line shows the time of the stream, the label, the votes, and events that were moved or
    lost. The command ends with the recording or the connection, or with Ctrl-C.
    """  # noqa: D301  # \b keeps the line breaks of the examples.
    from neuroasync.cli.commands.watch.display import JsonDisplay, LineDisplay, TerminalDisplay
    from neuroasync.cli.commands.watch.event_input import InputOptions, event_input
    from neuroasync.core.durations import microseconds
    from neuroasync.runtime.network import Network
    from neuroasync.shipped import load_bundle

    if [camera, udp, websocket].count(None) != 2:
        raise CliError("give one of --camera, --udp and --websocket")
    _refuse("--speed", speed, {"--camera": camera})
    _refuse("--packet-format", packet_format, {"--udp": udp})
    _refuse("--view", view, {"--camera": camera, "--udp": udp})
    _refuse("--sensor", sensor, {"--camera": camera, "--udp": udp})
    if speed is not None and not speed > 0:
        raise CliError(f"--speed must be above 0, got {speed:g}")
    bundle = load_bundle(network)
    options: RunOptions = {
        "policy": None if policy is None else policy.value, "group_size": group_size,
        "input": mode_of(input_mode), "until": until,
    }  # fmt: skip
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    display = JsonDisplay() if json else TerminalDisplay() if is_terminal else LineDisplay()
    try:
        where = InputOptions(
            None if camera is None else str(camera), None if udp is None else _host_port(udp),
            websocket, view_of(view), sensor_of(sensor),
            "spif" if packet_format is None else packet_format.value,
            1.0 if speed is None else speed,
        )  # fmt: skip
        length = bundle.duration_us or _WINDOW if window is None else window
        window_us = microseconds(length, "--window", 1)
        events = event_input(where, bundle.model, network)
        runtime = Network(bundle, seed=seed, clock=events.clock, **options)
        run_in_loop(show_windows(runtime, events, window_us, display))
    except (ImportError, ValueError) as error:
        raise CliError(str(error)) from error


async def show_windows(
    network: "Network", events: "EventInput", window_us: int, display: "Display"
) -> None:
    """Show the decision of each window until the stream ends.

    When a live source is open, its address is written to stderr.
    Opens and closes the network, and then the source, so that no packet waits for the kernels.

    Cancellation: safe. The windows so far are summarised, and the network is closed.

    Args:
        network: a network that is not open yet, with the clock of ``events``.
        events: the source of events, which is not open yet.
        window_us: length of a window, µs.
        display: what shows the decisions.

    Raises:
        CliError: the stream ended without an event that the network sees.
    """
    from neuroasync.cli.commands.watch.display import Losses, WindowReport
    from neuroasync.cli.commands.watch.windows import WindowMeter
    from neuroasync.runtime.clock import VirtualClock

    meter, has_summary = WindowMeter(events.source, window_us), False
    jitter_us = 0 if isinstance(events.clock, VirtualClock) else _JITTER_BUFFER_US
    async with network, events.source, network.session() as session:
        if (opened := events.opened()) and sys.stderr is not None:
            print(one_line(opened), file=sys.stderr, flush=True)
        decisions = session.stream(meter, window=f"time({window_us})", jitter_buffer_us=jitter_us)
        try:
            async with aclosing(decisions):
                async for decision in decisions:
                    end_us, count = meter.take()
                    losses = Losses.of(events.counts, session.counts)
                    display.show(WindowReport(decision, end_us, count, window_us, losses))
                    has_summary = True
        except asyncio.CancelledError:
            has_summary = True
            raise
        finally:
            if has_summary:
                display.finish(Losses.of(events.counts, session.counts))
    if not meter.events:
        outside = events.counts.outside
        raise CliError(
            f"the network sees none of the {outside:,} events; choose other pixels with --view"
            if outside
            else "the stream ended without an event"
        )


def _refuse(option: str, value: object, sources: Mapping[str, object]) -> None:
    """Raise a CliError if an option is given without one of the sources that it is for."""
    if value is not None and all(source is None for source in sources.values()):
        raise CliError(f"{option} applies to {' and '.join(sources)} only")


def _host_port(text: str) -> tuple[str, int]:
    """Return the host and the port that the value of ``--udp`` names."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port, re.ASCII) or int(port) >= 2**16:
        raise CliError(
            f"--udp must be PORT or HOST:PORT with a port from 0 to 65535, got {text!r:.80}"
        )
    return host.strip("[]") or "127.0.0.1", int(port)
