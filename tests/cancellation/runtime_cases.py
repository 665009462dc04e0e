"""Cases of networks, sessions, streams, taps and clocks."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

import neuroasync as na
from neuroasync.runtime.batch.cluster_job import ClusterJob
from neuroasync.runtime.input import many_events
from tests.cancellation.suspensions import Cut, case
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample(events=400, duration_us=2000)
PARTS = [na.SpikeTrain(SAMPLE.t_us[a:b], SAMPLE.index[a:b]) for a, b in ((0, 150), (150, 400))]
SEED = na.sample_seed(0, 0)
_UNDISTURBED: dict[tuple[tuple[str, object], ...], na.Decision] = {}


async def same(network: na.Network, **options: object) -> None:
    """Check that a network still decides as it should, and holds no session of the call."""
    expected = await undisturbed(**options)
    assert await network.decide(SAMPLE, seed=SEED, **options) == expected
    assert network.open_sessions == 0


async def undisturbed(**options: object) -> na.Decision:
    """Return the decision that no call has cancelled."""
    key = tuple(options.items())
    if key not in _UNDISTURBED:
        async with na.Network(BUNDLE, **options) as network:
            _UNDISTURBED[key] = await network.decide(SAMPLE, seed=SEED)
    return _UNDISTURBED[key]


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


async def starts_from_rest(session: na.Session, number: int = 0) -> None:
    """Check that a session starts a sample from rest, with the number of the abandoned one."""
    assert session.sample == number
    assert await session.decide(SAMPLE) == await undisturbed()


@case("Session.send")
async def send(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network, network.session() as session:
        if not await cut(session.send(SAMPLE)):
            session.reset()
        assert session.counts.events in (0, len(SAMPLE))
        await starts_from_rest(session)


@case("Session.finish_sample")
async def finish_sample(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(SAMPLE)
        if await cut(session.finish_sample("30ms")):
            await starts_from_rest(session)
        else:
            assert session.sample == 1


@case("Session.decide")
async def decide_in_a_session(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network, network.session() as session:
        if await cut(session.decide(SAMPLE)):
            await starts_from_rest(session)
        else:
            assert cut.value == await undisturbed()


@case("Session.advance")
async def advance(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(PARTS[0])
        if not await cut(session.advance(int(PARTS[0].t_us[-1]) + 5000)):
            session.reset()
        await starts_from_rest(session)


@case("Session.__aenter__", "Session.__aexit__")
async def leave_a_session(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network:
        session = await network.session().__aenter__()
        await session.send(PARTS[0])
        assert not await cut(session.__aexit__(None, None, None)), "closing never suspends"
        assert network.open_sessions == 0


class Parts:
    """The two parts of the sample as a source that suspends, and does not lose a chunk."""

    def __init__(self) -> None:
        self.taken = 0

    def __aiter__(self) -> "Parts":
        return self

    async def __anext__(self) -> na.SpikeTrain:
        await asyncio.sleep(0)
        if self.taken == len(PARTS):
            raise StopAsyncIteration
        self.taken += 1
        return PARTS[self.taken - 1]


async def collected(decisions) -> list[na.Decision]:
    return [decision async for decision in decisions]


@case("GuardedDecisions.__anext__")
async def watch(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network, network.session() as session:
        if await cut(collected(session.watch(Parts()))):
            await starts_from_rest(session)
        else:
            assert cut.value[-1] == await undisturbed()


@case("GuardedDecisions.asend")
async def send_to_a_watch(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network, network.session() as session:
        await cut(session.watch(Parts()).asend(None))
        await starts_from_rest(session)


@case("GuardedDecisions.aclose", "GuardedDecisions.athrow")
async def close_a_watch(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network, network.session() as session:
        decisions = session.watch(Parts())
        await anext(decisions)
        await cut(decisions.aclose())
        assert await anext(decisions, None) is None
        await starts_from_rest(session)


@case("GuardedDecisions.athrow")
async def throw_into_a_watch(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network, network.session() as session:
        decisions = session.watch(Parts())
        await anext(decisions)

        async def throw() -> None:
            with suppress(KeyError):
                await decisions.athrow(KeyError())

        await cut(throw())
        await starts_from_rest(session)


@case("GuardedDecisions.__anext__")
async def stream(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network, network.session() as session:
        is_cancelled = await cut(collected(session.stream(Parts(), window="time(2ms)")))
        received = session.counts.events
        assert received in (0, len(PARTS[0]), len(SAMPLE)) or is_cancelled
        number = session.sample
        decision = await session.decide(SAMPLE)
        assert decision == await network.decide(SAMPLE, seed=na.sample_seed(0, number))


@case("GuardedDecisions.__anext__")
async def stream_by_a_clock(cut: Cut) -> None:
    clock = na.RealTimeClock(speed=1000.0)
    async with na.Network(BUNDLE, clock=clock) as network, network.session() as session:
        await cut(collected(session.stream(Parts(), window="time(2ms)", carry_state=False)))
        number = session.sample
        decision = await session.decide(SAMPLE)
        assert decision == await network.decide(SAMPLE, seed=na.sample_seed(0, number))


@case("stream_over_time")
async def stream_over_time(cut: Cut) -> None:
    window = na.VoteWindow(4000)
    async with na.Network(BUNDLE) as network, network.session() as session:
        decisions = na.stream_over_time(session, Parts(), "2ms", vote_window=window)
        await cut(collected(decisions))
        await decisions.aclose()
        number = session.sample
        decision = await session.decide(SAMPLE)
        assert decision == await network.decide(SAMPLE, seed=na.sample_seed(0, number))


@case("Tap.__anext__", "Tap.__aenter__", "Tap.__aexit__")
async def read_a_tap(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network:
        async with network.tap("output") as tap:
            deciding = asyncio.create_task(network.decide(SAMPLE, seed=SEED))
            is_cancelled = await cut(anext(tap))
            votes = (await deciding).spikes["output"]
        items = [spikes async for spikes in tap]
        items += [] if is_cancelled else [cut.value]
        assert sum(spikes.neurons.size for spikes in items) == votes


@case("RealTimeClock.sleep_until", "Clock.sleep_until")
async def sleep_in_real_time(cut: Cut) -> None:
    clock = na.RealTimeClock(speed=100.0)
    if not await cut(clock.sleep_until(500_000)):
        assert clock.now_us() >= 500_000
    await clock.sleep_until(clock.now_us() + 100_000)


@case("VirtualClock.sleep_until")
async def sleep_in_virtual_time(cut: Cut) -> None:
    clock = na.VirtualClock()
    other = asyncio.create_task(clock.sleep_until(9))
    await cut(clock.sleep_until(5))
    await other
    assert clock.now_us() == 9


@case("ManualClock.sleep_until")
async def sleep_by_a_manual_clock(cut: Cut) -> None:
    clock = na.ManualClock()
    other = asyncio.create_task(clock.sleep_until(9))
    advancing = asyncio.create_task(clock.advance(20))
    await cut(clock.sleep_until(5))
    await asyncio.wait([other, advancing])
    assert clock.now_us() == 20


@case("ManualClock.advance")
async def advance_a_manual_clock(cut: Cut) -> None:
    clock = na.ManualClock()
    sleepers = [asyncio.create_task(clock.sleep_until(t)) for t in (3, 6, 9)]
    await asyncio.sleep(0)
    await cut(clock.advance(10))
    woken = [sleeper.done() for sleeper in sleepers]
    assert woken == sorted(woken, reverse=True)
    await clock.advance(20)
    await asyncio.gather(*sleepers)
