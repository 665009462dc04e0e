"""Reference simulator, stepwise engine and compiled loop fire the same spikes on random networks.

The tests compare the complete result: the neurons that fired in each forward step, every delivered
group in its order, potentials to the last bit, votes and counters. If a pass reaches its step limit
in one engine, it must do so in every engine.
"""

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import parse_stop_rule
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import ForwardStepLimitError
from tests.helpers.engine_runners import compiled, stepwise, take_steps
from tests.helpers.reference import simulator as oracle
from tests.helpers.strategies import dyadic, models, spike_trains

STEP_LIMIT = 40
POLICIES = (LayerSync(), Random(), Momentum(), Momentum(noise=0.5), Fifo())
RULES = ("quiet", "quiet", "quiet", "first-spike", "votes(2)", "margin(2)", "steps(0)", "steps(2)")
RULES += ("margin(0,1)", "margin(3,2,1)")
EXCITING = dyadic(-16, 64)
FLOATS = st.floats(-0.25, 1.0, width=32).map(lambda w: w if abs(w) > 1e-30 else 0.0)
SEEDS = st.integers(0, 2**64 - 1)


class NewestFirst:
    """A custom policy that selects the latest arrivals first, in descending order of neurons."""

    def order(self, pending, group_size):
        return np.lexsort((-pending.neuron, -pending.arrival * pending.multiplicity))


class HeaviestFirst:
    """A custom policy that reads every field of the pending spikes."""

    def order(self, pending, group_size):
        score = pending.momentum * pending.multiplicity + pending.population
        hashed = (pending.neuron * 7919 + pending.seed % 5 + pending.pass_index + pending.step) % 5
        return np.lexsort((pending.neuron, hashed, -score))[:group_size]


def moderate(max_examples):
    """Return hypothesis settings for tests that draw large inputs."""
    return settings(
        max_examples=max_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@st.composite
def busy_trains(draw, model, max_events=40, max_bins=5):
    """Draw a seed for many random events, with repeated times and indices."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, unit = draw(st.integers(1, max_events)), model.timestep_us or 500
    t_us = rng.integers(0, max_bins * unit, n) if model.timestep_us else rng.integers(0, 5, n) * 500
    return SpikeTrain(np.sort(t_us), rng.integers(0, model.input_size, n))


@st.composite
def runs(draw, networks, trains=busy_trains, policies=POLICIES, rules=RULES):
    """Draw the arguments of an engine."""
    model = draw(networks)
    unit = model.timestep_us or 500
    return {
        "model": model,
        "train": draw(trains(model)),
        "policy": draw(st.sampled_from(policies)),
        "group_size": draw(st.sampled_from((1, 2, 3, 8))),
        "input_mode": draw(st.sampled_from(("prioritised", "queued"))),
        "seed": draw(SEEDS),
        "until": draw(st.sampled_from(rules)),
        "duration_us": draw(st.sampled_from((None, None, None, unit, 7 * unit, 2 * unit + 1))),
        "max_forward_steps": STEP_LIMIT,
    }


def outcome(engine, run, **more):
    """Return the result of the engine, or "limit" if a pass reached its limit of forward steps."""
    try:
        return engine(**run, **more)
    except ForwardStepLimitError:
        return "limit"


def bits(result):
    """Return the result with its potentials as bytes, so that -0 differs from 0."""
    if result == "limit":
        return result
    v, m = (np.array(x, np.float32).tobytes() for x in (result.v, result.m))
    return replace(result, v=v, m=m)


@given(run=runs(models(), trains=spike_trains))
@moderate(100)
def test_all_engines_match_the_reference_simulator(run):
    expected = outcome(oracle.run, run)
    assert outcome(stepwise, run) == expected
    assert outcome(compiled, run) == expected


@given(run=runs(models(EXCITING)))
@moderate(150)
def test_all_engines_match_the_reference_simulator_on_busy_networks(run):
    expected = outcome(oracle.run, run)
    assert outcome(stepwise, run) == expected
    assert outcome(compiled, run) == expected


@given(run=runs(models(dyadic(0, 64), refractory=False, sync_threshold=False, delays=False)))
@moderate(100)
def test_all_engines_agree_if_neurons_fire_again_while_their_spike_is_pending(run):
    expected = outcome(oracle.run, run)
    assert outcome(stepwise, run) == expected
    assert outcome(compiled, run) == expected


@given(run=runs(models(EXCITING, kinds=("conv2d", "sparse"), max_populations=3)))
@moderate(50)
def test_all_engines_agree_on_convolutions_and_sparse_connections(run):
    expected = outcome(oracle.run, run)
    assert outcome(stepwise, run) == expected
    assert outcome(compiled, run) == expected


@given(run=runs(models(FLOATS)))
@moderate(75)
def test_any_weights_give_the_same_bits_in_all_engines(run):
    expected = outcome(stepwise, run)
    assert bits(outcome(compiled, run)) == bits(expected)
    assert outcome(oracle.run, run) == expected


@given(run=runs(models(EXCITING)), work=st.integers(0, 300), log=st.integers(0, 5))
@moderate(100)
def test_the_compiled_loop_resumes_after_a_spent_work_budget_or_a_full_log(run, work, log):
    assert outcome(compiled, run, work=work, log=log) == outcome(compiled, run)


@given(
    run=runs(
        models(EXCITING),
        policies=(NewestFirst(), HeaviestFirst()),
        rules=("quiet", lambda p: p.spikes > 6 and p.label == 0, lambda p: p.steps >= 3),
    )
)
@moderate(75)
def test_custom_policies_and_stop_rules_match_the_reference_simulator(run):
    assert outcome(stepwise, run) == outcome(oracle.run, run)


def set_of_each_group(result):
    """Return the groups with sorted slots, so that their order does not matter."""
    return [(p, step, sorted(slots)) for p, step, slots in result.groups]


@given(
    model=models(
        EXCITING,
        kinds=("dense",),
        skip=False,
        recurrent=False,
        delays=False,
        bias=False,
        reset="zero",
    ),
    data=st.data(),
    policy=st.sampled_from(POLICIES),
    input_mode=st.sampled_from(("prioritised", "queued")),
    seed=SEEDS,
)
@moderate(75)
def test_large_groups_make_every_policy_layer_sync_on_a_stack_of_dense_layers(
    model, data, policy, input_mode, seed
):
    train = data.draw(busy_trains(model))
    layered = compiled(model, train, LayerSync(), 10_000, input_mode)
    result = compiled(model, train, policy, 10_000, input_mode, seed)
    assert set_of_each_group(result) == set_of_each_group(layered)
    assert replace(result, groups=layered.groups) == layered


@given(run=runs(models(EXCITING)), data=st.data())
@moderate(50)
def test_a_sample_does_not_affect_the_next_one(run, data):
    rule = parse_stop_rule(run["until"])
    how = RunSettings(run["policy"], run["group_size"], run["input_mode"], rule, STEP_LIMIT)
    simulator = Simulator(ExecutionPlan(PackedNetwork(run["model"]), how))
    before = {"simulator": simulator, "train": data.draw(busy_trains(run["model"])), "seed": 1}
    outcome(take_steps, before)
    sample = {key: run[key] for key in ("train", "seed", "duration_us")}
    assert outcome(take_steps, {"simulator": simulator} | sample) == outcome(stepwise, run)
