"""Events over UDP: a source that listens.

The packets are those of :mod:`neuroasync.sources.spif_packets`.
"""

import asyncio
import contextlib
import socket
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import ClosedError, MessageError, QueueFullError, SourceError
from neuroasync.runtime.bounded_queue import BoundedQueue, WhenFull
from neuroasync.runtime.clock import Clock, RealTimeClock
from neuroasync.sources.base import Source
from neuroasync.sources.spif_packets import parse_packet
from neuroasync.sources.timestamps import Stamps, ascending
from neuroasync.sources.udp_address import addressable, checked_port, open_endpoint

__all__ = ["UdpSource"]

_PACKETS_A_TURN: Final = 64
"""Some 1 ms of the event loop."""

_MAX_BYTES: Final = 2**16

_WAYS: Final = ("drop-oldest", "drop-newest", "error")


class UdpSource(Source):
    """Listens on a UDP port; a part is what has arrived since the one before.

    A packet without timestamps has the time of its arrival, by ``clock``. With timestamps, the
    first event of all has the time of its arrival, and the others follow it as the sender's clock
    says. Packets that overtake each other by up to ``tolerance_us`` are taken: their
    events are moved up to the latest time handed on, and counted in ``counts.late``. A packet that
    breaks the format, names a pixel that the network does not have, or goes back further in time
    is skipped whole, and counted in ``counts.malformed``.

    Nobody can make a sender over UDP wait, and what the operating system drops before it gets
    here is not seen.

    Args:
        shape: of the network's input: (2, H, W), (1, H, W), (H, W) or (N,); see
            :class:`~neuroasync.sources.PixelGrid`.
        host: address to listen on.
        port: port to listen on; 0 for any that is free, see :attr:`address`.
        clock: whose time it is; None for real time, from the first packet on.
        tolerance_us: by how much packets may overtake each other, µs.
        capacity: packets that wait for the reader.
        when_full: what to do with one for which there is no room: ``"drop-oldest"``,
            ``"drop-newest"``, or ``"error"``: reading then ends with QueueFullError, after what
            was accepted before.

    Raises:
        ValueError: an argument is none of these.
        SourceError: on opening, if the port cannot be listened on; while reading, if the socket
            broke.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        clock: Clock | None = None,
        tolerance_us: int = 1000,
        capacity: int = limits.MAX_QUEUED_PACKETS,
        when_full: WhenFull = "drop-oldest",
    ) -> None:
        super().__init__()
        self._plane = addressable(shape)
        if when_full not in _WAYS:
            raise ValueError(f"when_full: {when_full!r:.80}, expected one of {', '.join(_WAYS)}")
        if type(tolerance_us) is not int or not 0 <= tolerance_us < 2**31:
            raise ValueError(f"tolerance_us: {tolerance_us!r:.80}, expected 0 to 2**31 - 1")
        self._where = (host, checked_port(port))
        self._clock = clock
        self._stamps = Stamps(tolerance_us)
        self._queue: BoundedQueue[SpikeTrain] = BoundedQueue(capacity, when_full)
        self._latest_us = 0
        self._error: Exception | None = None
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on, once it is open."""
        if self._transport is None:
            return self._where
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    async def _open(self) -> None:
        if self._clock is None:
            self._clock = RealTimeClock()
        try:
            self._transport, _ = await open_endpoint(
                self._where, socket.socket.bind, lambda made: _Listener(self, made)
            )
        except OSError as error:
            host, port = self._where
            raise SourceError(f"udp {host}:{port}: {error}; cannot listen there") from error

    async def _next(self) -> SpikeTrain | None:
        try:
            await self._queue.readable()
        except ClosedError:
            if self._error is not None:
                raise self._error from None
            return None
        waiting, events = [self._queue.pop()], 0
        while self._queue and (events := events + len(waiting[-1])) < limits.MAX_PART_EVENTS:
            waiting.append(self._queue.pop())
        if len(waiting) == 1:
            return waiting[0]
        return SpikeTrain(
            np.concatenate([part.t_us for part in waiting]),
            np.concatenate([part.index for part in waiting]),
        )

    async def _close(self) -> None:
        self._queue.close()
        while len(self._queue):
            self.counts.dropped += len(self._queue.pop())
        if self._transport is not None:
            self._transport.close()

    def _take(self, data: bytes) -> None:
        """A packet has arrived."""
        if self._clock is None:
            return
        try:
            packet = parse_packet(data, self._plane)
        except MessageError:
            self.counts.malformed += 1
            return
        t_us = self._times(packet.stamps, packet.index.size, self._clock.now_us())
        if t_us is None:
            self.counts.malformed += 1
            return
        self._latest_us = int(t_us[-1])
        try:
            lost = self._queue.push(SpikeTrain(t_us, packet.index))
        except (ClosedError, QueueFullError) as error:
            self.counts.refused += packet.index.size
            if isinstance(error, QueueFullError):
                self._fail(error)
        else:
            self.counts.dropped += 0 if lost is None else len(lost)

    def _times(
        self, stamps: NDArray[np.uint32] | None, events: int, now_us: int
    ) -> NDArray[np.int64] | None:
        if stamps is None:
            t_us, late = np.full(events, now_us, np.int64), 0
        elif (placed := self._stamps.place(stamps, now_us)) is None:
            return None
        else:
            t_us, late = placed
        # Where packets with and without timestamps come in turns.
        t_us, behind = ascending(t_us, self._latest_us)
        self.counts.late += max(late, behind)
        return t_us

    def _fail(self, error: Exception) -> None:
        """Nothing more is taken; the reader gets the error after what was."""
        self._error = error
        self._queue.close()


class _Listener(asyncio.DatagramProtocol):
    """Takes all packets that are there.

    Asyncio hands over one for each turn of the event loop. What piles up behind it in a busy
    loop, the operating system would drop, and nobody would count it.
    """

    def __init__(self, source: UdpSource, listening: socket.socket) -> None:
        self._source = source
        self._socket = listening

    def datagram_received(self, data: bytes, _: Any) -> None:
        self._source._take(data)
        with contextlib.suppress(OSError):  # BlockingIOError: there are no more
            for _ in range(_PACKETS_A_TURN):
                self._source._take(self._socket.recv(_MAX_BYTES))

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._source._fail(SourceError(f"udp: {error}; the socket broke"))
