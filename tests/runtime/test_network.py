"""A network decides as the simulator does, and checks its arguments."""

import asyncio
import contextlib
import gc
from dataclasses import dataclass, field

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample()


def decide_by_simulator(bundle, train, seed=0):
    """Return the decision that the simulator makes without an event loop."""
    settings = RunSettings(na.Random(), bundle.policy.group_size)
    simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), settings))
    simulator.begin(seed)
    simulator.feed(train.t_us, train.index)
    while (reached := simulator.run_to_delivery(int(train.t_us[-1]))) is not None:
        for p in reached:
            simulator.integrate(p)
    return simulator.decision(0.0)


async def test_decision_equals_that_of_the_simulator(no_leaks):
    async with na.Network(BUNDLE) as network:
        decision = await network.decide(SAMPLE)
    assert decision == decide_by_simulator(BUNDLE, SAMPLE)
    assert decision.total_spikes > 50


async def test_concurrent_decisions_equal_sequential_ones(no_leaks):
    samples = [sample(seed=2 * k) for k in range(12)]
    async with na.Network(BUNDLE) as network:
        alone = [await network.decide(s, seed=k) for k, s in enumerate(samples)]
        together = await asyncio.gather(*(network.decide(s, seed=k) for k, s in enumerate(samples)))
    assert together == alone


def simulators_alive():
    """Return all simulators of this process by their id."""
    return {id(s): s for s in gc.get_objects() if type(s) is Simulator}


async def test_decisions_one_after_another_share_one_session_and_no_state(no_leaks):
    train, other = sample(seed=0), sample(seed=1)
    async with na.Network(BUNDLE) as network:
        # Earlier tests in this process may have left some. They stay alive and keep their ids.
        before = simulators_alive()
        expected = await network.decide(train, seed=1)
        simulators = set()
        for _ in range(3):
            await network.decide(other, seed=2)
            with contextlib.suppress(na.EventsError):
                await network.decide(([5, 3], [0, 0]))
            with pytest.raises(na.CpuTimeLimitError):
                await network.decide(other, max_cpu_s=1e-9)
            cancelled = asyncio.create_task(network.decide(other))
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert await network.decide(train, seed=1) == expected
            assert await network.decide(train, seed=1, until="votes(1)") != expected
            assert network.open_sessions == 0
            simulators |= simulators_alive().keys() - before.keys()
        counts = network.counts
        assert counts.decisions == 10
        assert counts.events == 4 * len(train) + 3 * len(other) + 3 * len(other) + 3 * len(train)
        assert counts.refused == 6
    assert network.counts == counts
    assert len(simulators) <= 2 + 3 + 3  # two plans, and the sessions that an error has closed


async def test_tapped_decisions_have_sessions_of_their_own(no_leaks):
    async with na.Network(BUNDLE) as network:
        tap = network.tap("hidden1")
        for _ in range(3):
            await network.decide(SAMPLE)
        tap.close()
        numbers = [(item.session, item.sample) async for item in tap]
    assert sorted(set(numbers)) == [(0, 0), (1, 0), (2, 0)]


async def test_other_tasks_of_the_loop_do_not_change_a_decision(no_leaks):
    async def nuisance():
        while True:
            await asyncio.sleep(0)

    async with na.Network(BUNDLE) as network:
        expected = await network.decide(SAMPLE)
        others = [asyncio.create_task(nuisance()) for _ in range(5)]
        try:
            assert await network.decide(SAMPLE) == expected
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)


async def test_order_of_the_bundle_is_the_default_and_can_be_replaced(no_leaks):
    async with na.Network(BUNDLE) as network:
        assert network.settings.policy == na.Random()
        assert network.settings.group_size == 2
        default = await network.decide(SAMPLE)
        assert await network.decide(SAMPLE, policy="random", group_size=2) == default
        layered = await network.decide(SAMPLE, policy=na.LayerSync(), group_size=100)
        assert layered.rounds == layered.steps < default.steps


async def test_seed_determines_the_order_and_the_decision(no_leaks):
    async with na.Network(BUNDLE, seed=5) as network:
        first, again = await network.decide(SAMPLE), await network.decide(SAMPLE)
        others = [await network.decide(SAMPLE, seed=s) for s in range(6)]
    assert first == again
    assert len({d.steps for d in others} | {d.synops for d in others}) > 2


async def test_stop_rule_ends_the_sample_early_and_stops_reading(no_leaks):
    async with na.Network(BUNDLE) as network:
        whole = await network.decide(SAMPLE)
        early = await network.decide(SAMPLE, until="first-spike")
    assert early.stopped
    assert not whole.stopped
    assert early.votes.sum() >= 1
    assert early.total_spikes < whole.total_spikes
    assert early.input_events < whole.input_events
    assert early.first_spike == (early.total_spikes, early.steps, early.rounds)


async def test_custom_stop_rule_receives_the_progress(no_leaks):
    seen = []

    def until(progress: na.Progress) -> bool:
        seen.append(progress.steps)
        return progress.spikes >= 20

    async with na.Network(BUNDLE) as network:
        decision = await network.decide(SAMPLE, until=until)
    assert decision.stopped
    assert decision.total_spikes >= 20
    assert seen == sorted(seen)


