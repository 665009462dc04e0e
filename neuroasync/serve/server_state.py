"""What all connections of a server share."""

import asyncio
import hmac
import logging
from typing import TYPE_CHECKING, Final

from starlette.requests import HTTPConnection

from neuroasync.runtime.bounded_queue import WhenFull, check_when_full
from neuroasync.runtime.network import Network
from neuroasync.runtime.time_slice import TimeSlice
from neuroasync.serve.capacity import CapacityLimiter
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics

if TYPE_CHECKING:
    from neuroasync.serve.connection.connection import Connection

__all__ = ["ServerState"]

log: Final = logging.getLogger("neuroasync.serve")
_READING_S: Final = 2e-3
"""In a turn of the event loop, for all connections; sessions have 1 ms to decide. However much
comes, decisions are made; and as what is dropped has to be read first, reading has more time."""


class ServerState:
    """A network that is served, its bounds, its counts, and who is connected.

    Args:
        network: decides.
        limits: bounds of this worker.
        when_full: what becomes of a sample for which there is no room.
        token: what clients must show, or None.
        tally: counts, maybe shared with other workers.

    Attributes:
        reading: the time that all connections may spend with reading in a turn of the event loop.
        room: for samples and events that wait, of all connections.
        is_draining: no new work is taken.
    """

    def __init__(
        self,
        network: Network,
        limits: ServerLimits,
        when_full: WhenFull,
        token: str | None,
        tally: ServerMetrics,
    ) -> None:
        if token is not None and not token:
            raise ValueError("token: empty, expected some characters, or None for no token")
        self.network = network
        self.limits = limits
        self.when_full: WhenFull = check_when_full(when_full)
        self.tally = tally
        self.room = CapacityLimiter(limits.max_queued_samples_total, limits.server_waiting_events)
        self.reading = TimeSlice(_READING_S)
        self.is_draining = False
        self._token = None if token is None else token.encode()
        self._connections: set[Connection] = set()
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._opened = 0

    def knows(self, request: HTTPConnection) -> bool:
        """Whether a request or websocket shows the token, if one is needed."""
        if self._token is None:
            return True
        header = request.headers.get("authorization", "")
        scheme, _, shown = header.partition(" ")
        if scheme.lower() != "bearer":
            shown = request.query_params.get("token", "")
        return hmac.compare_digest(shown.strip().encode(), self._token)

    def refuse(self, reason: str, remote: str) -> None:
        """Count and log that somebody was turned away."""
        self.tally.add("connections_refused", 1, reason)
        log.info("refused: %s", reason, extra={"reason": reason, "remote": remote})

    def cut(self) -> None:
        """End all connections at once."""
        for connection in tuple(self._connections):
            connection.cut()

    def is_blocked(self) -> bool:
        """Whether all who are still connected do not read what they are answered."""
        return not self._requests and all(c.is_blocked for c in self._connections)

    def is_full(self) -> bool:
        """Whether there are as many sessions as there may be."""
        return self.tally.total("sessions_open") >= self.limits.sessions

    def opened(self, connection: "Connection") -> int:
        """Take note of a connection; return its number."""
        self._connections.add(connection)
        self._idle.clear()
        self._opened += 1
        self.tally.add("sessions")
        self.tally.add("sessions_open")
        return self._opened - 1

    def closed(self, connection: "Connection") -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self.tally.add("sessions_open", -1)
        self._rest()

    def began(self) -> None:
        """Take note of a one-shot request; :meth:`ended` when it has been answered."""
        self._requests += 1
        self._idle.clear()

    def ended(self) -> None:
        """A one-shot request has been answered."""
        self._requests -= 1
        self._rest()

    async def drain(self) -> None:
        """Take no new work; wait until what was accepted is answered, and all have left.

        May be called more than once. Cancellation: safe; no new work is taken.
        """
        self.is_draining = True
        log.info(
            "draining: %d connections", len(self._connections),
            extra={"sessions": len(self._connections)},
        )  # fmt: skip
        for connection in tuple(self._connections):
            connection.drain()
        await self._idle.wait()
        log.info("drained", extra={"sessions": 0})

    def count_tasks(self) -> None:
        """Bring the number of tasks up to date."""
        self.tally.set("tasks", len(asyncio.all_tasks()))

    def _rest(self) -> None:
        if not self._connections and not self._requests:
            self._idle.set()
