"""Input events with values: the engines and the reference simulator agree to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.model.connections import INPUT, Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from tests.core.engine.test_engines_agree import (
    EXCITING,
    FLOATS,
    bits,
    busy_trains,
    moderate,
    outcome,
    runs,
)
from tests.helpers.engine_runners import compiled, stepwise
from tests.helpers.reference import simulator as oracle
from tests.helpers.strategies import models

POLICIES = (LayerSync(), Random(), Momentum(), Fifo())


@st.composite
def valued_trains(draw, model):
    """Draw many random events with dyadic values, which may be 0 or negative."""
    train = draw(busy_trains(model))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return SpikeTrain(train.t_us, train.index, rng.integers(-8, 32, len(train)) / 16)


@st.composite
def float_trains(draw, model):
    """Draw many random events with any values."""
    train = draw(busy_trains(model))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return SpikeTrain(train.t_us, train.index, rng.normal(0.5, 1, len(train)))


def large_model(inputs, neurons):
    """Return a dense layer that is wide enough for all ways of adding rows and reading input."""
    rng = np.random.default_rng(3)
    weight = rng.normal(0, 0.3, (neurons, inputs))
    return Model(
        1000,
        (inputs,),
        (Population("p0", (neurons,), LIF(tau_mem_us=5000.0, v_threshold=1.0)),),
        (Dense(INPUT, "p0", weight),),
        "p0",
    )


@given(run=runs(models(EXCITING), trains=valued_trains))
@moderate(150)
def test_all_engines_match_the_reference_simulator_on_events_with_values(run):
    expected = outcome(oracle.run, run)
    assert outcome(stepwise, run) == expected
    assert outcome(compiled, run) == expected


@given(run=runs(models(FLOATS), trains=float_trains))
@moderate(75)
def test_any_values_give_the_same_bits_in_all_engines(run):
    expected = outcome(stepwise, run)
    assert bits(outcome(compiled, run)) == bits(expected)
    assert outcome(oracle.run, run) == expected


@given(run=runs(models(EXCITING), trains=valued_trains), work=st.integers(0, 300))
@moderate(50)
def test_values_survive_a_spent_work_budget(run, work):
    assert outcome(compiled, run, work=work) == outcome(compiled, run)


@given(run=runs(models(EXCITING)))
@moderate(100)
def test_events_of_value_one_are_spikes(run):
    train = run["train"]
    valued = run | {"train": SpikeTrain(train.t_us, train.index, np.ones(len(train)))}
    spikes, result = outcome(compiled, run), outcome(compiled, valued)
    if result != "limit":
        result = replace(result, groups=[(*at, tuple(map(spike, g))) for *at, g in result.groups])
    assert result == spikes


def spike(slot):
    """Return a slot of events whose values are 1 as one of spikes."""
    key, origin, count, via = slot
    if isinstance(count, tuple):
        events, factor = count
        assert factor == events
        count = events
    return key, origin, count, via


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("mode", ["prioritised", "queued"])
@pytest.mark.parametrize(("inputs", "neurons", "events"), [(9000, 7, 40), (300, 150, 6000)])
def test_every_way_of_reading_many_events_keeps_their_values(policy, mode, inputs, neurons, events):
    """Few events among many inputs are sorted; many are grouped by bits, with repeated inputs."""
    rng = np.random.default_rng(1)
    t_us, index = np.sort(rng.integers(0, 3000, events)), rng.integers(0, inputs, events)
    index[: events // 2 : 2] = index[1 : events // 2 + 1 : 2]
    train = SpikeTrain(t_us, index, rng.normal(0, 1, events))
    model = large_model(inputs, neurons)
    result = compiled(model, train, policy, 16, mode, 5)
    assert result == oracle.run(model, train, policy, 16, mode, 5)
    assert compiled(model, train, policy, 16, mode, 5, work=100) == result


def test_a_value_multiplies_the_weight_and_values_of_one_slot_are_summed():
    model = Model(
        1000,
        (2,),
        (Population("p0", (1,), LIF(tau_mem_us=np.inf, v_threshold=10.0)),),
        (Dense(INPUT, "p0", [[2.0, 0.5]]),),
        "p0",
    )
    train = SpikeTrain([0, 0, 1, 1000], [0, 1, 0, 1], [0.25, -1.0, 0.5, 4.0])
    result = compiled(model, train, LayerSync())
    assert result.groups == [
        (0, 0, ((1, 1, (2, 0.75), -1), (2, 2, (1, -1.0), -1))),
        (1, 0, ((2, 2, (1, 4.0), -1),)),
    ]
    assert result.v == (2 * 0.75 - 0.5 + 2.0,)
    assert result.synops == result.input_events == 4
