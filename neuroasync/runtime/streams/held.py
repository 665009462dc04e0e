"""A session as its stream has it."""

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.core.snapshot.stream_snapshot import StreamState
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.streams.driver import StreamDriver

__all__ = ["Held"]


class Held:
    """A session as its stream has it: any other call to the session takes it away.

    Then what the stream asks for next is refused, and leaving the stream changes nothing.

    Args:
        course: the session.
        carries: whether each sample goes on where the one before is, not from rest.
        state: of the stream that the session was restored with, to go on with; None: it begins,
            and the session's sample is abandoned.

    Attributes:
        carries: this.
        counts: the session's.
        follower: the stream's.

    Raises:
        RuntimeError: the session is deciding.
        ClosedError: it is closed.
    """

    def __init__(self, course: SampleRunner, carries: bool, state: StreamState | None) -> None:
        course._check_free(state)
        if state is None:
            course._abandon()
            if carries:
                course._simulator.enable_carry_over()
        course._holder = self
        self._course = course
        self.carries = carries
        self.counts = course.counts
        self.follower: StreamDriver | None = None

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has made a decision that was not taken yet."""
        return self._course._simulator.is_decided

    def check(self, train: SpikeTrain) -> None:
        """Raise SpikeFileError unless the network has such inputs."""
        train.check_indices(self._course._bundle.model.input_size)

    async def send(self, events: Events) -> None:
        """See :meth:`neuroasync.Session.send`."""
        await self._course._send(events, self)

    async def leave_out(self, count: int) -> None:
        """Take events that no pass reads. Cancellation: safe."""
        self._course._check_free(self)
        self.counts.events += count
        await self._course._scheduler.yield_if_due()

    async def advance(self, t_us: int) -> None:
        """See :meth:`neuroasync.Session.advance`."""
        await self._course._advance(t_us, self)

    async def decide(self, events: Events) -> Decision:
        """See :meth:`neuroasync.Session.decide`; the next sample is the stream's, too."""
        decision = await self._course._decide(events, None, self)
        self._course._holder = self
        return decision

    async def decision(self, duration_us: int | None = None) -> Decision:
        """See :meth:`neuroasync.Session.decision`; the next sample is the stream's, too."""
        decision = await self._course._decision(duration_us, self)
        self._course._holder = self
        return decision

    @property
    def is_idle(self) -> bool:
        """Whether passes without input would do nothing but decay."""
        return self._course._simulator.is_quiescent

    async def pass_by(self, t_us: int) -> None:
        """Run every pass before ``t_us``, which is after the sample's window."""
        await self._course._pass_by(t_us, self)

    async def carry(self, after_us: int) -> None:
        """Begin the next sample where the network then is, so long after this one's time 0, µs.

        All passes before it take place first.
        """
        await self._course._carry(after_us, self)

    def leave(self) -> None:
        """Abandon the sample, if it is still the stream's."""
        if self._course._holder is self and not self._course._is_closed:
            self._course._abandon()
