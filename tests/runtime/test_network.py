"""A network decides as the simulator does, and checks its arguments."""

import asyncio
import contextlib
import copy
import gc
import pickle
import subprocess
import sys

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from tests.helpers.small_networks import chain, sample
from tests.helpers.time_slices import end_after_each_step

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


async def test_error_of_a_closed_network_explains_how_to_open_it(no_leaks):
    network = na.Network(BUNDLE)
    with pytest.raises(na.ClosedError, match="use it inside `async with`"):
        await network.decide(SAMPLE)
    async with network:
        await network.decide(SAMPLE)
    with pytest.raises(na.ClosedError):
        network.tap("hidden1")


async def test_network_can_be_opened_again(no_leaks):
    network = na.Network(BUNDLE)
    async with network:
        first = await network.decide(SAMPLE)
    async with network:
        assert await network.decide(SAMPLE) == first


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"policy": "fastest"}, na.PolicyError),
        ({"policy": object()}, na.PolicyError),
        ({"until": "votes(0)"}, na.StopRuleError),
        ({"until": "votes(1,2)"}, na.StopRuleError),
        ({"until": "steps(1,2)"}, na.StopRuleError),
        ({"until": "margin(0,0)"}, na.StopRuleError),
        ({"until": "margin(1,)"}, na.StopRuleError),
        ({"until": "margin(1,-1)"}, na.StopRuleError),
        ({"until": f"margin({'1,' * 4096}1)"}, na.StopRuleError),
        ({"until": na.StopRule("margin")}, na.StopRuleError),
        ({"group_size": 0}, ValueError),
        ({"input": "first"}, ValueError),
        ({"engine": "fast"}, ValueError),
        ({"seed": -1}, ValueError),
    ],
)
def test_options_out_of_range_are_rejected_immediately(options, error):
    with pytest.raises(error):
        na.Network(BUNDLE, **options)


@pytest.fixture(params=["coroutines", "compiled"])
def engine(request, monkeypatch):
    """Each engine, with a time slice that ends after every forward step, so it yields often."""
    end_after_each_step(monkeypatch)
    return request.param


