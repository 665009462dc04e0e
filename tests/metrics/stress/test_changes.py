"""The changes that a stress makes to input, weights and delays."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.metrics.stress.changes import (
    delayed,
    jittered_input,
    noisy_weights,
    quantised_weights,
    thinned_input,
    without_synapses,
)
from tests.helpers.recordings import record
from tests.helpers.small_networks import chain, sample
from tests.helpers.strategies import models, spike_trains

MODEL = chain().model
TRAINS = na.SpikeTrains.from_trains([sample(200, seed=k) for k in range(6)], (12,), [0, 1] * 3)


def events_of(train):
    return list(zip(train.t_us.tolist(), train.index.tolist(), strict=True))


def test_no_event_or_every_event_is_lost():
    assert thinned_input(TRAINS, 0, 3, 0) == TRAINS
    nothing = thinned_input(TRAINS, 1, 3, 0)
    assert len(nothing) == 6
    assert not nothing.t_us.size
    assert np.array_equal(nothing.labels, TRAINS.labels)


def test_about_a_share_of_the_events_is_lost_and_more_with_a_higher_probability():
    some, more = (thinned_input(TRAINS, p, 3, 0) for p in (0.2, 0.5))
    # 1,200 events: five standard deviations are 69 and 87.
    assert some.t_us.size == pytest.approx(960, abs=69)
    assert more.t_us.size == pytest.approx(600, abs=87)
    for k in range(6):
        assert set(events_of(more[k])) <= set(events_of(some[k])) <= set(events_of(TRAINS[k]))


@pytest.mark.parametrize(
    "change",
    [
        lambda trains, first: thinned_input(trains, 0.3, 8, first),
        lambda trains, first: jittered_input(trains, 700, 8, first, None),
    ],
)
def test_what_happens_to_a_sample_depends_on_its_number_alone(change):
    assert change(TRAINS, 0)[2:5] == change(TRAINS[2:5], 2)
    assert change(TRAINS, 0) != change(TRAINS, 1)


def test_values_stay_with_their_events():
    train = na.SpikeTrain([0, 100, 200, 300], [0, 1, 2, 3], [0.0, 1.0, 2.0, 3.0])
    trains = na.SpikeTrains.from_trains([train] * 20, (4,))
    for changed in (thinned_input(trains, 0.5, 0, 0), jittered_input(trains, 150, 0, 0, None)):
        assert np.array_equal(changed.value, changed.index)


@pytest.mark.parametrize(("duration_us", "end_us"), [(None, TRAINS[0].t_us[-1]), (9000, 8999)])
def test_jitter_shifts_events_within_their_sample(duration_us, end_us):
    shifted = jittered_input(TRAINS[:1], 3000, 1, 0, duration_us)[0]
    assert sorted(shifted.index) == sorted(TRAINS[0].index)
    assert shifted.t_us.min() == 0
    assert shifted.t_us.max() == end_us


def test_jitter_has_the_given_standard_deviation():
    trains = na.SpikeTrains([10**6] * 4000, [0] * 4000, [0, 4000], None, (1,))
    shifts = jittered_input(trains, 1000, 0, 0, 2 * 10**6).t_us - 10**6
    assert shifts.std() == pytest.approx(1000, rel=0.06)  # five standard deviations
    assert abs(shifts.mean()) < 80


def test_jitter_of_any_size_is_safe():
    shifted = jittered_input(TRAINS, 2**53, 0, 0, None)
    assert len(shifted) == 6
    assert set(jittered_input(TRAINS[:1], 2**53, 0, 0, None).t_us) == {0, TRAINS[0].t_us[-1]}


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(2, [1, 0, 0, -1]), (3, [1, -2 / 3, 1 / 3, -1]), (4, [1, -4 / 7, 1 / 7, -1])],
)
def test_weights_are_quantised_symmetrically(bits, expected):
    # -0.5 is half-way between two of the three values of 2 bits, and rounds to the even one.
    weight = np.array([[1, -0.5, 0.2, -1]], np.float32)
    output = na.Population("output", (1,), na.LIF())
    model = na.Model(1, (4,), (output,), (na.Dense("input", "output", weight),), "output")
    found = quantised_weights(model, bits).connections[0].weight[0]
    assert found == pytest.approx(expected)


def test_every_connection_has_at_most_the_levels_of_its_bits():
    for c in quantised_weights(MODEL, 3).connections:
        assert len(np.unique(c.weight)) <= 7


def test_weights_of_zero_stay_zero():
    zero = tuple(replace(c, weight=0 * c.weight) for c in MODEL.connections)
    model = replace(MODEL, connections=zero)
    assert quantised_weights(model, 4) == noisy_weights(model, 0.5, 0) == model


def test_weights_have_relative_noise():
    ones = replace(MODEL, connections=(
        replace(MODEL.connections[0], weight=np.full((8, 12), 4)), *MODEL.connections[1:],
    ))  # fmt: skip
    noise = np.concatenate([
        noisy_weights(ones, 0.2, seed).connections[0].weight.ravel() / 4 - 1 for seed in range(40)
    ])  # fmt: skip
    assert noise.std() == pytest.approx(0.2, rel=0.06)
    assert noisy_weights(MODEL, 0, 5) == MODEL
    assert noisy_weights(MODEL, 0.2, 5) == noisy_weights(MODEL, 0.2, 5)
    assert noisy_weights(MODEL, 0.2, 5) != noisy_weights(MODEL, 0.2, 6)


def test_synapses_from_the_input_do_not_fail():
    first, *others = without_synapses(MODEL, 1, 0).connections
    assert first == MODEL.connections[0]
    assert all(not c.weight.any() for c in others)


def test_a_share_of_the_synapses_fails():
    wide = chain(sizes=(4, 60, 60))
    ones = replace(wide.model.connections[1], weight=np.ones((60, 60)))
    model = replace(wide.model, connections=(wide.model.connections[0], ones))
    some, more = (without_synapses(model, p, 1).connections[1].weight for p in (0.1, 0.3))
    assert some.mean() == pytest.approx(0.9, abs=0.025)
    assert more.mean() == pytest.approx(0.7, abs=0.04)
    assert (more <= some).all()


@settings(max_examples=60)
@given(data=st.data(), model=models(refractory=True))
def test_a_network_whose_synapses_are_listed_fires_the_same_spikes(data, model):
    train = data.draw(spike_trains(model))
    run = RunSettings(group_size=data.draw(st.integers(1, 8)))
    listed = without_synapses(model, 0, 0)
    recordings = [record(na.Bundle(m), [train], run) for m in (model, listed)]
    assert recordings[0].digest == recordings[1].digest
    assert np.array_equal(recordings[0].synops, recordings[1].synops)


def test_the_synapses_of_a_convolution_fail_one_by_one():
    plane = na.Population("plane", (1, 6, 6), na.LIF())
    output = na.Population("output", (2, 4, 4), na.LIF())
    connections = (
        na.Dense("input", "plane", np.ones((36, 1))),
        na.Conv2d("plane", "output", np.ones((2, 1, 3, 3)), bias=np.array([1, 2])),
    )
    model = na.Model(1000, (1,), (plane, output), connections, "output")
    failed = without_synapses(model, 0.5, 0).connections[1]
    assert failed.weight.size == 2 * 16 * 9
    assert 100 < np.count_nonzero(failed.weight) < 188
    assert failed.bias.tolist() == [1] * 16 + [2] * 16


def test_delays_are_added_between_populations():
    slow = replace(MODEL.connections[2], delay_us=2000)
    model = replace(MODEL, connections=(*MODEL.connections[:2], slow))
    assert [c.delay_us for c in delayed(model, 3000).connections] == [0, 3000, 5000]
