"""Decay, bias, input: steps 1 to 3 of a forward pass, computed by hand in the comments."""

import math

import numpy as np
import pytest

from neuroasync.core.engine.policies import Fifo, LayerSync
from neuroasync.core.model.connections import INPUT
from neuroasync.core.model.model import Population
from neuroasync.core.model.neurons import LIF
from tests.helpers.hand_networks import (
    MS,
    dense,
    events,
    fired,
    in_every_engine,
    network,
    one_neuron,
    opening,
    population,
)

FIFO, SYNC = Fifo(), LayerSync()
HALVES = MS / math.log(2)
"""Time constant, µs, with which a potential halves in one millisecond."""
LARGE = 2.0**24
"""In float32, LARGE + 1 equals LARGE, so that a sum shows the order of its terms."""


# 1. Decay


@in_every_engine
def test_potentials_decay_by_one_factor_per_bin(run):
    # 0.75; then 0.75 / 2 + 0.75 = 1.125, which is above 1
    result = run(one_neuron(0.75, tau_mem_us=HALVES), events((0, 0), (1 * MS, 0)), FIFO)
    assert fired(result) == [(1, 0, 0)]
    assert result.m == (1.125,)
    assert result.v == (0,)


@in_every_engine
def test_every_bin_up_to_the_last_event_has_a_pass_even_if_it_is_empty(run):
    # 0.75; 0.375; 0.1875 + 0.75
    result = run(one_neuron(0.75, tau_mem_us=HALVES), events((0, 0), (2 * MS, 0)), FIFO)
    assert result.v == (0.9375,)
    assert (result.passes, result.t_us, result.rows) == (3, 2 * MS, [])


@in_every_engine
def test_decay_without_input_multiplies_one_float32_factor_per_bin(run):
    factor, v = np.float32(math.exp(-1 / 3)), np.float32(0.7)
    for _ in range(9):
        v *= factor
    model = one_neuron(0.7, tau_mem_us=3.0 * MS)
    assert run(model, events((0, 0)), FIFO, duration_us=10 * MS).v == (v,)


@in_every_engine
def test_each_neuron_decays_with_a_separate_time_constant(run):
    neuron = LIF(tau_mem_us=np.array([HALVES, math.inf], np.float32), v_threshold=9.0)
    model = network([Population("a", (2,), neuron)], [dense(INPUT, "a", [[1], [1]])])
    expected = np.float32(math.exp(-MS / float(np.float32(HALVES))))
    assert run(model, events((0, 0)), FIFO, duration_us=2 * MS).v == (expected, 1)


@in_every_engine
def test_without_a_timestep_passes_are_at_event_times_and_decay_over_the_time_between(run):
    # pass 0 at 5 µs: 2 * 0.5; pass 1 at 12 µs: exp(-7 / 7) + 0.5
    model = one_neuron(0.5, tau_mem_us=7.0, v_threshold=9.0, timestep_us=0)
    result = run(model, events((5, 0), (5, 0), (12, 0)), FIFO)
    assert result.v == (np.float32(math.exp(-1)) + np.float32(0.5),)
    assert (result.passes, result.t_us) == (2, 12)


# 2. Bias


@in_every_engine
def test_bias_is_added_once_per_pass_and_evaluated_late(run):
    # 0.5; 1.0, not above 1; 1.5 fires in a separate forward step and resets
    model = one_neuron(0, bias=[0.5])
    result = run(model, events(), FIFO, duration_us=4 * MS)
    assert fired(result) == [(2, 1, 0)]
    assert result.m == (1.5,)
    assert result.v == (0.5,)


@in_every_engine
@pytest.mark.parametrize(
    ("biases", "v"), [((LARGE, 1, -LARGE), 0), ((LARGE, -LARGE, 1), 1), ((1, LARGE, -LARGE), 0)]
)
def test_biases_are_added_one_by_one_in_declared_order(run, biases, v):
    model = network([population("a", v_threshold=9.0)], [dense(INPUT, "a", 0, [b]) for b in biases])
    assert run(model, events(), FIFO, duration_us=1).v == (v,)


# 3. Input


@in_every_engine
def test_events_of_one_index_and_bin_are_one_slot_with_a_count(run):
    # 2 * 0.75 = 1.5 fires once
    result = run(one_neuron(0.75), events((0, 0), (999, 0)), FIFO)
    assert fired(result) == [(0, 0, 0)]
    assert opening(result) == [(1, 2, -1)]  # one neuron: input 0 is origin 1
    assert (result.input_events, result.synops, result.rounds) == (2, 2, 1)


@in_every_engine
def test_prioritised_input_is_delivered_in_ascending_index_for_any_event_times(run):
    result = run(one_neuron([[0, 0, 0]], inputs=3), events((1, 2), (2, 0), (3, 1)), FIFO)
    assert [origin for origin, _, _ in opening(result)] == [1, 2, 3]


