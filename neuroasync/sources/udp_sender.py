"""Events over UDP: a sender.

The packets are those of :mod:`neuroasync.sources.spif_packets`.
"""

import asyncio
import socket
from collections.abc import AsyncIterable, Iterable

from neuroasync.core.events.spike_train import Events
from neuroasync.errors import SourceError
from neuroasync.runtime.streams.stream import ChunkIterator
from neuroasync.sources.spif_packets import format_packets
from neuroasync.sources.udp_address import addressable, checked_port, open_endpoint

__all__ = ["send_udp"]


async def send_udp(
    parts: AsyncIterable[Events] | Iterable[Events],
    shape: tuple[int, ...],
    host: str,
    port: int,
    *,
    timestamps: bool = True,
) -> int:
    """Send events over UDP, as fast as they come; :class:`~neuroasync.sources.Paced` paces them.

    Cancellation: safe; the socket is closed.

    Args:
        parts: what to send, in one stream.
        shape: of the input that the indices are of.
        host: where to.
        port: where to.
        timestamps: send times, too; the low 32 bits of them.

    Returns:
        Number of events sent.

    Raises:
        ValueError: the shape cannot be sent, or ``port`` is none.
        SpikeFileError: an index is not one of the shape's.
        SourceError: the address cannot be sent to.
    """
    plane = addressable(shape)
    try:
        transport, sender = await open_endpoint(
            (host, checked_port(port)), socket.socket.connect, lambda _: _Sender()
        )
    except OSError as error:
        raise SourceError(f"udp {host}:{port}: {error}; cannot send there") from error
    sent = 0
    try:
        async for part in ChunkIterator(parts):
            part.check_indices(plane.size)
            for data, events in format_packets(
                part.index, part.t_us if timestamps else None, plane
            ):
                transport.sendto(data)
                await sender.writable()
                sent += events
    finally:
        transport.close()
    return sent


class _Sender(asyncio.DatagramProtocol):
    """Knows whether the socket takes more."""

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    async def writable(self) -> None:
        """Wait until the socket takes more; others have their turn in any case."""
        await asyncio.sleep(0)
        await self._free.wait()
