"""Cases of sessions, their watches and streams, and taps."""

import asyncio
from contextlib import suppress

import neuroasync as na
from tests.cancellation.suspensions import Cut, case
from tests.cancellation.undisturbed import BUNDLE, PARTS, SAMPLE, SEED, undisturbed


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
