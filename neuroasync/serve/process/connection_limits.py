"""The limits of a server for its connections, before any of their content is trusted."""

import sys
from dataclasses import dataclass
from typing import Final

from neuroasync.core.model.checks import as_number, check_ints, must_be, shown

__all__ = ["ConnectionLimits", "files_for_connections"]

_MAX_VALUE: Final = 2**31 - 1
_RESERVED_FILES: Final = 64
"""Files that are kept free for everything else, and for connections that are being refused."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits that apply before a client has presented a token.

    A connection *waits for its client* until a request is complete, between two requests, and while
    a response is not read. If there is no room for a new connection, the server closes the one that
    has waited longest. If none waits, it refuses the new one with status 503.

    Attributes:
        max_connections: Maximum number of connections of each worker, about 8 KB each. The limit of
            open files of the process reduces it.
        max_connections_per_address: Maximum number of connections of each worker from one address,
            or from one /64 network of IPv6. None: 256, and no limit for connections from the same
            machine, where a proxy may run.
        max_head_bytes: Maximum size of the request line and the headers. A request line or header
            above 8,000 bytes is refused, too.
        max_body_bytes: Maximum size of a body, if the request declares its size. The routes have
            lower limits.
        max_unfinished_bytes: Maximum size of everything that a worker holds for requests and
            messages that are incomplete, requests that are not answered, and HTTP responses that
            are not read, over all connections. Above it, the server closes the connection that has
            held its share longest.
        request_timeout_s: Maximum time for the request line and the headers, counted from the
            connection or from the first byte, and again for the body, in seconds.
        keep_alive_s: How long a connection stays open between two requests, in seconds.
        send_timeout_s: How long a response waits for a client that does not read, in seconds.

    Raises:
        ValueError: A limit is out of range.
    """

    max_connections: int = 3072
    max_connections_per_address: int | None = None
    max_head_bytes: int = 2**14
    max_body_bytes: int = 2**20
    max_unfinished_bytes: int = 2**24
    request_timeout_s: float = 20.0
    keep_alive_s: float = 30.0
    send_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        names = ["max_connections", "max_head_bytes", "max_body_bytes", "max_unfinished_bytes"]
        if self.max_connections_per_address is not None:
            names.append("max_connections_per_address")
        check_ints(self, dict.fromkeys(names, (1, _MAX_VALUE)), ValueError)
        for name in ("request_timeout_s", "keep_alive_s", "send_timeout_s"):
            value = as_number(getattr(self, name))
            if value is None or not 0 < value <= _MAX_VALUE:
                got = shown(getattr(self, name))
                raise ValueError(must_be(name, "a finite number above 0", got))
            object.__setattr__(self, name, value)


def files_for_connections(wanted: int) -> int:
    """Return how many connections the limit of open files allows, at most ``wanted``.

    The soft limit of the process is raised towards the hard limit first, as far as necessary.
    """
    if sys.platform == "win32":  # Windows has no such limit for sockets.
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return wanted
    # Below 128 files, half of them are for connections.
    return max(1, min(wanted, max(soft - _RESERVED_FILES, soft // 2)))
