"""One schedule: draw a scenario from a seed, run it, and check what must hold afterwards."""

import asyncio
import gc
import warnings
from dataclasses import dataclass
from random import Random
from unittest import mock

from neuroasync import ClosedError, Network, sample_seed
from neuroasync.runtime.input import many_events
from tests.simulation import expected
from tests.simulation.actors.decisions import BatchUser, DecideUser, TapUser
from tests.simulation.actors.queues import QueueUser, SinkUser, SourceUser
from tests.simulation.actors.server import ServerUsers
from tests.simulation.actors.sessions import SessionUser
from tests.simulation.actors.streams import ClockStreamUser, StreamUser
from tests.simulation.disturbances import Disturbances
from tests.simulation.invariants import ErrorLog, Resources, check_nothing_is_left
from tests.simulation.loop import SimulatedLoop, simulated_time
from tests.simulation.user_code import user_population
from tests.simulation.world import Actor, LeftError, Setting, World

__all__ = ["Report", "run_schedule"]

_ACTORS: tuple[type[Actor], ...] = (
    DecideUser, SessionUser, SessionUser, StreamUser, StreamUser, BatchUser, TapUser, QueueUser,
    SourceUser, SinkUser, ClockStreamUser, ServerUsers, ServerUsers, ServerUsers,
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What a schedule did.

    Attributes:
        seed: its seed.
        actors: names of its actors.
        steps: number of steps of the event loop.
        trace: a checksum of all choices.
    """

    seed: int
    actors: tuple[str, ...]
    steps: int
    trace: int


def run_schedule(seed: int) -> Report:
    """Run the schedule of a seed.

    Raises:
        BaseException: whatever went wrong, with a note that says how to replay the seed.
    """
    try:
        return _Schedule(seed).run()
    except BaseException as error:
        error.add_note(f"replay it with: python -m tests.simulation --seed {seed}")
        raise


class _Schedule:
    """The scenario of a seed: a network, its actors and their disturbances."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random = Random(seed)
        name = random.choice(expected.BUNDLES)
        has_population = name in ("random", "fifo") and random.random() < 0.3
        self._setting = Setting(name, has_population)
        self._report_timeout_s = random.choice((None, 5.0))
        self._closes = random.random() < 0.15
        # Few events already count as many, and are then prepared in a thread.
        self._many = random.choice((20_000, 50))
        kinds = [random.choice(_ACTORS) for _ in range(random.randrange(1, 5))]
        self._actors = [kind(random, self._setting) for kind in kinds]
        is_calm = random.random() < 0.2
        self._disturbances = Disturbances(
            random,
            cancellations=0 if is_calm else random.randrange(10),
            faults=0 if is_calm else random.randrange(4),
            rate=random.choice((0.005, 0.02, 0.1)),
        )
        self._loop_options = {
            "jump_rate": random.choice((0.0, 0.0, 0.01)),
            "tick_s": random.choice((0.0, 1e-5, 3e-4, 2e-3)),
        }

    def run(self) -> Report:
        """Run the scenario on a new event loop."""
        resources = Resources()
        loop = SimulatedLoop(self._random, **self._loop_options)
        loop.before_step = self._disturbances.before_step
        # Later collections need not look at what exists now, which makes them fast.
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection in the middle would be a choice that the seed does not make
        try:
            with (
                simulated_time(loop),
                mock.patch.object(many_events, "_MANY", self._many),
                warnings.catch_warnings(),
                ErrorLog().listening(),
            ):
                warnings.simplefilter("error")
                loop.run_until_complete(self._main(loop))
        finally:
            gc.enable()
            _end(loop)
        resources.check()
        actors = tuple(type(actor).__name__ for actor in self._actors)
        return Report(self._seed, actors, loop.steps, loop.trace)

    async def _main(self, loop: SimulatedLoop) -> None:
        populations = {"hidden2": user_population(self._disturbances)}
        network = Network(
            expected.bundle(self._setting.name),
            populations=populations if self._setting.has_population else None,
            report_timeout_s=self._report_timeout_s,
        )
        world = World(network, self._disturbances)
        while True:
            if not (await self._disturbances.attempt(network.open())).is_cancelled:
                break
        async with asyncio.TaskGroup() as actors:
            for actor in self._actors:
                name = type(actor).__name__
                actors.create_task(_work(actor, world), name=name)
            if self._closes:
                actors.create_task(self._close(world), name="closer")
        self._disturbances.end()
        loop.calm()
        await self._check_usable(world)
        began_s = loop.time()
        await network.close()
        assert loop.time() == began_s, "closing the network has waited for a timer"
        assert network.open_sessions == 0
        while loop.jobs:  # the results of threads whose callers were cancelled
            await asyncio.sleep(0)
        check_nothing_is_left(loop)

    async def _close(self, world: World) -> None:
        """Close the network while it is used."""
        for _ in range(self._random.randrange(200)):
            await asyncio.sleep(0)
        world.is_closing = True
        await self._disturbances.attempt(world.network.close())
        await world.network.close()  # the first call may have been cancelled before it began

    async def _check_usable(self, world: World) -> None:
        """Check that the network still decides, after it was opened again if it was closed."""
        network = world.network
        if world.is_closing:
            await network.open()
        assert network.open_sessions == 0
        seed = sample_seed(0, 1)
        decision = await network.decide(expected.train(3), seed=seed)
        assert decision == expected.decision(self._setting.name, 3, seed)


async def _work(actor: Actor, world: World) -> None:
    try:
        await actor.run(world)
    except LeftError:
        pass
    except ClosedError:
        if not world.is_closing:
            raise


def _end(loop: SimulatedLoop) -> None:
    """Close the loop of a schedule, and what a failed schedule has left."""
    loop.before_step = lambda: None
    for task in asyncio.all_tasks(loop):
        task.cancel()
    for _ in range(1000):
        if not loop._ready:
            break
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()
