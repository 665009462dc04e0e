"""Cases of networks."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

import neuroasync as na
from neuroasync.runtime.batch.cluster_job import ClusterJob
from neuroasync.runtime.input import many_events
from tests.cancellation.suspensions import Cut, case
from tests.cancellation.undisturbed import BUNDLE, PARTS, SAMPLE, SEED, same, undisturbed


@case("Network.open", "Network.__aenter__")
async def open_network(cut: Cut) -> None:
    network = na.Network(BUNDLE)
    if await cut(network.open()):
        with pytest.raises(na.ClosedError):
            network.session()
        await network.open()
    await same(network)
    await network.close()


@case("Network.close", "Network.__aexit__")
async def close_network(cut: Cut) -> None:
    network = await na.Network(BUNDLE, populations={"hidden2": silent}).open()
    session = network.session()
    await session.send(PARTS[0])
    await cut(network.close())
    with pytest.raises(na.ClosedError):
        network.session()
    with pytest.raises(na.ClosedError):
        await session.send(PARTS[1])
    await network.open()
    await network.close()


@case("Network.close")
async def close_network_that_decides_a_data_set(cut: Cut) -> None:
    network = await na.Network(BUNDLE).open()
    job = asyncio.create_task(network.decide_all([SAMPLE] * 200, workers=2))
    await asyncio.sleep(0)
    await cut(network.close())
    with suppress(na.ClosedError):
        await job
    await network.close()


async def silent(inbox: na.Inbox, fired: na.Fired, population: na.Population) -> None:
    """Never fire, after real I/O."""
    async for _ in inbox:
        await asyncio.sleep(0)
        await fired.put([])


class Arrivals:
    """The policy ``fifo``, written in Python."""

    name = "arrivals"

    def order(self, pending: na.PendingSpikes, group_size: int) -> np.ndarray:
        return np.lexsort((pending.neuron, pending.arrival))


def _decide(name: str, **options: object):
    async def run(cut: Cut) -> None:
        async with na.Network(BUNDLE) as network:
            if not await cut(network.decide(SAMPLE, seed=SEED, **options)):
                assert cut.value == await undisturbed(**options)
            await same(network, **options)

    run.__name__ = f"decide_{name}"
    return case("Network.decide")(run)


_decide("compiled", engine="compiled")
_decide("in_coroutines", engine="coroutines")
_decide("with_a_policy_in_python", policy=Arrivals())


@case("Network.decide")
async def decide_with_a_custom_population(cut: Cut) -> None:
    async with na.Network(BUNDLE, populations={"hidden2": silent}) as network:
        await cut(network.decide(SAMPLE, seed=SEED))
        assert network.open_sessions == 0
        assert (await network.decide(SAMPLE, seed=SEED)).spikes["hidden2"] == 0


@case("Network.decide", "Session.decide", "Session.send")
async def decide_many_events(cut: Cut) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many_events, "_MANY", 10)
        async with na.Network(BUNDLE) as network:
            await cut(network.decide(SAMPLE, seed=SEED))
            await same(network)


def _decide_all(name: str, **options: object):
    async def run(cut: Cut) -> None:
        async with na.Network(BUNDLE) as network:
            done: list[int] = []
            work = network.decide_all([SAMPLE] * 3, on_decision=done.append, **options)
            if not await cut(work):
                assert len(cut.value) == 3
            assert network.open_sessions == 0
            again = await network.decide_all([SAMPLE], seed=0, **options)
            assert again == [await undisturbed(**options)]

    run.__name__ = f"decide_all_{name}"
    return case("Network.decide_all")(run)


_decide_all("in_threads")
_decide_all("in_turn", engine="coroutines")


class HereAndNow:
    """A cluster of this event loop."""

    running = 0

    async def run_job(self, job: ClusterJob, on_decision: Callable[[int], None] | None):
        self.running += 1
        try:
            async with job.network as network:
                data = job.data
                return await network.decide_all(
                    data.samples, seed=data.seed, on_decision=on_decision, **job.options
                )
        finally:
            self.running -= 1


@case("Network.decide_all", "Network.close")
async def decide_all_on_a_cluster(cut: Cut) -> None:
    cluster = HereAndNow()
    async with na.Network(BUNDLE) as network:
        done: list[int] = []
        if not await cut(network.decide_all([SAMPLE], on_decision=done.append, cluster=cluster)):
            assert cut.value == [await undisturbed()]
        assert cluster.running == 0
        job = asyncio.create_task(network.decide_all([SAMPLE] * 50, cluster=cluster))
        await asyncio.sleep(0)
    with pytest.raises(na.ClosedError):
        await job
    assert cluster.running == 0
