"""Send events over UDP.

The packets have the format of :mod:`neuroasync.sources.udp.spif_packets`.
"""

import asyncio
import socket
from collections.abc import AsyncIterable, Iterable

from neuroasync.core.events.spike_train import Events
from neuroasync.errors import EventsError, SourceError
from neuroasync.runtime.streams.chunks import ChunkIterator
from neuroasync.sources.udp.address import addressable, checked_host, checked_port, open_endpoint
from neuroasync.sources.udp.spif_packets import format_packets

__all__ = ["send_udp"]


async def send_udp(
    chunks: AsyncIterable[Events] | Iterable[Events],
    shape: tuple[int, ...],
    host: str,
    port: int,
    *,
    timestamps: bool = True,
) -> int:
    """Send events over UDP as fast as they come.

    Wrap the chunks in :class:`~neuroasync.sources.Paced` to send events at their times.

    Cancellation: safe; the socket is closed.

    Args:
        chunks: the chunks of one stream.
        shape: input shape that the indices refer to.
        host: destination host.
        port: destination port.
        timestamps: whether to send the low 32 bits of the event times.

    Returns:
        The number of events sent.

    Raises:
        ValueError: ``shape``, ``host`` or ``port`` is not valid.
        EventsError: an index is outside the shape, or events have values, which packets cannot
            hold.
        SourceError: the address is not available.
    """
    grid = addressable(shape)
    try:
        transport, sender = await open_endpoint(
            (checked_host(host), checked_port(port)), socket.socket.connect, lambda _: _Sender()
        )
    except OSError as error:
        raise SourceError(f"udp {host}:{port}: {error}; cannot send there") from error
    sent = 0
    try:
        async for chunk in ChunkIterator(chunks):
            chunk.check_indices(grid.size)
            if chunk.value is not None:
                raise EventsError(
                    "UDP packets hold spikes of pixels and no values; send events with values over "
                    "a websocket"
                )
            for data, events in format_packets(
                chunk.index, chunk.t_us if timestamps else None, grid
            ):
                transport.sendto(data)
                await sender.writable()
                sent += events
    finally:
        transport.close()
    return sent


class _Sender(asyncio.DatagramProtocol):
    """A protocol that tracks whether the socket accepts more data."""

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    async def writable(self) -> None:
        """Wait until the socket accepts more data; always yields to the event loop once."""
        await asyncio.sleep(0)
        await self._free.wait()
