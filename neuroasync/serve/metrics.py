"""Counters and gauges of a server, in memory that its worker processes share.

Each worker writes only to its own rows, one for each network, so that no lock is needed. A reader
sums the rows. A row consists of doubles, which count exactly up to 2**53.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["FAMILIES", "LATENCY_BUCKETS_S", "MetricFamily", "ServerMetrics"]


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """Numbers with a common name, one for each value of a label.

    Attributes:
        name: Name without the prefix ``neuroasync_``.
        kind: A counter only grows; a gauge goes up and down.
        help: Description for Prometheus.
        label: Name of the label, or "" for a family with a single number.
        values: Values of the label.
        by_network: Whether the family has the label ``network``, too. Otherwise, its numbers are
            about the whole server.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    label: str = ""
    values: tuple[str, ...] = ("",)
    by_network: bool = True


FAMILIES: Final = (
    MetricFamily("samples_sent", "counter", "Samples whose first message was received."),
    MetricFamily(
        "samples_accepted", "counter",
        "Samples that were received completely and accepted. Outcome answered: the decision was "
        "sent; client-gone: the client disconnected first; cpu-time: the sample used too much CPU "
        "time; failed: the sample reached another limit of the network or its decision raised an "
        "error.",
        "outcome", ("answered", "client-gone", "cpu-time", "failed"),
    ),
    MetricFamily(
        "samples_dropped", "counter", "Samples that were dropped because a queue was full.",
        "reason", ("connection-full", "server-full"),
    ),
    MetricFamily(
        "samples_refused", "counter",
        "Samples that were refused: a queue was full, the sample had more events than fit into the "
        "queue or needed too many passes, a message was malformed, the events did not fit the "
        "network, the client left before the end of the sample, or the server was shutting down.",
        "reason",
        (
            "connection-full", "server-full", "too-large", "too-many-passes", "malformed",
            "invalid", "unfinished", "draining",
        ),
    ),
    MetricFamily(
        "samples_open", "gauge",
        "Samples that were sent and are not yet accepted, dropped or refused.",
    ),
    MetricFamily(
        "samples_waiting", "gauge",
        "Queue depth: samples that wait for an earlier sample of their connection.",
    ),
    MetricFamily("events_waiting", "gauge", "Input events that wait in the queue."),
    MetricFamily("decisions", "counter", "Final decisions; provisional ones do not count."),
    MetricFamily("spikes", "counter", "Spikes of all decisions."),
    MetricFamily("events", "counter", "Input events received."),
    MetricFamily("messages", "counter", "Messages received."),
    MetricFamily("messages_malformed", "counter", "Messages that were malformed."),
    MetricFamily(
        "messages_delayed", "counter",
        "Messages that were delayed because their client exceeded its rate limit.",
    ),
    MetricFamily("sessions_open", "gauge", "Open connections with a session."),
    MetricFamily(
        "tasks", "gauge", "Tasks of the event loops: two for each session and a few shared ones.",
        by_network=False,
    ),
    MetricFamily("sessions", "counter", "Connections that were given a session."),
    MetricFamily(
        "connections_refused", "counter",
        "Connections and requests that were refused. Reason host and origin: see --allow-host and "
        "--allow-origin; malformed: the request was not valid HTTP or too large; timeout: the "
        "client was too slow; room: the limit of connections or of unfinished requests.",
        "reason",
        (
            "token", "sessions", "options", "draining", "host", "origin", "malformed", "timeout",
            "room",
        ),
        by_network=False,
    ),
    MetricFamily(
        "connections_cut", "counter", "Connections that the server closed.",
        "reason", ("slow-reader", "malformed", "draining"),
    ),
)  # fmt: skip

