"""Users of queues, sources and sinks."""

import asyncio
import io
import json
from random import Random

import numpy as np

from neuroasync import BoundedQueue, Decision, QueueFullError, RealTimeClock, VirtualClock
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.sinks import JsonLines, pump
from neuroasync.sources import ArraySource, Paced, Source, SourceCounts, buffered
from tests.simulation import expected
from tests.simulation.disturbances import PlannedError
from tests.simulation.user_code import UserSource, chunks_of
from tests.simulation.world import Actor, Setting, World

__all__ = ["QueueUser", "SinkUser", "SourceUser"]

_WHEN_FULL = ("block", "drop-oldest", "drop-newest", "error")


class QueueUser(Actor):
    """Passes numbers through a bounded queue, with several producers and consumers."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self._queue: BoundedQueue[int] = BoundedQueue(
            random.randrange(1, 4), random.choice(_WHEN_FULL)
        )
        self._numbers = random.randrange(1, 12)
        self._sent = 0
        self._taken: list[int] = []

    async def run(self, world: World) -> None:
        queue = self._queue
        async with asyncio.TaskGroup() as consumers:
            for _ in range(2):
                consumers.create_task(self._consume(world), name="consumer")
            async with asyncio.TaskGroup() as producers:
                for k in range(2):
                    numbers = range(k, 2 * self._numbers, 2)
                    producers.create_task(self._produce(world, numbers), name="producer")
            queue.close()
        assert queue.accepted + queue.dropped + queue.refused == self._sent
        assert queue.accepted == len(self._taken) == len(set(self._taken))
        if queue.when_full == "block":
            assert sorted(self._taken) == list(range(2 * self._numbers))

    async def _produce(self, world: World, numbers: range) -> None:
        for number in numbers:
            while True:
                outcome = await world.disturbances.attempt(self._queue.put(number))
                if not outcome.is_cancelled:
                    break
            assert outcome.error is None or isinstance(outcome.error, QueueFullError)
            self._sent += 1
            await world.disturbances.pause()

    async def _consume(self, world: World) -> None:
        while True:
            outcome = await world.disturbances.attempt(anext(self._queue, None))
            if outcome.is_cancelled:
                continue
            if outcome.value is None:
                return
            self._taken.append(outcome.value)
            await world.disturbances.pause()


class SourceUser(Actor):
    """Reads a source; after a cancellation, the next call returns the chunk that was due."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self._kind = random.choice(("array", "arrays in a thread", "async arrays", "paced"))
        self._train = expected.long_train(random.randrange(3))
        self._clock = random.choice((VirtualClock, RealTimeClock))()

    async def run(self, world: World) -> None:
        received: list[SpikeTrain] = []
        source = self._open(world)
        try:
            while True:
                outcome = await world.attempt(anext(source, None))
                if outcome.is_cancelled or outcome.error is not None:
                    continue
                if outcome.value is None:
                    break
                received.append(outcome.value)
                await world.disturbances.pause()
        finally:
            await world.disturbances.attempt(source.aclose())
            await source.aclose()
        self._check(received, source.counts)

    def _open(self, world: World) -> Source:
        if self._kind == "paced":
            return Paced(UserSource(self._train, world.disturbances), self._clock, every_us=2000)
        dtype = [("t", "<i8"), ("x", "<i4"), ("y", "<i4"), ("p", "<i1")]
        arrays = []
        for chunk in chunks_of(self._train, 5):
            array = np.zeros(len(chunk), dtype)
            array["t"], array["x"] = chunk.t_us, chunk.index
            arrays.append(array)

        if self._kind == "array":
            return ArraySource(np.concatenate(arrays), (12,))
        return ArraySource(
            arrays if self._kind == "arrays in a thread" else _Slow(arrays, world), (12,)
        )

    def _check(self, received: list[SpikeTrain], counts: SourceCounts) -> None:
        t_us = np.concatenate([chunk.t_us for chunk in received])
        index = np.concatenate([chunk.index for chunk in received])
        zero_us = 0 if self._kind == "paced" else self._train.t_us[0]
        assert np.array_equal(t_us, self._train.t_us - zero_us)
        assert np.array_equal(index, self._train.index)
        assert counts.accepted == len(self._train)


class _Slow:
    """An async iterable of arrays that pauses before each, and loses none when cancelled."""

    def __init__(self, arrays: list[np.ndarray], world: World) -> None:
        self._arrays = arrays
        self._world = world
        self._taken = 0

    def __aiter__(self):
        return self

    async def __anext__(self) -> np.ndarray:
        await self._world.disturbances.pause()
        if self._taken == len(self._arrays):
            raise StopAsyncIteration
        self._taken += 1
        return self._arrays[self._taken - 1]


class SinkUser(Actor):
    """Pumps the decisions of a stream into a sink that is slow and may fail."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self._window = random.choice(("time(5000)", "events(30)"))
        self._train = random.randrange(3)
        self._capacity, self._when_full = random.randrange(1, 4), random.choice(_WHEN_FULL)
        self._buffer = random.randrange(1, 3)
        self._writes = random.choice((True, False))
        self._expected = expected.stream(setting.name, self._train, self._window, False, "quiet")

    async def run(self, world: World) -> None:
        self._received: list[Decision] = []
        self._text = io.StringIO()
        outcome = await world.disturbances.attempt(self._pump(world))
        lines = [json.loads(line) for line in self._text.getvalue().splitlines()]
        if self._writes:
            assert [line["sample"] for line in lines[: len(self._received)]] == list(
                range(len(self._received))
            )
        positions = iter(self._expected)
        assert all(decision in positions for decision in self._received), "out of order"
        if outcome.error is not None:
            if isinstance(outcome.error, PlannedError | QueueFullError):
                return
            world.check_planned(outcome.error)
        elif not outcome.is_cancelled:
            counts: SourceCounts = outcome.value
            assert counts.accepted == len(self._received)
            assert counts.accepted + counts.dropped == len(self._expected)

    async def _pump(self, world: World) -> SourceCounts:
        disturbances = world.disturbances
        source = UserSource(expected.long_train(self._train), disturbances)
        async with (
            buffered(source, self._buffer) as chunks,
            JsonLines(self._text) as lines,
            world.network.session(seed=expected.SEED) as session,
        ):

            async def sink(decision: Decision) -> None:
                await disturbances.pause()
                disturbances.fault("sink")
                if self._writes:
                    await lines(decision)
                self._received.append(decision)

            stream = session.stream(chunks, window=self._window, carry_state=False)
            return await pump(stream, sink, capacity=self._capacity, when_full=self._when_full)