async def test_empty_sample_has_no_pass_and_no_label(no_leaks):
    async with na.Network(BUNDLE) as network:
        decision = await network.decide(([], []))
        silent = await network.decide(([], []), duration_us=3000)
    assert (decision.passes, decision.label, decision.t_us) == (0, None, -1)
    assert (silent.passes, silent.label, silent.t_us) == (3, None, 2000)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (([0], [12]), r"^`index\[0\]` must be at most 11 \(the network has 12 inputs\), got 12$"),
        (([5, 4], [0, 0]), r"^`t_us\[1\]` must be at least 5, the time of the event before it in"),
        (([0.5], [0]), "t_us"),
        ([0], r"^`events` must be a SpikeTrain, a pair \(t_us, index\) or a triple"),
    ],
)
async def test_invalid_events_are_rejected_with_their_position(events, message, no_leaks):
    async with na.Network(BUNDLE) as network:
        with pytest.raises(na.EventsError, match=message):
            await network.decide(events)


async def test_event_at_a_very_late_time_hits_the_pass_limit(no_leaks):
    async with na.Network(BUNDLE) as network:
        with pytest.raises(na.LimitError, match="the limit is 10000000"):
            await network.decide(([2**52], [0]))


async def test_endless_pass_names_the_last_population_that_fired(no_leaks):
    loop = na.Model(
        1000,
        (1,),
        (na.Population("clock", (1,), na.LIF(v_threshold=0.5, refractory=False)),),
        (
            na.Dense("input", "clock", np.ones((1, 1), np.float32)),
            na.Dense("clock", "clock", np.ones((1, 1), np.float32)),
        ),
        "clock",
    )
    async with na.Network(na.Bundle(loop), max_forward_steps=50) as network:
        with pytest.raises(na.ForwardStepLimitError, match="population 'clock' was the last"):
            await network.decide(([0], [0]))


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


def test_asyncio_and_uvloop_give_the_same_decision():
    uvloop = pytest.importorskip("uvloop")

    async def decide():
        async with na.Network(BUNDLE) as network:
            return await network.decide(SAMPLE)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(decide()) == asyncio.run(decide())


async def test_stop_rule_that_returns_no_bool_is_named(no_leaks):
    async with na.Network(BUNDLE, until=lambda progress: "no") as network:
        with pytest.raises(na.StopRuleError, match="must return True or False, got 'no'"):
            await network.decide(SAMPLE)
        assert (await network.decide(SAMPLE, until="quiet")).total_spikes > 0


async def test_recorder_fits_decisions_with_the_same_options(no_leaks):
    async with na.Network(BUNDLE) as network:
        recorder = network.recorder(policy="fifo", group_size=3)
        decision = await network.decide(SAMPLE, policy="fifo", group_size=3, recorder=recorder)
    assert recorder.finish().spikes.tolist() == [decision.total_spikes]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"recorder": "run.npz"}, TypeError, r"must be a Recorder or None, got str; network\.rec"),
        ({"group_size": 3}, ValueError, "made for other options: .* group_size=2.* group_size=3"),
    ],
)
async def test_recorder_that_does_not_fit_is_refused_before_a_sample_runs(
    options, error, message, no_leaks
):
    async with na.Network(BUNDLE) as network:
        options = {"recorder": network.recorder(), **options}
        with pytest.raises(error, match=message):
            network.session(**options)
        with pytest.raises(error, match=message):
            await network.decide(SAMPLE, **options)
        with pytest.raises(error, match=message):
            await network.decide_all([SAMPLE], **options)
        assert network.counts.events == 0


async def test_recorder_of_another_network_is_refused(no_leaks):
    recorder = na.Network(chain(seed=1)).recorder()
    async with na.Network(BUNDLE) as network:
        with pytest.raises(ValueError, match="`recorder` was made for another network"):
            network.session(recorder=recorder)


async def test_custom_policies_that_are_equal_are_not_mistaken_for_each_other(no_leaks):
    @dataclass
    class Counting:
        calls: int = field(default=0, compare=False)

        def order(self, pending, group_size):
            self.calls += 1
            return np.arange(len(pending.neuron))

    first, second = Counting(), Counting()
    assert first == second
    async with na.Network(BUNDLE) as network:
        await network.decide(SAMPLE, policy=first)
        expected = first.calls
        await network.decide(SAMPLE, policy=second)
    assert expected > 0
    assert (first.calls, second.calls) == (expected, expected)


async def test_custom_policy_may_be_a_dataclass_with_an_array(no_leaks):
    @dataclass
    class Fixed:
        rank: np.ndarray

        def order(self, pending, group_size):
            return np.argsort(self.rank[pending.neuron])

    async with na.Network(BUNDLE) as network:
        ranks = np.arange(BUNDLE.model.size)
        forward = await network.decide(SAMPLE, policy=Fixed(ranks))
        assert await network.decide(SAMPLE, policy=Fixed(ranks.copy())) == forward


def test_stop_rule_may_be_a_method_of_the_same_object():
    class Rule:
        def is_over(self, progress):
            return progress.passes > 2

    rule = Rule()
    network = na.Network(BUNDLE, until=rule.is_over)
    assert network.recorder(until=rule.is_over).settings == network.settings
    assert hash(network.recorder(until=rule.is_over).settings) == hash(network.settings)
    assert network.recorder(until=Rule().is_over).settings != network.settings