LATENCY_BUCKETS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the buckets of the latency histogram, in seconds. One more has no bound."""

_SLOTS: Final = {
    (family.name, value): slot
    for slot, (family, value) in enumerate(
        (family, value) for family in FAMILIES for value in family.values
    )
}
_ONE_FOR_EACH_ANSWERED: Final = frozenset(
    _SLOTS[key]
    for key in (
        ("messages", ""), ("samples_sent", ""), ("samples_accepted", "answered"), ("decisions", ""),
    )
)  # fmt: skip
_EVENTS: Final = _SLOTS["events", ""]
_SPIKES: Final = _SLOTS["spikes", ""]
_FIRST_BUCKET: Final = len(_SLOTS)
_LATENCY_SUM: Final = _FIRST_BUCKET + len(LATENCY_BUCKETS_S) + 1
_ANSWERED: Final = _LATENCY_SUM + 1
"""Number of samples that :meth:`ServerMetrics.count_answered` has counted, for several families."""


class ServerMetrics:
    """The metrics of one worker, stored next to those of the other workers.

    An object writes the numbers of one network: the first one, or that of :meth:`of_network`.
    Families that are about the whole server are in the row of the first network.

    Args:
        cells: f64[workers * networks * ServerMetrics.SIZE], initially zero, in memory that the
            workers share. None allocates private memory for a single worker.
        worker: Number of this worker, from 0.
        networks: Number of networks of the server.

    Attributes:
        networks: Number of networks of the server.
    """

    SIZE: Final = _ANSWERED + 1

    __slots__ = ("_cells", "_row", "_worker", "networks")

    def __init__(
        self, cells: "memoryview[float] | None" = None, worker: int = 0, networks: int = 1
    ) -> None:
        if cells is None:
            cells = memoryview(bytearray(8 * networks * self.SIZE)).cast("d")
        self.networks = networks
        self._cells = cells
        self._worker = worker
        self._row = self._row_of(0)

    def _row_of(self, network: int) -> "memoryview[float]":
        """Return the numbers of a network that this worker writes."""
        first = (self._worker * self.networks + network) * self.SIZE
        return self._cells[first : first + self.SIZE]

    def of_network(self, position: int) -> "ServerMetrics":
        """Return an object that writes the numbers of the network at a position."""
        metrics = ServerMetrics(self._cells, self._worker, self.networks)
        metrics._row = metrics._row_of(position)
        return metrics

    def add(self, name: str, amount: float = 1, value: str = "") -> None:
        """Add to one number of a family."""
        self._row[_SLOTS[name, value]] += amount

    def set(self, name: str, amount: float) -> None:
        """Set this worker's share of a gauge."""
        self._row[_SLOTS[name, ""]] = amount

    def count_answered(self, events: int, spikes: int, latency_s: float) -> None:
        """Count the only message of a sample, the sample as accepted, and its decision.

        Args:
            events: Number of events of the message.
            spikes: Number of spikes of the decision.
            latency_s: Latency of the decision in seconds.
        """
        row = self._row
        row[_ANSWERED] += 1
        row[_EVENTS] += events
        row[_SPIKES] += spikes
        row[_FIRST_BUCKET + bisect_left(LATENCY_BUCKETS_S, latency_s)] += 1
        row[_LATENCY_SUM] += latency_s

    def count_decision(self, spikes: int, latency_s: float) -> None:
        """Count a decision, its spikes and its latency in seconds."""
        self.add("decisions")
        self.add("spikes", spikes)
        self.observe_latency(latency_s)

    def observe_latency(self, seconds: float) -> None:
        """Add the latency of one decision to the histogram."""
        bucket = bisect_left(LATENCY_BUCKETS_S, seconds)
        self._row[_FIRST_BUCKET + bucket] += 1
        self._row[_LATENCY_SUM] += seconds

    def total(self, name: str, value: str = "", network: int | None = None) -> float:
        """Return one number of a family, summed over all workers.

        Args:
            name: Name of the family.
            value: Value of the label.
            network: Position of a network. None sums over all networks.
        """
        slot = _SLOTS[name, value]
        answered = self._sum(_ANSWERED, network) if slot in _ONE_FOR_EACH_ANSWERED else 0.0
        return self._sum(slot, network) + answered

    def latency_histogram(self, network: int) -> tuple[list[tuple[str, float]], float]:
        """Return the latency histogram of a network over all workers.

        Returns:
            A list of (upper bound, number of decisions up to this bound), and the sum of all
            latencies in seconds.
        """
        count, buckets = 0.0, []
        for k, bound in enumerate((*map(str, LATENCY_BUCKETS_S), "+Inf")):
            count += self._sum(_FIRST_BUCKET + k, network)
            buckets.append((bound, count))
        return buckets, self._sum(_LATENCY_SUM, network)

    def _sum(self, slot: int, network: int | None) -> float:
        """Sum over the workers, and over the networks if ``network`` is None."""
        first, stride = slot, self.SIZE
        if network is not None:
            first, stride = slot + network * self.SIZE, self.networks * self.SIZE
        return float(sum(self._cells[k] for k in range(first, len(self._cells), stride)))
