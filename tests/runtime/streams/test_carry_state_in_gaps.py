"""Windows that carry state equal one long run, also in the gaps between them."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from tests.helpers.relay_streams import LIF, ONE, at, relay, votes
from tests.helpers.strategies import models, rule_for, streams


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
