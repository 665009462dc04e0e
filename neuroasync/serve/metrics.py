"""What a server counts: numbers in memory that its worker processes share.

Each worker adds to a row of its own, so nobody waits for anybody; whoever is asked for the
numbers sums the rows. A row is plain doubles, which count exactly up to 2**53.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["FAMILIES", "LATENCY", "MetricFamily", "ServerMetrics"]


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """Numbers that belong together, one for each value of a label.

    Attributes:
        name: without the ``neuroasync_`` in front.
        kind: a counter only grows, a gauge goes up and down.
        help: what is counted.
        label: its name, or "" for a family of one number.
        values: of the label.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    label: str = ""
    values: tuple[str, ...] = ("",)


FAMILIES: Final = (
    MetricFamily("samples_sent", "counter", "Samples of which a first message came."),
    MetricFamily(
        "samples_accepted", "counter",
        "Samples that came whole and were taken: their decision was answered, nobody was there "
        "to answer to, or there is none, for the sample reached a limit of the network.",
        "outcome", ("answered", "client-gone", "failed"),
    ),
    MetricFamily(
        "samples_dropped", "counter", "Samples that were dropped for want of room.",
        "reason", ("connection-full", "server-full"),
    ),
    MetricFamily(
        "samples_refused", "counter",
        "Samples that were not taken: no room, more events than may wait, a message that breaks "
        "the format, events that the network does not read, a client that left before their "
        "end, or a server that was shutting down.",
        "reason",
        (
            "connection-full", "server-full", "too-large", "malformed", "invalid", "unfinished",
            "draining",
        ),
    ),
    MetricFamily(
        "samples_open", "gauge", "Samples sent that are not accepted, dropped or refused yet."
    ),
    MetricFamily(
        "samples_waiting", "gauge", "Samples that wait for the one before: the queue depth."
    ),
    MetricFamily("events_waiting", "gauge", "Input events that no pass has read."),
    MetricFamily("decisions", "counter", "Decisions made; provisional ones are not among them."),
    MetricFamily("spikes", "counter", "Spikes of all decisions."),
    MetricFamily("events", "counter", "Input events that came."),
    MetricFamily("messages", "counter", "Messages that came."),
    MetricFamily("messages_malformed", "counter", "Messages that break the format."),
    MetricFamily(
        "messages_delayed", "counter", "Messages that waited: their client is over its rate."
    ),
    MetricFamily("sessions_open", "gauge", "Connections with a session."),
    MetricFamily("tasks", "gauge", "Tasks of the event loops: two a session, and some in all."),
    MetricFamily("sessions", "counter", "Connections that got a session."),
    MetricFamily(
        "connections_refused", "counter", "Connections and requests that were turned away.",
        "reason", ("token", "sessions", "options", "draining"),
    ),
    MetricFamily(
        "connections_cut", "counter", "Connections that the server ended.",
        "reason", ("slow-reader", "malformed", "draining"),
    ),
)  # fmt: skip

LATENCY: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the latency histogram's buckets, s; one more has no bound."""

_SLOTS: Final = {
    (family.name, value): slot
    for slot, (family, value) in enumerate(
        (family, value) for family in FAMILIES for value in family.values
    )
}
_BUCKETS: Final = len(_SLOTS)
_LATENCY_SUM: Final = _BUCKETS + len(LATENCY) + 1


class ServerMetrics:
    """The counts of one worker, beside those of the others.

    Args:
        cells: f64[workers * Tally.SIZE], zero at first, in memory that the workers share; None
            for a single worker.
        worker: number of this one, from 0.
    """

    SIZE: Final = _LATENCY_SUM + 1

    __slots__ = ("_cells", "_first")

    def __init__(self, cells: "memoryview[float] | None" = None, worker: int = 0) -> None:
        if cells is None:
            cells = memoryview(bytearray(8 * self.SIZE)).cast("d")
        self._cells = cells
        self._first = worker * self.SIZE

    def add(self, name: str, amount: float = 1, value: str = "") -> None:
        """Add to one number of a family."""
        self._cells[self._first + _SLOTS[name, value]] += amount

    def set(self, name: str, amount: float) -> None:
        """Set this worker's part of a gauge."""
        self._cells[self._first + _SLOTS[name, ""]] = amount

    def latency(self, seconds: float) -> None:
        """Add one decision's latency to the histogram."""
        self._cells[self._first + _BUCKETS + bisect_left(LATENCY, seconds)] += 1
        self._cells[self._first + _LATENCY_SUM] += seconds

    def total(self, name: str, value: str = "") -> float:
        """One number of a family, over all workers."""
        return self._sum(_SLOTS[name, value])

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """The histogram over all workers: (upper bound, decisions up to it) each; and the sum."""
        count, found = 0.0, []
        for k, bound in enumerate((*map(str, LATENCY), "+Inf")):
            count += self._sum(_BUCKETS + k)
            found.append((bound, count))
        return found, self._sum(_LATENCY_SUM)

    def _sum(self, slot: int) -> float:
        return float(sum(self._rows(slot)))

    def _rows(self, slot: int) -> Iterator[float]:
        return (self._cells[k] for k in range(slot, len(self._cells), self.SIZE))
