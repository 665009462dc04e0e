"""A source that receives events over UDP.

The packets have a format of :mod:`neuroasync.sources.udp.spif_packets` or
:mod:`neuroasync.sources.udp.faery_packets`.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.events.pixel_grid import View
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import ClosedError, MessageError, QueueFullError, SourceError
from neuroasync.runtime.bounded_queue import BoundedQueue, WhenFull
from neuroasync.runtime.clock import Clock, RealTimeClock
from neuroasync.sources.base import Source
from neuroasync.sources.timestamps import Stamps, ascending
from neuroasync.sources.udp.address import addressable, checked_host, checked_port, open_endpoint
from neuroasync.sources.udp.faery_packets import parse_t32_packet, parse_t64_packet
from neuroasync.sources.udp.spif_packets import Packet, parse_packet

__all__ = ["PacketFormat", "UdpSource"]

_PACKETS_PER_READ: Final = 64
"""Handling this many packets takes about 1 ms."""

_MAX_BYTES: Final = 2**16

PacketFormat: TypeAlias = Literal["spif", "t64_x16_y16_on8", "t32_x16_y15_on1"]
"""Name of a format of UDP packets."""

_PARSERS: Final[dict[str, Callable[[bytes], Packet]]] = {
    "spif": parse_packet,
    "t64_x16_y16_on8": parse_t64_packet,
    "t32_x16_y15_on1": parse_t32_packet,
}

_WHEN_FULL: Final = ("drop-oldest", "drop-newest", "error")


class UdpSource(Source):
    """A source that listens on a UDP port; a chunk holds what arrived since the previous one.

    Events without timestamps get the arrival time of their packet by ``clock``. With timestamps,
    the first event gets the arrival time of its packet; each later event gets that time plus the
    time since the first event by the clock of the sender. Packets that are out of order by up to
    ``tolerance_us`` are accepted: their events get the latest time assigned so far and are counted
    in ``counts.late``.

    A packet that violates the format, goes back further in time, or runs ahead of the arrivals by
    more than a second is skipped entirely and counted in ``counts.malformed``. If the next packet
    continues from there, the clock of the sender has restarted or jumped, which
    ``counts.clock_jumps`` counts: the stream continues at the arrival time. Events of pixels that
    the network does not see are left out and counted in ``counts.outside``.

    UDP has no flow control: a slow reader cannot make the sender wait, and packets that the
    operating system drops are not counted.

    Args:
        shape: input shape of the network: (2, H, W), (1, H, W), (H, W) or (N,); see
            :class:`~neuroasync.sources.PixelGrid`.
        host: address to listen on.
        port: port to listen on; 0 for any free port, see :attr:`address`.
        clock: clock of the arrival times; None for real time, starting with the opening.
        view: the pixels of the sensor that the network sees. With None, it sees the pixels from
            (0, 0) on, without binning.
        packet_format: ``"spif"`` for packets of SPIF and AEStream, as
            :func:`~neuroasync.sources.send_udp` sends them; ``"t64_x16_y16_on8"`` or
            ``"t32_x16_y15_on1"`` for those of Faery.
        tolerance_us: by how much packets may be out of order, µs or such as ``"1ms"``.
        capacity: maximum number of packets that wait for the reader.
        when_full: what to do when the queue is full: ``"drop-oldest"``, ``"drop-newest"``, or
            ``"error"``, by which the reader receives the queued packets and then QueueFullError.

    Raises:
        ValueError: an argument is not valid.
        SourceError: the port is not available (on opening), or the socket failed (while reading).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        clock: Clock | None = None,
        view: View | None = None,
        packet_format: PacketFormat = "spif",
        tolerance_us: Duration = 1000,
        capacity: int = limits.MAX_QUEUED_PACKETS,
        when_full: WhenFull = "drop-oldest",
    ) -> None:
        super().__init__()
        self._grid = addressable(shape)
        if when_full not in _WHEN_FULL:
            raise ValueError(
                f"`when_full` must be one of {', '.join(_WHEN_FULL)}, got {when_full!r:.80}"
            )
        if packet_format not in tuple(_PARSERS):
            raise ValueError(
                f"`packet_format` must be one of {', '.join(_PARSERS)}, got {packet_format!r:.80}"
            )
        self._parse = _PARSERS[packet_format]
        self._view = view or View()
        self._host_port = (checked_host(host), checked_port(port))
        self._clock = clock
        self._stamps = Stamps(microseconds(tolerance_us, "tolerance_us", 0, 2**31 - 1))
        self._queue: BoundedQueue[SpikeTrain] = BoundedQueue(capacity, when_full)
        self._latest_us = 0
        self._error: Exception | None = None
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the actual port once the source is open."""
        if self._transport is None:
            return self._host_port
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    async def _open(self) -> None:
        if self._clock is None:
            self._clock = RealTimeClock()
        try:
            self._transport, _ = await open_endpoint(
                self._host_port,
                socket.socket.bind,
                lambda sock: _Listener(self._receive, self._fail, sock),
            )
        except OSError as error:
            host, port = self._host_port
            raise SourceError(f"udp {host}:{port}: {error}; cannot listen there") from error

    async def _next(self) -> SpikeTrain | None:
        try:
            await self._queue.readable()
        except ClosedError:
            if self._error is not None:
                raise self._error from None
            return None
        waiting, events = [self._queue.pop()], 0
        while self._queue and (events := events + len(waiting[-1])) < limits.MAX_CHUNK_EVENTS:
            waiting.append(self._queue.pop())
        if len(waiting) == 1:
            return waiting[0]
        return SpikeTrain(
            np.concatenate([chunk.t_us for chunk in waiting]),
            np.concatenate([chunk.index for chunk in waiting]),
        )

    async def _close(self) -> None:
        self._queue.close()
        while len(self._queue):
            self.counts.dropped += len(self._queue.pop())
        if self._transport is not None:
            self._transport.close()

    def _receive(self, data: bytes) -> None:
        """Parse a packet and queue its events."""
        if self._clock is None:
            return
        try:
            packet = self._parse(data)
        except MessageError:
            self.counts.malformed += 1
            return
        t_us = self._arrival_times(packet.stamps, packet.x.size, self._clock.now_us())
        if t_us is None:
            self.counts.malformed += 1
            return
        self._latest_us = int(t_us[-1])
        x, y = self._view.to_network(packet.x, packet.y)
        is_seen = self._grid.sees(x, y)
        index = self._grid.index(x[is_seen], y[is_seen], packet.polarity[is_seen])
        self.counts.outside += t_us.size - index.size
        if index.size:
            self._put(SpikeTrain(t_us[is_seen], index))

    def _put(self, events: SpikeTrain) -> None:
        """Queue events for the reader, and count those that are lost."""
        try:
            lost = self._queue.push(events)
        except (ClosedError, QueueFullError) as error:
            self.counts.refused += len(events)
            if isinstance(error, QueueFullError):
                self._fail(error)
        else:
            self.counts.dropped += 0 if lost is None else len(lost)

    def _arrival_times(
        self, stamps: NDArray[np.uint32] | None, events: int, now_us: int
    ) -> NDArray[np.int64] | None:
        if stamps is None:
            t_us, late = np.full(events, now_us, np.int64), 0
        elif (placed := self._stamps.place(stamps, now_us)) is None:
            return None
        else:
            t_us, late = placed
            self.counts.clock_jumps = self._stamps.jumps
        # Packets with and without timestamps may alternate.
        t_us, behind = ascending(t_us, self._latest_us)
        self.counts.late += max(late, behind)
        return t_us

    def _fail(self, error: Exception) -> None:
        """Stop receiving; the reader gets the error after the packets accepted before."""
        self._error = error
        self._queue.close()


class _Listener(asyncio.DatagramProtocol):
    """A protocol that reads all packets that have arrived.

    asyncio reads one packet per iteration of the event loop. In a busy loop, the operating system
    would drop the packets that pile up behind it, and they would not be counted.
    """

    def __init__(
        self,
        receive: Callable[[bytes], None],
        fail: Callable[[Exception], None],
        listening: socket.socket,
    ) -> None:
        self._receive = receive
        self._fail = fail
        self._socket = listening

    def datagram_received(self, data: bytes, _: Any) -> None:
        self._receive(data)
        with contextlib.suppress(OSError):  # BlockingIOError: no packet is left.
            for _ in range(_PACKETS_PER_READ):
                self._receive(self._socket.recv(_MAX_BYTES))

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._fail(SourceError(f"udp: {error}; the socket failed"))