@in_every_engine
def test_delayed_spikes_come_after_the_input_by_time_fired_connection_and_neuron(run):
    # a and b fire in passes 0 and 1. Due at 2 ms, in addition to input 0:
    # fired at 0 over connection 2 (2 ms); fired at 1 ms over connections 1 and 3 (1 ms).
    model = network(
        [population("a", 2), population("c", v_threshold=99.0)],
        [
            dense(INPUT, "a", [[2], [2]]),
            dense("a", "c", [[1, 1]], delay_us=1 * MS),
            dense("a", "c", [[1, 1]], delay_us=2 * MS),
            dense("a", "c", [[1, 1]], delay_us=1 * MS),
        ],
    )
    result = run(model, events((0, 0), (1 * MS, 0), (2 * MS, 0)), FIFO)
    due = [(0, 1, 2), (1, 1, 2), (0, 1, 1), (1, 1, 1), (0, 1, 3), (1, 1, 3)]
    assert opening(result, at=2) == [(3, 1, -1), *due]
    assert opening(result, at=1) == [(3, 1, -1), (0, 1, 1), (1, 1, 1), (0, 1, 3), (1, 1, 3)]
    # pass 1 brings 4, pass 2 brings 6; in flight: of pass 1, 2 for 3 ms; of pass 2, 6
    assert result.v[2] == 10
    assert result.undelivered == 8
    assert result.synops == 3 * 2 + 4 + 6


@in_every_engine
def test_two_spikes_of_a_neuron_in_one_pass_are_due_in_the_order_of_their_selection(run):
    # Neurons 0 to 2 fire at once; fifo takes 0 first. Then 1 makes it fire again, and 2 while
    # that spike waits: 0 is selected once with one spike, then with two.
    model = network(
        [population("a", 3, refractory=False), population("c", v_threshold=99.0)],
        [
            dense(INPUT, "a", [[2]] * 3),
            dense("a", "a", [[0, 2, 2], [0] * 3, [0] * 3]),
            dense("a", "c", [[1] * 3], delay_us=1 * MS),
        ],
    )
    result = run(model, events((0, 0)), FIFO, duration_us=1 * MS + 1)
    assert opening(result, at=1) == [(0, 1, 2), (0, 2, 2), (1, 1, 2), (2, 1, 2)]


@in_every_engine
def test_spikes_due_after_the_last_pass_are_dropped_and_counted(run):
    model = network(
        [population("a"), population("b")],
        [dense(INPUT, "a", 2), dense("a", "b", 2, delay_us=1 * MS)],
    )
    result = run(model, events((0, 0)), FIFO)
    assert fired(result) == [(0, 0, 0)]
    assert (result.undelivered, result.synops, result.label) == (1, 1, None)
    longer = run(model, events((0, 0)), FIFO, duration_us=1 * MS + 1)
    assert fired(longer) == [(0, 0, 0), (1, 0, 1)]
    assert (longer.undelivered, longer.synops, longer.label) == (0, 2, 0)


@in_every_engine
@pytest.mark.parametrize("input_mode", ["prioritised", "queued"])
def test_input_can_be_delayed_and_keeps_its_count(run, input_mode):
    model = network([population("a")], [dense(INPUT, "a", 0.75, delay_us=2 * MS)])
    result = run(model, events((0, 0), (1, 0)), FIFO, 1, input_mode, duration_us=3 * MS)
    assert fired(result) == [(2, 0, 0)]
    assert result.m == (1.5,)


@in_every_engine
def test_without_a_timestep_due_spikes_open_passes(run):
    # a fires at 0 and reaches b at 300; the event at 1000 is a pass as well
    model = network(
        [population("a"), population("b")],
        [dense(INPUT, "a", 2), dense("a", "b", 2, delay_us=300)],
        timestep_us=0,
    )
    result = run(model, events((0, 0), (1000, 0)), FIFO)
    assert [row[2:] for row in result.rows] == [(0, 0), (300, 1), (1000, 0)]
    assert (result.passes, result.undelivered) == (3, 1)


# The sample


@in_every_engine
def test_empty_sample_has_no_pass_unless_it_has_a_duration(run):
    result = run(one_neuron(0, bias=[2]), events(), FIFO)
    assert (result.passes, result.t_us, result.label, result.v) == (0, -1, None, (0,))
    assert run(one_neuron(0, bias=[2]), events(), FIFO, duration_us=3 * MS).passes == 3


@in_every_engine
def test_duration_ends_the_sample_before_input_that_comes_later(run):
    result = run(one_neuron(), events((0, 0), (3 * MS, 0)), FIFO, duration_us=3 * MS)
    assert (result.passes, result.input_events) == (3, 1)
