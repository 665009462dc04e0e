"""If windows carry state, they only assign votes to samples; the network runs without reset."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from tests.helpers.small_networks import chain, sample
from tests.helpers.strategies import models, rule_for, streams

LIF = na.LIF(tau_mem_us=np.inf, v_threshold=0.5)
ONE = np.ones((1, 1), np.float32)


def relay(delay_us=5000, timestep_us=1000, weight=1.0, lif=LIF):
    """Return a network whose neuron fires ``delay_us`` after an event."""
    wire = na.Dense("input", "output", ONE * np.float32(weight), delay_us=delay_us)
    output = na.Population("output", (1,), lif)
    return na.Bundle(na.Model(timestep_us, (1,), (output,), (wire,), "output"))


def at(*times):
    """Return one event of input 0 at each time, in µs."""
    return np.array(times, np.int64), np.zeros(len(times), np.int64)


async def votes(bundle, parts, window, carry_state=None, **options):
    """Return the votes for class 0 in each window of a stream."""
    async with na.Network(bundle, **options) as network, network.session() as session:
        stream = session.stream(parts, window=window, carry_state=carry_state)
        return [int(d.votes[0]) async for d in stream]


@pytest.mark.parametrize("engine", ["compiled", "coroutines"])
@pytest.mark.parametrize("timestep_us", [0, 1000])
async def test_delayed_spike_arrives_in_the_next_window(timestep_us, engine, no_leaks):
    bundle = relay(timestep_us=timestep_us)
    parts = [at(0, 1000), at(13_000)]
    assert await votes(bundle, parts, "time(3000)", engine=engine) == [0, 1, 1, 0, 0]
    # If samples start from rest, spikes in flight at the end of a sample are dropped.
    assert await votes(bundle, parts, "time(3000)", False, engine=engine) == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("timestep_us", [0, 1000])
async def test_membrane_potentials_are_kept_from_window_to_window(timestep_us):
    bundle = relay(0, timestep_us, weight=0.3)
    assert await votes(bundle, [at(0, 4000)], "time(3000)", True) == [0, 1]
    assert await votes(bundle, [at(0, 4000)], "time(3000)", False) == [0, 0]


async def test_without_delays_windows_start_from_rest_by_default():
    assert await votes(relay(0, weight=0.3), [at(0, 4000)], "time(3000)") == [0, 0]


@pytest.mark.parametrize("engine", ["compiled", "coroutines"])
async def test_network_continues_after_the_stop_rule_has_decided(engine, no_leaks):
    """The first window is decided early, but its remaining events still reach the network."""
    parts = [at(0, 1000, 2000, 3000), at(9000)]
    network = na.Network(relay(), engine=engine, until="first-spike")
    async with network, network.session() as session:
        stream = session.stream(parts, window="time(6000)")
        found = [(int(d.votes[0]), d.t_us, d.stopped) async for d in stream]
        # Spikes arrive at 5, 6, 7 and 8 ms, and at 14 ms, when the stream is over.
        assert found == [(1, 5000, True), (1, 0, True)]
        assert session.counts == na.Counts(events=5, decisions=2)


async def test_window_until_decided_ends_with_its_timestep(no_leaks):
    parts = [at(0, 1000, 2000, 3000), at(9000), at(20_000)]
    async with na.Network(relay(), until="votes(2)") as network, network.session() as session:
        found = [d async for d in session.stream(parts, window="decided")]
    # Spikes arrive at 5, 6, 7, 8 and 14 ms. Passes up to 9 ms take place when that event is here.
    assert [(int(d.votes[0]), d.t_us, d.stopped) for d in found] == [
        (2, 6000, True),
        (1, 11_000, False),
    ]


async def test_votes_between_windows_count_for_no_sample(no_leaks):
    """A spike that arrives after the silence window has ended votes for neither sample."""
    parts = [at(0), at(20_000), at(40_000)]
    found = await votes(relay(), parts, "silence(2000)")
    assert found == [0, 0, 0]
    assert await votes(relay(1000), parts, "silence(2000)") == [1, 1, 1]


async def test_long_gap_between_windows_does_not_hit_the_pass_limit(no_leaks, monkeypatch):
    monkeypatch.setattr("neuroasync.runtime.pass_runner._SILENT_PASSES", 10)
    tau = na.LIF(tau_mem_us=100_000.0, v_threshold=0.5)
    bundle = relay(3000, weight=0.4, lif=tau)
    # 0.4 * exp(-t / 100 ms) + 0.4 > 0.5 up to 138 ms after the event before.
    parts = [at(0, 130_000), at(140_000, 300_000)]
    assert await votes(bundle, parts, "silence(5000)", True) == [0, 1, 0, 0]


async def test_events_of_one_timestep_belong_to_one_window(no_leaks):
    async with na.Network(relay(0)) as network, network.session() as session:
        stream = session.stream(
            [at(0, 100), at(200, 1000), at(5500)], window="events(2)", carry_state=True
        )
        found = [(d.input_events, d.passes) async for d in stream]
    assert found == [(3, 1), (2, 5)]


YEAR_US = 31_536_000_000_000


@pytest.mark.parametrize("timestep_us", [0, 1000])
async def test_gap_of_a_year_takes_no_time_in_a_quiescent_network(timestep_us, no_leaks):
    bundle = relay(3000, timestep_us, weight=0.3, lif=na.LIF(tau_mem_us=1e15, v_threshold=0.5))
    assert await votes(bundle, [at(0), at(YEAR_US)], "silence(5000)", True) == [0, 1]
    bundle = relay(3000, timestep_us, weight=0.3, lif=na.LIF(tau_mem_us=1e9, v_threshold=0.5))
    assert await votes(bundle, [at(0), at(YEAR_US)], "silence(5000)", True) == [0, 0]


def busy(timestep_us, bias=0.0, again=0.0):
    """Return a network that is always active, by a bias or by a spike that recurs every 1 ms."""
    arrays = (
        na.Dense("input", "output", ONE, np.full(1, bias, np.float32), delay_us=1000),
        na.Dense("output", "output", ONE * np.float32(again), delay_us=1000),
    )
    output = na.Population("output", (1,), LIF)
    return na.Bundle(na.Model(timestep_us, (1,), (output,), arrays, "output"))


@pytest.mark.parametrize("bundle", [busy(1000, bias=1 / 64), busy(0, again=1.0)])
async def test_gap_with_ongoing_activity_hits_the_pass_limit(bundle, no_leaks):
    few = {"max_passes": 30_000}
    with pytest.raises(na.LimitError, match=r"^the gap between two windows exceeds 30000 passes"):
        await votes(bundle, [at(0), at(YEAR_US)], "silence(5000)", True, **few)
    # A silence that can be run through is.
    assert await votes(bundle, [at(0), at(20_000_000)], "silence(5000)", True, **few)


async def test_spikes_between_windows_have_times_of_the_earlier_window(no_leaks, monkeypatch):
    """A tap reports their times, and the stop rule is not evaluated."""
    monkeypatch.setattr("neuroasync.runtime.pass_runner._SILENT_PASSES", 7)
    asked = []

    def never(progress):
        asked.append(progress.t_us)
        return False

    async with na.Network(busy(1000, again=1.0), until=never) as network:
        stream = streamed(network, [at(0), at(1_000_000)], "silence(5000)")
        _, ((*spikes, _),) = await tapped(network, stream)
    times = [t_us for k, t_us, _ in spikes if k == 0]
    assert times == list(range(1000, 1_000_000, 1000))
    assert max(asked) < 5000


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ("time(1500)", r"^`window` must be a multiple of the timestep \(1000 µs\), which carry_st"),
        ("silence(999)", r"^`window` must be at least as long as the timestep \(1000 µs\), which"),
    ],
)
async def test_windows_that_carry_state_must_be_whole_timesteps(window, message):
    async with na.Network(relay()) as network, network.session() as session:
        with pytest.raises(ValueError, match=message):
            await anext(session.stream([at(0)], window=window))
        assert [d.passes async for d in session.stream([at(0)], window=window, carry_state=False)]


async def test_recording_session_rejects_carry_state():
    async with (
        na.Network(relay()) as network,
        network.session(recorder=network.recorder()) as session,
    ):
        with pytest.raises(ValueError, match=r"^a recording session cannot carry state from"):
            await anext(session.stream([at(0)], window="time(1000)"))
        stream = session.stream([at(0)], window="time(1000)", carry_state=False)
        assert [d.undelivered async for d in stream] == [1]


async def test_carry_state_needs_a_window():
    async with na.Network(relay()) as network, network.session() as session:
        with pytest.raises(ValueError, match=r"^`carry_state`, `late` and `jitter_buffer_us` need"):
            await anext(session.stream([at(0)], carry_state=True))


async def test_samples_after_a_stream_that_carries_state_start_from_rest(no_leaks):
    bundle, train = chain(), sample()
    async with na.Network(bundle) as network:
        async with network.session() as session:
            session.skip()
            expected = await session.decide(train)
        async with network.session() as session:
            async for _ in session.stream([train], window="time(1000)", carry_state=True):
                break
            session.reset()
            assert session.sample == 1
            assert await session.decide(train) == expected


async def test_passes_without_input_run_on_time_by_the_clock(no_leaks):
    clock, found = na.ManualClock(), []
    feed: na.BoundedQueue[tuple[np.ndarray, np.ndarray]] = na.BoundedQueue(10)
    async with na.Network(relay(), clock=clock, until="first-spike") as network:

        async def read():
            async with network.session() as session:
                stream = session.stream(feed, window="time(3000)")
                found.extend([(clock.now_us(), d.label) async for d in stream])

        reading = asyncio.create_task(read())
        feed.push(at(0))
        await clock.advance(0)
        for _ in range(10):
            await clock.advance(1000)
        feed.close()
        await clock.advance(20_000)
        await reading
    # The pass of 5 ms, of the second window, takes place once its timestep is over; then the
    # stream ends.
    assert found == [(3000, None), (6000, 0), (9000, None), (11_000, None)]


def spans(window, times, timestep_us):
    """Return (start, end) of each window, as ``neuroasync.core.events.window`` defines them."""
    name, argument = str(window).rstrip(")").split("(")
    unit, n = max(timestep_us, 1), int(argument)

    def down(t, to=unit):
        return t - t % to

    if name == "time":
        first, last = down(times[0], n), down(times[-1], n)
        return [(start, start + n) for start in range(first, last + n, n)]
    found, k = [], 0
    while k < len(times):
        start = down(times[k])
        if name == "events":
            end = down(times[min(k + n, len(times)) - 1]) + unit
        else:
            stop = k
            while stop + 1 < len(times) and times[stop + 1] - times[stop] < n:
                stop += 1
            end = down(times[stop] + n)
        found.append((start, end))
        while k < len(times) and times[k] < end:
            k += 1
    return found


async def tapped(network, run):
    """Return the result of ``run``, and the spikes during it: (sample, t_us, neurons) per tap."""
    names = [p.name for p in network.bundle.model.populations]
    taps = [network.tap(name, 100_000) for name in names]
    result = await run
    for tap in taps:
        tap.close()
    return result, [
        [(item.sample, item.t_us, item.neurons.tolist()) async for item in tap] for tap in taps
    ]


async def streamed(network, parts, window, **options):
    """Return the decisions of a stream that carries state."""
    async with network.session(**options) as session:
        return [d async for d in session.stream(parts, window=window, carry_state=True)]


@settings(deadline=None, max_examples=150)
@given(
    data=st.data(),
    model=models(refractory=True, max_populations=3, max_neurons=6, extended=True),
    window=st.sampled_from(["time(2)", "time(7)", "events(1)", "events(4)", "silence(3)"]),
    policy=st.sampled_from(["layer-sync", "fifo", "momentum"]),
    queued=st.booleans(),
    rule=st.sampled_from(["quiet", "first-spike", "votes(2)"]),
)
def test_windows_that_carry_state_equal_one_long_run(data, model, window, policy, queued, rule):
    """For any windows, chunks, engine and stop rule, the spikes equal those of one sample."""
    window, train = data.draw(streams(model, window, max_events=25))
    rule = rule_for(model, rule)
    t_us, index = train.t_us, train.index
    cuts = sorted(data.draw(st.lists(st.integers(0, t_us.size), max_size=5)))
    parts = [
        (t_us[first:stop], index[first:stop])
        for first, stop in zip([0, *cuts], [*cuts, t_us.size], strict=True)
    ]
    windows = spans(window, t_us.tolist(), model.timestep_us)
    zero, end = windows[0][0], windows[-1][1]

    async def check():
        how = {"policy": policy, "group_size": 2, "input": "queued" if queued else "prioritised"}
        async with na.Network(na.Bundle(model), **how) as network:
            async with network.session() as session:
                whole = session.decide((t_us - zero, index), duration_us=end - zero)
                _, expected = await tapped(network, whole)
            stream = streamed(network, parts, window, until=rule)
            decisions, fired = await tapped(network, stream)
            assert await streamed(network, parts, window, until=rule) == decisions  # compiled
        assert len(decisions) == len(windows)
        for one, long in zip(fired, expected, strict=True):
            spikes = [(windows[k][0] - zero + t, neurons) for k, t, neurons in one]
            reference = [(t, neurons) for _, t, neurons in long]
            # After an early decision in the last window nothing calls for its other passes.
            assert spikes == (reference if rule == "quiet" else reference[: len(spikes)])
        if rule == "quiet":
            output = expected[model.index(model.output)]
            for decision, (start, stop) in zip(decisions, windows, strict=True):
                mine = [i for _, t, fired in output if start <= t + zero < stop for i in fired]
                assert (
                    decision.votes.tolist()
                    == np.bincount(mine, minlength=decision.votes.size).tolist()
                )

    asyncio.run(check())


@pytest.mark.parametrize("window", ["time(5000)", "events(7)", "silence(2000)", "decided"])
async def test_real_time_windows_that_carry_state_give_the_same_decisions(window, no_leaks):
    bundle, train = chain(), sample(events=100, duration_us=100_000)

    async def found(clock):
        network = na.Network(bundle, clock=clock, until="votes(4)")
        async with network, network.session() as session:
            return [d async for d in session.stream([train], window=window, carry_state=True)]

    decisions = await found(na.VirtualClock())
    assert len(decisions) > 3
    assert await found(na.RealTimeClock(speed=1000.0)) == decisions


@pytest.mark.parametrize("window", ["events(5)", "decided", "silence(3000)", "time(7000)"])
@pytest.mark.parametrize("timestep_us", [0, 1000])
async def test_real_time_stream_may_end_long_after_its_last_event(window, timestep_us, no_leaks):
    clock = na.ManualClock()
    feed: na.BoundedQueue[tuple[np.ndarray, np.ndarray]] = na.BoundedQueue(10)
    network = na.Network(relay(2000, timestep_us), clock=clock, until="votes(3)")
    async with network, network.session() as session:
        reading = asyncio.create_task(
            asyncio.wait_for(collected(session.stream(feed, window=window, carry_state=True)), 10)
        )
        feed.push(at(0, 1000))
        for _ in range(50):
            await clock.advance(1000)
        feed.close()
        await clock.advance(1000)
        assert sum(int(d.votes[0]) for d in await reading) == 2


async def collected(stream):
    """Return all decisions of a stream."""
    return [d async for d in stream]


async def test_delayed_spike_arrives_on_time_between_real_time_windows(no_leaks):
    clock = na.ManualClock()
    feed: na.BoundedQueue[tuple[np.ndarray, np.ndarray]] = na.BoundedQueue(10)
    async with na.Network(relay(8000), clock=clock) as network, network.session() as session:
        tap = network.tap("output")
        reading = asyncio.create_task(collected(session.stream(feed, window="silence(2000)")))
        feed.push(at(0))
        await clock.advance(0)
        for _ in range(8):
            await clock.advance(1000)
        feed.push(at(8500))  # of the pass that the spike comes in; it begins a window there
        await clock.advance(1000)
        item = await asyncio.wait_for(anext(tap), 10)
        assert (item.sample, item.t_us) == (1, 0)
        for _ in range(8):
            await clock.advance(1000)
        item = await asyncio.wait_for(anext(tap), 10)
        assert (item.sample, item.t_us) == (1, 8000)  # its window is over
        feed.close()
        await clock.advance(1000)
        assert [int(d.votes[0]) for d in await reading] == [0, 1]


async def test_last_event_of_a_real_time_window_begins_no_new_window(no_leaks):
    clock = na.RealTimeClock(speed=1000.0)
    for carry_state in (False, True):
        network = na.Network(relay(0), clock=clock)
        async with network, network.session() as session:
            stream = session.stream([at(0, 2999)], window="time(3000)", carry_state=carry_state)
            assert [int(d.votes[0]) for d in await collected(stream)] == [2]


@pytest.mark.parametrize("carry_state", ["yes", 1, 0, []])
async def test_carry_state_must_be_bool_or_none(carry_state):
    async with na.Network(relay()) as network, network.session() as session:
        with pytest.raises(ValueError, match=r"^`carry_state` must be True, False or None, got "):
            await anext(session.stream([at(0)], window="time(1000)", carry_state=carry_state))


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    model=models(refractory=True, max_populations=3, max_neurons=6, extended=True),
    window=st.sampled_from(["time(2)", "time(7)", "events(1)", "events(4)", "silence(3)"]),
    carry_state=st.booleans(),
    rule=st.sampled_from(["quiet", "first-spike"]),
)
def test_real_time_stream_gives_the_decisions_of_the_virtual_clock(
    data, model, window, carry_state, rule
):
    """This includes a pause after which another session continues the stream."""
    unit = model.timestep_us or 1000
    window, train = data.draw(streams(model, window, max_events=15))
    rule = rule_for(model, rule)
    size = data.draw(st.integers(1, 5))
    parts = [
        (train.t_us[k : k + size], train.index[k : k + size]) for k in range(0, len(train), size)
    ]
    pause = data.draw(st.integers(0, 40))
    options = {"window": window, "carry_state": carry_state}

    async def check():
        bundle = na.Bundle(model)
        async with na.Network(bundle, until=rule) as network, network.session() as session:
            expected = await collected(session.stream(parts, **options))
        clock, source, found = na.ManualClock(), iter(parts), []

        async def read(session):
            async for decision in session.stream(source, **options):
                found.append(decision)  # noqa: PERF401  # each as soon as it is here

        async def run(session, ticks):
            reading = asyncio.create_task(read(session))
            for _ in range(ticks):
                if reading.done():
                    break
                await clock.advance(unit)
            return reading

        async with na.Network(bundle, clock=clock, until=rule) as network:
            async with network.session() as session:
                reading = await run(session, pause)
                done, snapshot = reading.done(), session.snapshot()
                reading.cancel()
                await asyncio.wait([reading])
            if not done:
                async with network.session() as session:
                    session.restore(snapshot)
                    await (await run(session, 300))
        assert found == expected

    asyncio.run(check())
