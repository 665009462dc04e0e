"""The metrics of a server, in a form that tests can compare."""

from neuroasync.serve.metrics import FAMILIES
from neuroasync.serve.server_state import ServerState


class ServerCounts:
    """The metrics of a server, by name."""

    def __init__(self, server_state: ServerState) -> None:
        self._server_state = server_state

    def of(self, name: str) -> dict[str, int]:
        """Return the numbers of a family that are not zero, by label."""
        [family] = [f for f in FAMILIES if f.name == name]
        metrics = self._server_state.metrics
        counts = {value: int(metrics.total(name, value)) for value in family.values}
        return {value: count for value, count in counts.items() if count}

    def sum(self, name: str) -> int:
        """Return the sum of a family over its labels."""
        return sum(self.of(name).values())

    def check_balance(self) -> None:
        """Check that each sample sent is either open or settled once."""
        outcomes = ("accepted", "dropped", "refused", "open")
        assert self.sum("samples_sent") == sum(self.sum(f"samples_{k}") for k in outcomes)

    def check_at_rest(self) -> None:
        """Check that the counts balance and that no connection left anything behind."""
        self.check_nothing_waits()
        assert all(s.network.open_sessions == 0 for s in self._server_state.networks)

    def check_nothing_waits(self) -> None:
        """Check the same while the networks may have sessions of other users."""
        self.check_balance()
        for gauge in ("samples_open", "samples_waiting", "events_waiting", "sessions_open"):
            assert self.sum(gauge) == 0, gauge
        capacity, limits = self._server_state.capacity, self._server_state.limits
        assert capacity.free_samples == limits.max_queued_samples_total
        assert capacity.free_events == limits.max_queued_events_total
        assert not self._server_state._connections
