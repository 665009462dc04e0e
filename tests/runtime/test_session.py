"""A session runs one sample after another and is usable after errors."""

import asyncio
import contextlib
import dataclasses
import gc

import numpy as np
import pytest

import neuroasync as na
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.runtime.option_resolver import OptionResolver
from tests.helpers.small_networks import chain, sample
from tests.helpers.time_slices import end_after_each_step

BUNDLE = chain()
SAMPLES = [sample(seed=k) for k in range(5)]


async def test_samples_of_a_session_use_the_seeds_of_a_data_set(no_leaks):
    async with na.Network(BUNDLE, seed=3) as network, network.session() as session:
        for k, train in enumerate(SAMPLES):
            expected = await network.decide(train, seed=na.sample_seed(3, k))
            assert await session.decide(train) == expected
        assert session.sample == 5


@pytest.mark.parametrize("input_mode", ["prioritised", "queued"])
@pytest.mark.parametrize("chunk", [1, 7, 60])
async def test_sending_in_chunks_gives_the_decision_of_the_complete_sample(
    chunk, input_mode, no_leaks
):
    train = SAMPLES[0]
    async with (
        na.Network(BUNDLE, input=input_mode) as network,
        network.session() as session,
    ):
        expected = await network.decide(train, seed=na.sample_seed(0, 0))
        for at in range(0, len(train), chunk):
            await session.send((train.t_us[at : at + chunk], train.index[at : at + chunk]))
        assert await session.finish_sample() == expected


