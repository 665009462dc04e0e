"""Open UDP endpoints and check their arguments."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from neuroasync.core.events.pixel_grid import PixelGrid
from neuroasync.core.model.checks import check_int, must_be, shown
from neuroasync.sources.udp.spif_packets import MAX_EXTENT

__all__ = ["addressable", "checked_host", "checked_port", "open_endpoint"]

_Protocol = TypeVar("_Protocol", bound=asyncio.DatagramProtocol)


async def open_endpoint(
    host_port: tuple[str, int],
    attach: Callable[[socket.socket, Any], None],
    protocol: Callable[[socket.socket], _Protocol],
) -> tuple[asyncio.DatagramTransport, _Protocol]:
    """Open a UDP endpoint on a socket that is created here.

    uvloop leaks a handle if it creates the socket itself and that fails, or if it is cancelled
    while it opens the endpoint. That takes a few turns of the event loop and is therefore never
    cancelled.

    Cancellation: safe; the socket is closed.

    Args:
        host_port: host and port.
        attach: binds the socket to the address, or connects it.
        protocol: creates the protocol from the socket.

    Raises:
        OSError: the host is unknown or the address is not available.
    """
    loop = asyncio.get_running_loop()
    host, port = host_port
    try:
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except ValueError as error:  # not Unicode, or too long
        raise OSError(f"{host!r:.80} is not a valid host name") from error
    family, kind, number, _, address = addresses[0]
    opened = socket.socket(family, kind, number)
    try:
        opened.setblocking(False)
        attach(opened, address)
    except BaseException:
        opened.close()
        raise
    opening = asyncio.ensure_future(
        loop.create_datagram_endpoint(lambda: protocol(opened), sock=opened)
    )
    try:
        return await asyncio.shield(opening)
    except BaseException:
        while not opening.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([opening])
        if opening.exception() is None:
            opening.result()[0].close()
        else:
            opened.close()
        raise


def checked_host(host: str) -> str:
    """Return ``host``; raise ValueError unless it is text without a null character."""
    if not isinstance(host, str) or "\0" in host:  # uvloop would take what is before it
        raise ValueError(must_be("host", "the name or the address of a host", shown(host)))
    return host


def checked_port(port: int) -> int:
    """Return ``port`` as an int; raise ValueError unless it is a port number."""
    return check_int("port", port, 0, 2**16 - 1, ValueError)


def addressable(shape: tuple[int, ...]) -> PixelGrid:
    """Return the grid of an input shape.

    Raises:
        ValueError: the shape is not valid, or has more rows or columns than a packet can address.
    """
    grid = PixelGrid.of(shape)
    if max(grid.height, grid.width) > MAX_EXTENT:
        raise ValueError(f"`shape` must have at most {MAX_EXTENT} rows and columns, got {shape}")
    return grid
