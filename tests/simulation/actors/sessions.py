"""A user of a session: samples at once, in chunks, watched, skipped, saved and restored."""

from random import Random
from typing import Any

from neuroasync import Decision, Session, SnapshotError
from tests.simulation import expected
from tests.simulation.disturbances import Outcome
from tests.simulation.user_code import UserSource, chunks_of
from tests.simulation.world import Actor, Setting, World

__all__ = ["SessionUser"]

_WAYS = ("decide", "chunks", "watch", "watch source", "reset", "skip", "restore", "two owners")


class SessionUser(Actor):
    """Decides the samples of one session, each in another way.

    After each cancellation and each error, the sample starts again from rest, as documented.
    """

    def __init__(self, random: Random, setting: Setting) -> None:
        self._until = random.choice(expected.RULES)
        self._engine = random.choice(("auto", "coroutines"))
        self._work = [
            (random.randrange(expected.TRAINS), random.choice(_WAYS))
            for _ in range(random.randrange(1, 5))
        ]
        self._name = setting.name
        # A skipped sample has a number, too, so the expected seeds are known only while running.
        self._sent = 0

    async def run(self, world: World) -> None:
        self._world = world
        self._session = self._open()
        try:
            for k, way in self._work:
                await self._decide(k, way)
                await world.disturbances.pause()
            self._check_counts()
        finally:
            self._session.close()

    def _open(self) -> Session:
        return self._world.network.session(
            seed=expected.SEED, until=self._until, engine=self._engine
        )

    async def _decide(self, k: int, way: str) -> None:
        """Decide a sample, from its beginning, until no disturbance prevents it."""
        self._number = self._session.sample
        ways = {
            "decide": self._at_once, "chunks": self._in_chunks, "watch": self._watched,
            "watch source": self._watched_source, "reset": self._reset, "skip": self._skipped,
            "restore": self._restored, "two owners": self._evicted,
        }  # fmt: skip
        while (decision := await ways[way](k)) is None:
            assert self._session.sample == self._number, "an abandoned sample keeps its number"
        self._check(decision, k, way)

    def _check(self, decision: Decision, k: int, way: str) -> None:
        """Check the decision on sample ``k``, which has used up its number."""
        assert decision == expected.session_decision(self._name, k, self._number, self._until), way
        self._number += 1
        assert self._session.sample == self._number, way

    async def _call(self, work: Any, events: int = 0) -> Outcome:
        """Attempt a call that has this many events, and check that all or none are counted."""
        before = self._received()
        outcome = await self._world.attempt(work)
        added = self._received() - before
        assert added in (0, events), f"{added} of {events} events were counted"
        if not outcome.is_cancelled and outcome.error is None:
            assert added == events
        self._sent += added
        return outcome

    def _received(self) -> int:
        counts = self._session.counts
        return counts.events + counts.refused + counts.dropped

    def _check_counts(self) -> None:
        assert self._received() == self._sent

    async def _at_once(self, k: int) -> Decision | None:
        train = expected.train(k)
        return (await self._call(self._session.decide(train), len(train))).value

    async def _in_chunks(self, k: int, parts: int = 4) -> Decision | None:
        for chunk in chunks_of(expected.train(k), parts):
            outcome = await self._call(self._session.send(chunk), len(chunk))
            if outcome.is_cancelled or outcome.error is not None:
                return None
            await self._world.disturbances.pause()
        return (await self._call(self._session.finish_sample())).value

    async def _watched(self, k: int) -> Decision | None:
        return await self._last(self._session.watch(expected.train(k)))

    async def _watched_source(self, k: int) -> Decision | None:
        source = UserSource(expected.train(k), self._world.disturbances)
        return await self._last(self._session.watch(source))

    async def _last(self, decisions) -> Decision | None:
        """Return the final decision of a watch; the provisional ones are slowly handled."""
        before = self._received()
        labels = []
        try:
            while True:
                outcome = await self._world.attempt(anext(decisions))
                if (decision := outcome.value) is None:
                    return None
                if decision.is_final:
                    return decision
                labels.append(decision.label)
                assert None not in labels
                assert len(labels) < 2 or labels[-1] != labels[-2], "no other class leads"
                await self._world.disturbances.pause()
        finally:
            await decisions.aclose()
            self._sent += self._received() - before

    async def _reset(self, k: int) -> Decision | None:
        part = chunks_of(expected.train(k), 3)[1]
        await self._call(self._session.send(part), len(part))
        self._session.reset()
        return await self._at_once(k)

    async def _skipped(self, k: int) -> Decision | None:
        part = chunks_of(expected.train(k), 3)[0]
        await self._call(self._session.send(part), len(part))
        self._session.skip()
        self._number += 1
        assert self._session.sample == self._number
        return await self._at_once(k)

    async def _restored(self, k: int) -> Decision | None:
        """Continue a sample in another session, from a snapshot that was taken in between."""
        first, *rest = chunks_of(expected.train(k), 3)
        outcome = await self._call(self._session.send(first), len(first))
        if outcome.is_cancelled or outcome.error is not None:
            return None
        try:
            snapshot = self._session.snapshot()
        except RuntimeError:  # a session with custom populations has no snapshot
            self._session.reset()
            return await self._at_once(k)
        self._check_counts()
        self._session.close()
        self._session, self._sent = self._open(), 0
        try:
            self._session.restore(snapshot[:-1])
        except SnapshotError:
            pass
        else:
            raise AssertionError("half a snapshot was restored")
        while True:
            self._session.restore(snapshot)
            for chunk in rest:
                outcome = await self._call(self._session.send(chunk), len(chunk))
                if outcome.is_cancelled or outcome.error is not None:
                    break
            else:
                outcome = await self._call(self._session.finish_sample())
                if outcome.value is not None:
                    return outcome.value

    async def _evicted(self, k: int) -> Decision | None:
        """Let a call take the session over from a watch, whose next step must say so."""
        watch = self._session.watch(UserSource(expected.train(4), self._world.disturbances))
        before = self._received()
        outcome = await self._world.attempt(anext(watch))
        self._sent += self._received() - before
        watched: Decision | None = outcome.value
        if watched is not None and watched.is_final:
            self._check(watched, 4, "two owners")
        decision = await self._at_once(k)
        if watched is not None:
            outcome = await self._world.disturbances.attempt(anext(watch))
            if not outcome.is_cancelled and not self._world.is_closing:
                kind = StopAsyncIteration if watched.is_final else RuntimeError
                assert isinstance(outcome.error, kind), outcome.error
        await watch.aclose()
        return decision