async def test_pass_runs_when_an_event_of_a_later_pass_is_sent(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        async with network.tap("hidden1") as before:
            await session.send(([0] * 12, list(range(12))))
        assert [spikes async for spikes in before] == []
        async with network.tap("hidden1") as after:
            await session.send(([1500], [0]))
        assert {spikes.t_us async for spikes in after} == {0}


async def test_session_reads_no_input_after_its_decision(no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE, until="first-spike") as network, network.session() as session:
        sent = 0
        while not session.is_decided:
            await session.send((train.t_us[sent : sent + 1], train.index[sent : sent + 1]))
            sent += 1
        await session.send((train.t_us[sent:], train.index[sent:]))
        decision = await session.finish_sample()
    assert decision.stopped
    assert decision.input_events < sent < len(train)


async def test_stream_yields_one_decision_for_each_sample(no_leaks):
    async def source():
        for train in SAMPLES:
            await asyncio.sleep(0)
            yield train

    async with na.Network(BUNDLE) as network, network.session() as session:
        streamed = [decision async for decision in session.stream(source())]
        async with network.session() as other:
            assert [d async for d in other.stream(SAMPLES)] == streamed
    assert len(streamed) == 5


async def test_slow_consumer_slows_the_source(no_leaks):
    taken = 0

    async def source():
        nonlocal taken
        for train in SAMPLES:
            taken += 1
            yield train

    async with na.Network(BUNDLE) as network, network.session() as session:
        decisions = session.stream(source())
        for expected in (1, 2, 3):
            await anext(decisions)
            assert taken == expected
        await decisions.aclose()


async def test_rejected_events_leave_the_accepted_ones_unchanged(no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await network.decide(train, seed=na.sample_seed(0, 0))
        await session.send(train)
        with pytest.raises(
            na.EventsError,
            match=r"^`t_us\[0\]` must be at least \d+, the time of the last event sent, got 0; ",
        ):
            await session.send(([0], [0]))
        assert await session.finish_sample() == expected


async def test_duration_before_the_last_event_is_rejected_without_loss(no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(train)
        with pytest.raises(
            ValueError,
            match=r"^`duration_us` must be an integer above \d+, the time of the last event",
        ):
            await session.finish_sample(duration_us=5)
        assert (await session.finish_sample(duration_us=20_000)).passes == 20


async def test_reset_abandons_the_sample(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await session.decide(SAMPLES[0])
        session.reset()
        async with network.session() as other:
            await other.send(SAMPLES[1])
            other.reset()
            assert await other.decide(SAMPLES[0]) == expected


@pytest.fixture(params=["coroutines", "compiled"])
def engine(request, monkeypatch):
    """Each engine, with a time slice that ends after every forward step, so it yields often."""
    end_after_each_step(monkeypatch)
    return request.param


async def test_session_serves_one_caller_at_a_time(engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        first = asyncio.create_task(session.decide(SAMPLES[0]))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="open a session for each task"):
            await session.decide(SAMPLES[1])
        await first


@pytest.mark.parametrize("ticks", range(0, 60, 3))
async def test_sample_after_a_cancelled_one_starts_from_rest(ticks, engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        expected = await network.decide(SAMPLES[0], seed=na.sample_seed(0, 0))
        attempt = asyncio.create_task(session.decide(SAMPLES[0]))
        for _ in range(ticks):
            await asyncio.sleep(0)
        attempt.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attempt
        if session.sample == 0:
            assert await session.decide(SAMPLES[0]) == expected


async def test_closed_session_rejects_calls(no_leaks):
    async with na.Network(BUNDLE) as network:
        async with network.session() as session:
            pass
        with pytest.raises(na.ClosedError, match="the session is closed"):
            await session.decide(SAMPLES[0])
        with pytest.raises(na.ClosedError):
            session.reset()


def test_sessions_with_any_options_share_the_weights():
    resolver = OptionResolver(BUNDLE, {}, {})
    plans = [resolver.plan(resolver.resolve(options)) for options in ({}, {"policy": "fifo"})]
    assert plans[0].packed.arrays.weights is plans[1].packed.arrays.weights


@pytest.mark.parametrize("duration_us", [5, 2.5, 2**53])
async def test_rejected_duration_leaves_the_sample_unchanged(duration_us, no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await network.decide(train, seed=na.sample_seed(0, 0))
        with pytest.raises((ValueError, na.LimitError)):
            await session.decide(train, duration_us=duration_us)
        assert session.sample == 0
        await session.send(train)
        with pytest.raises((ValueError, na.LimitError)):
            await session.finish_sample(duration_us=duration_us)
        assert await session.finish_sample() == expected


async def restored(session, snapshot):
    """Restore a session, as a coroutine like the other calls."""
    session.restore(snapshot)


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.decide(SAMPLES[0], duration_us="20"),
        lambda session: session.finish_sample(duration_us=-1),
        lambda session: session.advance("soon"),
        lambda session: anext(session.watch(SAMPLES[0], duration_us=2.5)),
        lambda session: anext(session.stream([SAMPLES[0]], window="time(5ms)", late="never")),
        lambda session: anext(session.stream([SAMPLES[0]], jitter_buffer_us="5")),
        lambda session: restored(session, b"damaged"),
    ],
)
async def test_a_call_with_an_invalid_argument_leaves_an_open_stream_alone(call, no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = [await session.decide(SAMPLES[0]) for _ in range(2)]
        session = network.session()
        decisions = session.stream([SAMPLES[0]] * 2)
        found = [await anext(decisions)]
        with pytest.raises((ValueError, na.SnapshotError)):
            await call(session)
        found.append(await anext(decisions))
        assert found == expected


async def test_session_is_usable_after_an_error_in_a_population(monkeypatch, no_leaks):
    def out_of_memory(context, p):
        raise MemoryError

    async with (
        na.Network(BUNDLE, engine="coroutines") as network,
        network.session() as session,
    ):
        expected = await network.decide(SAMPLES[0], seed=na.sample_seed(0, 0))
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(
                "neuroasync.runtime.populations.coroutine.integrate_and_fire", out_of_memory
            )
            await session.decide(SAMPLES[0])
        assert await session.decide(SAMPLES[0]) == expected


async def test_number_of_events_in_one_pass_is_bounded(monkeypatch, no_leaks):
    monkeypatch.setattr(na.limits, "MAX_QUEUED_EVENTS", 100)
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(([0] * 101, [0] * 101))
        with pytest.raises(
            na.LimitError,
            match=r"^101 events wait for one pass, the limit is 100; this sample accepts no more",
        ):
            await session.send(([0], [0]))
        assert (await session.finish_sample()).input_events == 101


@pytest.mark.parametrize("engine_name", ["coroutines", "compiled"])
async def test_event_driven_loop_hits_the_pass_limit(engine_name, monkeypatch, no_leaks):
    monkeypatch.setattr(TimeSlice, "work", lambda self: 1)
    one = np.ones((1, 1), np.float32)
    loop = na.Model(
        0,
        (1,),
        (na.Population("clock", (1,), na.LIF(v_threshold=0.5)),),
        (na.Dense("input", "clock", one), na.Dense("clock", "clock", one, delay_us=1)),
        "clock",
    )
    async with na.Network(na.Bundle(loop), engine=engine_name, max_passes=50) as network:
        with pytest.raises(na.PassLimitError, match="the limit is 50"):
            await network.decide(([0], [0]), duration_us=2**50)


def test_network_open_in_another_event_loop_is_rejected():
    async def decide(network):
        await network.decide(SAMPLES[0])

    async def main():
        async with na.Network(BUNDLE) as network:
            with pytest.raises(RuntimeError, match="open in another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(decide(network)))

    asyncio.run(main())


@pytest.mark.parametrize("timestep_us", [1000, 0])
async def test_event_of_a_pass_that_has_run_is_rejected(timestep_us):
    lif = na.LIF(tau_mem_us=np.inf, v_threshold=0.5)
    one = np.ones((1, 1), np.float32)
    model = na.Model(
        timestep_us,
        (1,),
        (na.Population("output", (1,), lif),),
        (na.Dense("input", "output", one),),
        "output",
    )
    async with na.Network(na.Bundle(model)) as network, network.session() as session:
        await session.send(([1999], [0]))
        await session.advance(2000)
        with pytest.raises(
            na.EventsError,
            match=r"^`t_us\[0\]` must be at least 2000, because all passes before have",
        ):
            await session.send(([1999], [0]))
        await session.send(([2000], [0]))
        assert (await session.finish_sample()).votes[0] == 2


@pytest.mark.parametrize("engine", ["compiled", "coroutines"])
@pytest.mark.parametrize("abandon", [None, "reset", "skip"])
async def test_sample_without_events_has_no_votes_of_the_sample_before(engine, abandon, no_leaks):
    nothing = na.SpikeTrain([], [])
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        assert (await session.decide(SAMPLES[0])).label is not None
        if abandon:
            await session.send(SAMPLES[1])
            getattr(session, abandon)()
        assert await session.decide(nothing) == await network.decide(nothing)


@pytest.mark.parametrize("input_mode", ["prioritised", "queued"])
async def test_decision_without_a_wait_is_the_same(input_mode, no_leaks):
    network = na.Network(BUNDLE, input=input_mode)
    async with network, network.session() as waits, network.session() as session:
        for train in SAMPLES:
            await asyncio.sleep(0)
            expected = await waits.decide(train)
            assert session.decide_nowait(train) in (None, expected)
            if session.sample < waits.sample:  # the time slice was over
                assert await session.decide(train) == expected
        assert session.counts == waits.counts


async def test_decision_without_a_wait_is_recorded_with_its_events(monkeypatch, no_leaks):
    monkeypatch.setattr(TimeSlice, "work", lambda _: 10**9)
    network = na.Network(BUNDLE)
    recorder = network.recorder()
    async with network, network.session(recorder=recorder) as session:
        decision = session.decide_nowait(SAMPLES[0])
    recording = recorder.finish()
    assert recording.spikes.tolist() == [decision.total_spikes]
    assert recording.input_index.tolist() == SAMPLES[0].index.tolist()


async def test_decision_that_must_wait_leaves_the_session_as_it_was(monkeypatch, no_leaks):
    network = na.Network(BUNDLE)
    async with network, network.session() as session:
        expected = await network.decide(SAMPLES[0], seed=na.sample_seed(0, 0))
        with monkeypatch.context() as patch:
            patch.setattr(TimeSlice, "is_exhausted", lambda _: True)
            patch.setattr(TimeSlice, "must_wait", lambda _: False)
            patch.setattr(TimeSlice, "work", lambda _: 1)
            assert session.decide_nowait(SAMPLES[0]) is None
        with monkeypatch.context() as patch:
            patch.setattr(TimeSlice, "must_wait", lambda _: True)
            assert session.decide_nowait(SAMPLES[0]) is None
            assert session.decide_nowait(na.SpikeTrain([], [])) is None  # although it has no pass
        assert session.counts == na.Counts()
        assert session.sample == 0
        assert await session.decide(SAMPLES[0]) == expected


@pytest.mark.parametrize("chunk", [1, 7, 60])
async def test_passes_that_take_many_time_slices_read_each_event_once(chunk, monkeypatch, no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await network.decide(train, seed=na.sample_seed(0, 0))
        monkeypatch.setattr(TimeSlice, "is_exhausted", lambda _: True)
        monkeypatch.setattr(TimeSlice, "must_wait", lambda _: False)
        monkeypatch.setattr(TimeSlice, "work", lambda _: 1)
        for at in range(0, len(train), chunk):
            await session.send(train.part(slice(at, at + chunk)))
        assert await session.finish_sample() == expected
        assert (await session.decide(train)).input_events == len(train)
        assert await network.decide(train, seed=na.sample_seed(0, 0)) == expected


async def test_decision_without_a_wait_needs_a_new_sample_and_the_compiled_engine(no_leaks):
    async with na.Network(BUNDLE) as network:
        async with network.session() as session:
            await session.send(([0], [0]))
            assert session.decide_nowait(([10], [0])) is None
            assert session.waiting_events == 1
        async with network.session() as session:
            await session.advance("3ms")
            assert session.decide_nowait(SAMPLES[0]) is None
            assert (await session.finish_sample()).passes == 3
        async with network.session(engine="coroutines") as session:
            assert session.decide_nowait(SAMPLES[0]) is None


async def test_decision_without_a_wait_does_not_continue_a_restored_sample(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(([0, 1500], [0, 0]))
        snapshot = session.snapshot()
        session.restore(snapshot)
        assert session.decide_nowait(([2000], [0])) is None
        assert session.snapshot() == snapshot


@pytest.mark.parametrize(
    "invalid", [([0], [10**6]), ([5, 0], [0, 0]), ([10**12], [0]), ([0], [0], [1.0, 2.0])]
)
async def test_decision_without_a_wait_leaves_errors_to_one_that_waits(invalid, no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        assert session.decide_nowait(invalid) is None
        assert session.counts == na.Counts()
        with pytest.raises(na.NeuroasyncError):
            await session.decide(invalid)
        assert session.counts.refused == len(invalid[0])
        assert session.sample == 0


async def test_decision_without_a_wait_leaves_a_pass_that_fails_to_one_that_waits(no_leaks):
    network = na.Network(BUNDLE, max_forward_steps=1)
    async with network, network.session() as session:
        assert session.decide_nowait(SAMPLES[0]) is None
        assert session.counts == na.Counts()
        with pytest.raises(na.ForwardStepLimitError):
            await session.decide(SAMPLES[0])


async def test_skipped_samples_use_up_their_numbers(no_leaks):
    async with na.Network(BUNDLE, policy="random") as network, network.session() as session:
        await session.send(SAMPLES[1])
        session.skip(10**9)
        assert session.sample == 10**9
        expected = await network.decide(SAMPLES[0], seed=na.sample_seed(0, 10**9))
        assert await session.decide(SAMPLES[0]) == expected
        for count in (0, -1, True, 1.0):
            with pytest.raises(ValueError, match="`samples` must be"):
                session.skip(count)
        assert session.sample == 10**9 + 1


def test_every_count_is_added():
    names = [field.name for field in dataclasses.fields(na.Counts)]
    total = na.Counts(**{name: k for k, name in enumerate(names, 1)})
    total.add(na.Counts(**{name: 100 * k for k, name in enumerate(names, 1)}))
    assert total == na.Counts(**{name: 101 * k for k, name in enumerate(names, 1)})


async def test_closed_session_leaves_no_reference_cycle(no_leaks):
    async with na.Network(BUNDLE) as network:
        await network.decide(SAMPLES[0])
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await network.decide(SAMPLES[0])
            assert gc.collect() == 0
        finally:
            gc.enable()
