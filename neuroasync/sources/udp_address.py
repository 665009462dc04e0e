"""Endpoints of UDP, and what their packets can name."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from neuroasync.sources.pixel_grid import PixelGrid
from neuroasync.sources.spif_packets import MAX_EXTENT

__all__ = ["addressable", "checked_port", "open_endpoint"]

_Protocol = TypeVar("_Protocol", bound=asyncio.DatagramProtocol)


async def open_endpoint(
    where: tuple[str, int],
    attach: Callable[[socket.socket, Any], None],
    protocol: Callable[[socket.socket], _Protocol],
) -> tuple[asyncio.DatagramTransport, _Protocol]:
    """An endpoint on a socket of our own: of one that cannot be had, uvloop leaves a handle.

    Args:
        where: host and port.
        attach: binds the socket to an address, or connects it.
        protocol: made of the socket.

    Raises:
        OSError: there is no such host, or the address cannot be had.
    """
    loop = asyncio.get_running_loop()
    host, port = where
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except UnicodeError as error:
        raise OSError(f"{host!r:.80} is no name of a host") from error
    family, kind, number, _, address = found[0]
    made = socket.socket(family, kind, number)
    try:
        made.setblocking(False)
        attach(made, address)
        return await loop.create_datagram_endpoint(lambda: protocol(made), sock=made)
    except BaseException:
        made.close()
        raise


def checked_port(port: int) -> int:
    """Return it, or raise ValueError unless it is one."""
    if type(port) is not int or not 0 <= port < 2**16:
        raise ValueError(f"port: {port!r:.80}, expected 0 to 65535")
    return port


def addressable(shape: tuple[int, ...]) -> PixelGrid:
    """The plane of an input shape whose pixels a packet can name; else ValueError."""
    plane = PixelGrid.of(shape)
    if max(plane.height, plane.width) > MAX_EXTENT:
        raise ValueError(f"shape: {shape}, expected at most {MAX_EXTENT} rows and columns")
    return plane
