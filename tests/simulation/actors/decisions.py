"""Users of single decisions and of data sets."""

import asyncio
from random import Random

from neuroasync import SpikeTrains, sample_seed
from tests.simulation import expected
from tests.simulation.user_code import UserFifo, user_rule
from tests.simulation.world import Actor, Setting, World

__all__ = ["BatchUser", "DecideUser", "TapUser"]


class _Choice:
    """A policy and a stop rule: built in, or written in Python with the same results."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self.is_python = random.choice(("", "", "policy", "rule"))
        self.policy = random.choice((None, *expected.POLICIES))
        if self.policy == "momentum" and setting.has_population:
            self.policy = None  # a custom population reports no momentum
        self.until = random.choice(expected.RULES)
        self.engine = random.choice(("auto", "coroutines"))
        if self.is_python == "policy":
            self.policy = "fifo"
        if self.is_python == "rule":
            self.until = "votes(2)"

    def options(self, world: World) -> dict[str, object]:
        """Return the options of a call."""
        disturbances = world.disturbances
        policy = UserFifo(disturbances) if self.is_python == "policy" else self.policy
        until = user_rule(disturbances) if self.is_python == "rule" else self.until
        return {"policy": policy, "until": until, "engine": self.engine}


class DecideUser(Actor):
    """Decides samples one by one, and tries again after each disturbance."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self._choice = _Choice(random, setting)
        self._work = [
            (random.randrange(expected.TRAINS), random.randrange(8), random.choice((None, 9000)))
            for _ in range(random.randrange(1, 5))
        ]
        self._expected = [
            expected.decision(
                setting.name, k, seed, self._choice.policy, self._choice.until, duration_us
            )
            for k, seed, duration_us in self._work
        ]

    async def run(self, world: World) -> None:
        options = self._choice.options(world)
        for (k, seed, duration_us), decision in zip(self._work, self._expected, strict=True):

            def start(k=k, seed=seed, duration_us=duration_us):
                return world.network.decide(
                    expected.train(k), seed=seed, duration_us=duration_us, **options
                )

            assert await world.result(start) == decision
            await world.disturbances.pause()


class BatchUser(Actor):
    """Decides a data set, in threads or in turn, and tries again after each disturbance."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self._choice = _Choice(random, setting)
        self._samples = [random.randrange(expected.TRAINS) for _ in range(random.randrange(7))]
        self._first, self._workers = random.randrange(5), random.randrange(1, 3)
        self._expected = [
            expected.decision(
                setting.name, k, sample_seed(3, number), self._choice.policy, self._choice.until
            )
            for number, k in enumerate(self._samples, self._first)
        ]

    async def run(self, world: World) -> None:
        trains = [expected.train(k) for k in self._samples]
        samples = SpikeTrains.from_trains(trains, (12,)) if trains else trains
        options = self._choice.options(world)
        done: list[int] = []

        def start():
            done.clear()
            return world.network.decide_all(
                samples, seed=3, first=self._first, workers=self._workers,
                on_decision=done.append, **options,
            )  # fmt: skip

        assert await world.result(start) == self._expected
        while len(done) < len(trains):  # the last calls may still be on their way to the loop
            await asyncio.sleep(0)
        assert done == list(range(1, len(trains) + 1))


class TapUser(Actor):
    """Reads what a population fires, at its own speed."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self._population = random.choice(("hidden1", "hidden2", "output"))
        self._capacity, self._items = random.choice((1, 4, 1024)), random.randrange(1, 40)

    async def run(self, world: World) -> None:
        async with world.network.tap(self._population, self._capacity) as tap:
            reader = asyncio.get_running_loop().create_task(self._read(world, tap), name="tap")
            for _ in range(self._items):
                await world.disturbances.pause()
        await asyncio.wait([reader])
        reader.result()

    async def _read(self, world: World, tap) -> None:
        latest: dict[int, int] = {}
        received = 0
        while True:
            outcome = await world.disturbances.attempt(anext(tap, None))
            if outcome.is_cancelled:
                continue
            if outcome.error is not None:
                raise outcome.error
            if (item := outcome.value) is None:
                break
            received += 1
            assert item.sample >= latest.get(item.session, 0), "samples are out of order"
            latest[item.session] = item.sample
            await world.disturbances.pause()
        assert received == tap._items.accepted
