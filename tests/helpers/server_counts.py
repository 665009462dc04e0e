"""The counts of a service, in short."""

from neuroasync.serve.metrics import FAMILIES
from neuroasync.serve.server_state import ServerState


class Counts:
    def __init__(self, service: ServerState) -> None:
        self._service = service

    def of(self, name: str) -> dict[str, int]:
        """The numbers of a family that are not zero."""
        [family] = [f for f in FAMILIES if f.name == name]
        found = {value: int(self._service.tally.total(name, value)) for value in family.values}
        return {value: count for value, count in found.items() if count}

    def sum(self, name: str) -> int:
        return sum(self.of(name).values())

    def check(self) -> None:
        """The books balance."""
        settled = sum(self.sum(f"samples_{k}") for k in ("accepted", "dropped", "refused", "open"))
        assert self.sum("samples_sent") == settled

    def check_at_rest(self) -> None:
        """The books balance, and nothing is left of anybody."""
        self.check()
        for gauge in ("samples_open", "samples_waiting", "events_waiting", "sessions_open"):
            assert self.sum(gauge) == 0, gauge
        room, limits = self._service.room, self._service.limits
        assert room.samples == limits.max_queued_samples_total
        assert room.events == limits.server_waiting_events
        assert not self._service._connections
        assert not self._service.network._sessions
