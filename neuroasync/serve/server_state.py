"""The state that all connections of a server share."""

import asyncio
import hmac
import logging
from typing import Final, Protocol

from starlette.requests import HTTPConnection

from neuroasync.core.model.checks import check_type
from neuroasync.runtime.bounded_queue import WhenFull, check_when_full
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.serve.capacity import CapacityLimiter
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.served_networks import ServedNetwork, ServedNetworks

__all__ = ["OpenConnection", "ServerState"]

log: Final = logging.getLogger("neuroasync.serve")
_READ_SLICE_S: Final = 2e-3
"""Time for reading in one turn of the event loop, shared by all connections. Sessions have 0.5 ms
for decisions, so decisions proceed under any load. Reading gets more time than deciding, because a
message must be read before it can be dropped."""


_CHECK_S: Final = 1.0
"""Time between two searches for clients that left while nothing is read from them, in seconds."""


class OpenConnection(Protocol):
    """What the server state needs from a connection."""

    @property
    def is_blocked(self) -> bool:
        """Whether a response waits for the client to read."""

    def drain(self) -> None:
        """Stop reading, answer complete samples, then close the connection."""

    def abort(self) -> None:
        """Close the connection immediately."""

    def abort_if_left(self) -> None:
        """Close the connection if its client has left."""


class ServerState:
    """The served networks with their limits, metrics and open connections.

    Args:
        networks: The networks that make the decisions.
        limits: Limits of this worker process.
        when_full: What to do with a sample when the queue is full.
        token: Token that clients must present, or None.
        metrics: Counters, possibly shared with other worker processes.

    Attributes:
        read_slice: Time that all connections together may spend on reading in one turn of the
            event loop.
        capacity: Limiter for the queued samples and events of all connections.
        is_draining: Whether the server has stopped accepting work.
    """

    def __init__(
        self,
        networks: ServedNetworks,
        limits: ServerLimits,
        when_full: WhenFull,
        token: str | None,
        metrics: ServerMetrics,
    ) -> None:
        check_type("limits", limits, ServerLimits)
        if token is not None:
            check_type("token", token, str)
        if token == "":
            raise ValueError("`token` must not be empty; use None to serve without a token")
        if metrics.networks != len(networks):
            raise ValueError(
                f"`metrics` must be for {len(networks)} networks, got {metrics.networks}"
            )
        self.networks = networks
        self.limits = limits
        self.when_full: WhenFull = check_when_full(when_full)
        self.metrics = metrics
        self._metrics_by_network = [metrics.of_network(k) for k in range(len(networks))]
        self.capacity = CapacityLimiter(
            limits.max_queued_samples_total, limits.max_queued_events_total
        )
        self.read_slice = TimeSlice(_READ_SLICE_S)
        self.is_draining = False
        self._token = None if token is None else token.encode()
        self._connections: set[OpenConnection] = set()
        self._next_check: asyncio.TimerHandle | None = None
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection_count = 0

    def is_authorized(self, request: HTTPConnection) -> bool:
        """Return whether a request or websocket presents the token, if the server requires one."""
        if self._token is None:
            return True
        header = request.headers.get("authorization", "")
        scheme, _, presented = header.partition(" ")
        if scheme.lower() != "bearer":
            presented = request.query_params.get("token", "")
        # A comparison in constant time does not reveal how many characters are right.
        return hmac.compare_digest(presented.strip().encode(), self._token)

    def record_refusal(self, reason: str, remote: str) -> None:
        """Count and log a connection or request that was turned away."""
        self.metrics.add("connections_refused", 1, reason)
        log.info("refused: %s", reason, extra={"reason": reason, "remote": remote})

    def abort_connections(self) -> None:
        """Close all connections immediately."""
        for connection in tuple(self._connections):
            connection.abort()

    def is_blocked(self) -> bool:
        """Return whether only clients that do not read their responses are still connected."""
        return not self._requests and all(c.is_blocked for c in self._connections)

    def is_full(self) -> bool:
        """Return whether the maximum number of sessions is open."""
        return self.metrics.total("sessions_open") >= self.limits.max_sessions

    def max_passes_of(self, served: ServedNetwork) -> int:
        """Return the maximum number of passes of a sample: the server's, or less."""
        return min(self.limits.max_passes, served.network.settings.max_passes)

    def metrics_of(self, served: ServedNetwork) -> ServerMetrics:
        """Return the metrics to which the work of a network is added."""
        return self._metrics_by_network[served.position]

    def add_connection(self, connection: OpenConnection, served: ServedNetwork) -> int:
        """Register an open connection with a session of a network, and return its number."""
        self._connections.add(connection)
        if self._next_check is None:
            self._next_check = asyncio.get_running_loop().call_later(_CHECK_S, self._abort_left)
        self._idle.clear()
        self._connection_count += 1
        self.metrics_of(served).add("sessions")
        self.metrics_of(served).add("sessions_open")
        return self._connection_count - 1

    def remove_connection(self, connection: OpenConnection, served: ServedNetwork) -> None:
        """Remove a connection that has ended."""
        self._connections.discard(connection)
        self.metrics_of(served).add("sessions_open", -1)
        self._update_idle()

    def begin_request(self) -> None:
        """Register a single-sample request. Call :meth:`end_request` once it is answered."""
        self._requests += 1
        self._idle.clear()

    def end_request(self) -> None:
        """Remove a single-sample request that was answered."""
        self._requests -= 1
        self._update_idle()

    async def drain(self) -> None:
        """Stop accepting work and wait until accepted samples are answered and all clients left.

        You may call this more than once.

        Cancellation: safe. The server continues to refuse new work.
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

    def update_task_count(self) -> None:
        """Set the metric that counts the tasks of the event loop."""
        self.metrics.set("tasks", len(asyncio.all_tasks()))

    def _abort_left(self) -> None:
        """End the work for clients that have left."""
        self._next_check = asyncio.get_running_loop().call_later(_CHECK_S, self._abort_left)
        for connection in tuple(self._connections):
            connection.abort_if_left()

    def _update_idle(self) -> None:
        if not self._connections and self._next_check is not None:
            self._next_check.cancel()
            self._next_check = None
        if not self._connections and not self._requests:
            self._idle.set()
