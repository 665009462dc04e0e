"""The source of events that the options of ``neuroasync watch`` describe."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from neuroasync.cli.exit_codes import CliError
from neuroasync.core.events.pixel_grid import PixelGrid, View
from neuroasync.core.model.model import Model
from neuroasync.runtime.clock import Clock, RealTimeClock, VirtualClock
from neuroasync.sources import CameraFileSource, Paced, Source, UdpSource, WebsocketSource
from neuroasync.sources.counts import SourceCounts

if TYPE_CHECKING:
    from neuroasync.sources.udp.source import PacketFormat

__all__ = ["EventInput", "InputOptions", "event_input"]


@dataclass(frozen=True, slots=True)
class InputOptions:
    """Where events come from. Exactly one of the first three is given.

    Attributes:
        camera: path of a recording.
        udp: host and port to listen at.
        websocket: address of a websocket server.
        view: the pixels that the network sees, or None.
        sensor: width and height of the camera, or None.
        packet_format: format of UDP packets.
        speed: how many times as fast as recorded a recording is replayed.
    """

    camera: str | None = None
    udp: tuple[str, int] | None = None
    websocket: str | None = None
    view: View | None = None
    sensor: tuple[int, int] | None = None
    packet_format: str = "spif"
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class EventInput:
    """A source of events that is not open yet.

    Attributes:
        source: the chunks of the stream.
        clock: the clock of the network that decides on them.
        counts: what the source has accepted, moved and lost.
        opened: returns what to tell the user once the source is open, "" if nothing.
    """

    source: Source
    clock: Clock
    counts: SourceCounts
    opened: Callable[[], str] = lambda: ""


def event_input(options: InputOptions, model: Model, name: str) -> EventInput:
    """Return the source of events that the options describe.

    A network follows real time only for UDP: packets have no times but those of their arrival, and
    windows must end while nothing arrives. The times of other streams are exact, so that the same
    recording gives the same decisions at every speed.

    Args:
        options: where events come from.
        model: the network.
        name: name of the network, for errors.

    Raises:
        CliError: a camera has no use for a network with this input shape.
        ValueError: an option is not valid.
    """
    shape = model.input_shape
    if options.camera is not None:
        _check_image(model, name)
        recording = CameraFileSource(
            options.camera, shape, view=options.view, sensor=options.sensor
        )
        if math.isinf(options.speed):
            return EventInput(recording, VirtualClock(), recording.counts)
        paced = Paced(recording, RealTimeClock(options.speed))
        return EventInput(paced, VirtualClock(), recording.counts)
    if options.udp is not None:
        clock = RealTimeClock()
        udp = UdpSource(
            shape, *options.udp, clock=clock, view=_udp_view(options, model),
            packet_format=cast("PacketFormat", options.packet_format),
        )  # fmt: skip
        return EventInput(udp, clock, udp.counts, lambda: "listening on " + _joined(udp.address))
    websocket = WebsocketSource(str(options.websocket), model.input_size)
    return EventInput(
        websocket, VirtualClock(), websocket.counts, lambda: f"connected to {options.websocket}"
    )


def _joined(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _udp_view(options: InputOptions, model: Model) -> View | None:
    if options.view is None and options.sensor is not None:
        return View.centred(options.sensor, PixelGrid.of(model.input_shape))
    return options.view


def _check_image(model: Model, name: str) -> None:
    """Raise CliError unless the input of the network is an image."""
    try:
        is_image = PixelGrid.of(model.input_shape).height > 1
    except ValueError:
        is_image = False
    if not is_image:
        raise CliError(
            f"{name} expects an input of shape {model.input_shape}, but a camera sends images; it "
            "needs a network with the shape (2, H, W), (1, H, W) or (H, W), such as "
            "nmnist-unlayered"
        )
