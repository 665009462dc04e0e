"""Users of streams: windows on the virtual clock and on a real-time clock, saved and continued."""

from random import Random

from neuroasync import Decision, Network, RealTimeClock
from neuroasync.sources import Paced, buffered
from tests.simulation import expected
from tests.simulation.user_code import UserSource, chunks_of
from tests.simulation.world import Actor, Setting, World

__all__ = ["ClockStreamUser", "StreamUser"]

_WINDOWS = ("time(5000)", "time(12ms)", "events(30)", "silence(1000)", "decided")


class StreamUser(Actor):
    """Reads the decisions of a windowed stream, slowly, and continues after each disturbance.

    It takes a snapshot now and then. When its stream ends by a cancellation or an error, it opens
    another session, restores the latest snapshot and reads on from there.
    """

    def __init__(self, random: Random, setting: Setting) -> None:
        self._window = random.choice(_WINDOWS)
        self._until = "votes(2)" if self._window == "decided" else random.choice(expected.RULES)
        # The user's population starts each sample from rest.
        self._carry_state = random.choice((True, False)) and not setting.has_population
        self._engine = random.choice(("auto", "coroutines"))
        self._train = random.randrange(3)
        self._saves = random.choice((0.0, 0.5, 1.0))
        self._expected = expected.stream(
            setting.name, self._train, self._window, self._carry_state, self._until
        )

    async def run(self, world: World) -> None:
        self._decisions: list[Decision] = []
        self._snapshot: bytes | None = None
        self._taken = self._saved = 0
        while not await self._read(world):
            # What came after the snapshot will come again.
            del self._decisions[self._saved :]
        assert tuple(self._decisions) == self._expected

    async def _read(self, world: World) -> bool:
        """Read decisions until the stream ends; return whether it did."""
        session = world.network.session(seed=expected.SEED, until=self._until, engine=self._engine)
        source = UserSource(expected.long_train(self._train), world.disturbances, first=self._taken)
        try:
            if self._snapshot is not None:
                session.restore(self._snapshot)
            decisions = session.stream(source, window=self._window, carry_state=self._carry_state)
            while True:
                outcome = await world.attempt(anext(decisions, None))
                if outcome.is_cancelled or outcome.error is not None:
                    return False
                if outcome.value is None:
                    self._check_counts(session, source)
                    return True
                self._decisions.append(outcome.value)
                at = len(self._decisions)
                assert self._decisions[-1] == self._expected[at - 1], f"decision {at - 1}"
                if world.disturbances.chance(self._saves):
                    self._save(session, source)
                await world.disturbances.pause()
        finally:
            session.close()

    def _save(self, session, source: UserSource) -> None:
        try:
            self._snapshot = session.snapshot()
        except RuntimeError:  # a session with custom populations has no snapshot
            return
        self._taken, self._saved = source.taken, len(self._decisions)

    def _check_counts(self, session, source: UserSource) -> None:
        """Check that each event was counted once; an earlier session has counted the others."""
        if self._taken == 0:
            sent = len(expected.long_train(self._train))
            counts = session.counts
            assert counts.events + counts.refused + counts.dropped == sent


class ClockStreamUser(Actor):
    """Reads a stream that a real-time clock paces, while the clock jumps.

    Its events come from a source that a separate task reads, at their times, and may be late.
    """

    def __init__(self, random: Random, setting: Setting) -> None:
        self._late = random.choice(("drop", "merge", "shift"))
        self._window = random.choice(("time(5000)", "events(30)", "silence(1000)"))
        self._train = random.randrange(3)
        self._name = setting.name
        self._expected = expected.stream(setting.name, self._train, self._window, False, "quiet")

    async def run(self, world: World) -> None:
        clock = RealTimeClock()
        train, received = expected.long_train(self._train), 0
        async with Network(expected.bundle(self._name), clock=clock, seed=expected.SEED) as network:
            paced = Paced(chunks_of(train, 7), clock)
            async with buffered(paced, 2) as source, network.session() as session:
                stream = session.stream(
                    source, window=self._window, carry_state=False, late=self._late,
                    jitter_buffer_us=2000,
                )  # fmt: skip
                decisions = []
                outcome = await world.attempt(anext(stream, None))
                while outcome.value is not None:
                    decisions.append(outcome.value)
                    await world.disturbances.pause()
                    outcome = await world.attempt(anext(stream, None))
                await stream.aclose()
            counts = network.counts
            received = counts.events + counts.refused + counts.dropped
        if outcome.is_cancelled or outcome.error is not None:
            assert received <= len(train)
            return
        assert received == len(train)
        if not counts.late and not counts.missed_deadlines:
            assert tuple(decisions) == self._expected
