"""What the system knows about a socket whose data the server does not read now."""

import select
import socket

__all__ = ["is_closed_by_peer"]


def is_closed_by_peer(connection: socket.socket | None) -> bool:
    """Return whether a connection was closed, by the peer or here, even if data is still unread.

    Only Linux tells what the peer did. On other systems, the peer counts as connected.

    Args:
        connection: The socket of a transport. None if the transport is closed.
    """
    if connection is None or connection.fileno() < 0:
        return True
    if not hasattr(select, "POLLRDHUP"):
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
