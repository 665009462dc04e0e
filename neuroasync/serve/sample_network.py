"""What a server needs from a network and its sessions, wherever they run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any, Protocol, Self, Unpack, runtime_checkable

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import RunOptions, RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recorder import Recorder

__all__ = ["SampleNetwork", "SampleSession"]


class SampleSession(Protocol):
    """A session as :class:`neuroasync.Session` describes it, reduced to what a connection uses."""

    @property
    def sample(self) -> int:
        """The number of the current sample, from 0."""

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has ended the sample."""

    @property
    def waiting_events(self) -> int:
        """The number of events of the sample that no pass has read yet."""

    async def send(self, events: SpikeTrain) -> None:
        """Add events to the sample, and run every pass whose input is complete."""

    async def finish_sample(self) -> Decision:
        """Run the remaining passes of the sample and return its decision."""

    async def decide(self, events: SpikeTrain) -> Decision:
        """Add the last events of the sample and finish it."""

    def decide_nowait(self, events: SpikeTrain) -> Decision | None:
        """Decide one complete sample, or return None if that is not possible without a wait."""

    def watch(self, events: AsyncIterable[SpikeTrain]) -> AsyncGenerator[Decision, None]:
        """Decide one sample, and yield a decision whenever another class leads."""

    def skip(self, samples: int = 1) -> None:
        """Discard the current sample and use up this many numbers."""

    def close(self) -> None:
        """End the session and what it is waiting for."""

    async def __aenter__(self) -> Self:
        """Return the session."""

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""


@runtime_checkable
class SampleNetwork(Protocol):
    """A network as :class:`neuroasync.Network` describes it, reduced to what a server uses."""

    bundle: Bundle
    seed: int

    @property
    def settings(self) -> RunSettings:
        """The settings of a call without options."""

    async def decide(
        self,
        events: SpikeTrain,
        *,
        seed: int | None = None,
        recorder: Recorder | None = None,
        max_cpu_s: float | None = None,
        **options: Unpack[RunOptions],
    ) -> Decision:
        """Decide one sample, from rest."""

    def session(
        self,
        *,
        seed: int | None = None,
        max_cpu_s: float | None = None,
        **options: Unpack[RunOptions],
    ) -> SampleSession:
        """Open a session with a state of its own."""

    def recorder(self, **options: Unpack[RunOptions]) -> Recorder:
        """Return a recorder for decisions that run with the same options."""

    async def __aenter__(self) -> Any:
        """Open the network."""

    async def __aexit__(self, *_: object) -> None:
        """Close the network."""