@pytest.mark.parametrize("ticks", range(40))
async def test_cancelled_decision_leaves_the_network_usable(ticks, engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network:
        expected = await network.decide(SAMPLE)
        attempt = asyncio.create_task(network.decide(SAMPLE))
        for _ in range(ticks):
            await asyncio.sleep(0)
        attempt.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attempt
        assert network.open_sessions == 0
        assert await network.decide(SAMPLE) == expected


async def test_closing_the_network_ends_running_decisions(engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network:
        attempts = [asyncio.create_task(network.decide(SAMPLE)) for _ in range(3)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(r) for r in results] == [na.ClosedError] * 3


async def test_exception_in_the_block_is_raised_unchanged(no_leaks):
    with pytest.raises(KeyError, match="mine"):
        async with na.Network(BUNDLE) as network:
            await network.decide(SAMPLE)
            raise KeyError("mine")


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


def test_asyncio_and_uvloop_give_the_same_decision():
    uvloop = pytest.importorskip("uvloop")

    async def decide():
        async with na.Network(BUNDLE) as network:
            return await network.decide(SAMPLE)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(decide()) == asyncio.run(decide())


def test_async_stop_rule_object_is_rejected():
    async def rule(progress):
        return False

    class Rule:
        async def __call__(self, progress):
            return False

    for until in (rule, Rule()):
        with pytest.raises(na.StopRuleError, match="must be a plain function, got the async"):
            na.Network(BUNDLE, until=until)


def test_policy_without_an_order_method_is_rejected():
    class Mine(na.LayerSync):
        pass

    class Own:
        def order(self, pending, group_size):
            return []

    for policy in (Mine(), Own):  # a class, not a policy
        with pytest.raises(na.PolicyError, match="or an object with order"):
            na.Network(BUNDLE, policy=policy)


def test_async_stop_rule_function_is_rejected():
    async def until(progress):
        return True

    with pytest.raises(na.StopRuleError, match="must be a plain function, got the async"):
        na.Network(BUNDLE, until=until)


async def test_stop_rule_that_returns_no_bool_is_named(no_leaks):
    async with na.Network(BUNDLE, until=lambda progress: "no") as network:
        with pytest.raises(na.StopRuleError, match="must return True or False, got 'no'"):
            await network.decide(SAMPLE)
        assert (await network.decide(SAMPLE, until="quiet")).total_spikes > 0


def test_policy_class_instead_of_an_instance_is_rejected():
    class Mine:
        def order(self, pending, group_size):
            return np.arange(pending.neuron.size)

    with pytest.raises(na.PolicyError, match="must be one of"):
        na.Network(BUNDLE, policy=Mine)


async def test_recorder_fits_decisions_with_the_same_options(no_leaks):
    async with na.Network(BUNDLE) as network:
        recorder = network.recorder(policy="fifo", group_size=3)
        decision = await network.decide(SAMPLE, policy="fifo", group_size=3, recorder=recorder)
    assert recorder.finish().spikes.tolist() == [decision.total_spikes]


@pytest.mark.parametrize("engine_name", ["auto", "coroutines"])
def test_kernels_are_loaded_while_the_event_loop_runs(engine_name, monkeypatch):
    from neuroasync.core.engine import warm_up

    monkeypatch.setattr(warm_up, "_ready", set())

    async def open_beside_a_heartbeat():
        beats = 0

        async def heartbeat():
            nonlocal beats
            while True:
                await asyncio.sleep(0)
                beats += 1

        heart = asyncio.create_task(heartbeat())
        async with na.Network(BUNDLE, engine=engine_name):
            heart.cancel()
        return beats

    assert asyncio.run(open_beside_a_heartbeat()) > 0
    assert len(warm_up._ready) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bundle": "x.nab"}, r"^`bundle` must be a Bundle, got str; Network\.load\(path\) reads"),
        ({"populations": [1]}, r"^`populations` must map names of populations to coroutine functi"),
        ({"populations": {"output": 3}}, r"^populations\['output'\] must be a coroutine function"),
    ],
)
def test_wrong_types_of_network_arguments_are_rejected(arguments, message):
    with pytest.raises(TypeError, match=message):
        na.Network(**{"bundle": chain(), **arguments})


CHILD = """
import asyncio, pickle, sys
async def main():
    network, events = pickle.load(sys.stdin.buffer)
    async with network:
        print((await network.decide(events)).votes.tolist())
asyncio.run(main())
"""


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy])
async def test_a_network_that_is_being_opened_cannot_be_copied(copied, no_leaks):
    network = na.Network(chain())
    opening = asyncio.create_task(network.open())
    await asyncio.sleep(0)  # the task runs until it waits for its thread
    with pytest.raises(TypeError, match=r"^an open network and its sessions cannot be pickled"):
        copied(network)
    await opening
    await asyncio.gather(network.close(), network.close())  # one waits for the other
    twin = pickle.loads(pickle.dumps(network))
    async with twin:
        assert await twin.decide(([0], [0]))


async def test_a_network_can_be_pickled_and_copied_while_it_is_closed():
    network = na.Network(chain(), seed=3, until="votes(2)", group_size=2)
    events = na.SpikeTrain([0, 5, 9], [0, 1, 2])
    async with network:
        expected = await network.decide(events)
        with pytest.raises(TypeError, match=r"^an open network and its sessions cannot be pickled"):
            pickle.dumps(network)
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        async with twin:
            assert await twin.decide(events) == expected
    child = subprocess.run(  # noqa: ASYNC221  # nothing else runs in this loop
        [sys.executable, "-c", CHILD],
        input=pickle.dumps((network, events)),
        capture_output=True,
        check=True,
    )
    assert child.stdout.decode().strip() == str(expected.votes.tolist())
