"""Footprint, sparsity and synaptic operations, against plain matrices and the runtime."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, Random
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.connections import INPUT, Conv2d, Dense, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.errors import ForwardStepLimitError, RecordingError
from neuroasync.explain.synapses import weights_to
from neuroasync.metrics import (
    Workload,
    connection_sparsity,
    counted_workload,
    footprint,
    spike_density,
    summarise,
    workload,
)
from neuroasync.metrics.fan_out import fan_out, shape_of
from tests.helpers.hand_networks import MS, dense, events, network, population, sparse
from tests.helpers.recordings import (
    BUILT_IN,
    busy_trains,
    moderate,
    record,
    recordings,
    relay,
    relay_recording,
)
from tests.helpers.strategies import dyadic, models

FIFO = RunSettings(Fifo(), 1)


def matrix(model, c):
    """Return the weights [source, target] of a connection, synapse by synapse."""
    sources, targets = (math.prod(shape_of(model, name)) for name in (c.source, c.target))
    every = np.arange(sources)
    return np.stack([weights_to(model, c, every, j) for j in range(targets)], axis=1)


def operations_by_matrix(recording, model):
    """Compute effective ACs and MACs of all samples from the input vector of each pass."""
    r, operations = recording, [0, 0]
    for number, c in enumerate(model.connections):
        start = model.size if c.source == INPUT else model.starts[model.index(c.source)]
        weights = matrix(model, c) != 0
        for k in range(len(r)):
            for at in range(int(r.passes[k])):
                vector = np.zeros(weights.shape[0], int)
                of_pass = (r.delivered_sample == k) & (r.delivered_pass == at)
                for slot in np.flatnonzero(of_pass):
                    source = r.delivered_origin[slot] - start
                    by = number if c.delay_us else -1
                    if 0 <= source < vector.size and r.delivered_connection[slot] == by:
                        vector[source] += r.delivered_count[slot]
                operations[int((vector > 1).any())] += int((vector > 0) @ weights.sum(axis=1))
    return operations


def test_relay_workload_matches_the_hand_calculation():
    # Three input events of 2 targets each, in two passes. Spikes: hidden[0], hidden[1] (2 targets
    # each), out[0], out[1], then hidden[1], out[1]; outputs have no targets. So 6 + 6 = 12.
    # Non-zero weights: input to hidden, one per event: 3; hidden[0] to out: 1; hidden[1]: 2 x 2.
    # 6 of 8 (neuron, pass) pairs are active: four neurons fire in pass 0, two in pass 1.
    result = workload(relay_recording(), relay())
    assert result == Workload(
        samples=1, stopped=0, passes=2.0, activation_sparsity=0.25, synops=12.0,
        effective_acs=8.0, effective_macs=0.0, dense=2 * (4 + 4),
    )  # fmt: skip
    assert json.loads(json.dumps(result.to_json())) == result.to_json()


def test_two_events_of_one_input_are_one_multiply_accumulate():
    model = network([population("a", 3)], [dense(INPUT, "a", [[1, 1], [1, 0], [1, 1]])], inputs=2)
    bundle = Bundle(model)
    result = workload(record(bundle, [events((0, 0), (1, 0), (2, 1), (MS, 1))], FIFO), bundle)
    # Pass 0: input (2, 1), 3 + 2 weights, graded. Pass 1: input (0, 1), 2 weights.
    assert (result.effective_macs, result.effective_acs) == (5, 2)
    assert (result.synops, result.dense) == (4 * 3, 2 * 6)


def test_input_events_whose_values_add_up_to_0_take_no_operations():
    model = network([population("a", 3)], [dense(INPUT, "a", [[1, 1], [1, 0], [1, 1]])], inputs=2)
    bundle = Bundle(model)
    train = SpikeTrain([0, 0, 0, MS, MS], [0, 0, 1, 0, 1], [1, -1, 1, 0, 0.5])
    result = workload(record(bundle, [train], FIFO), bundle)
    # Pass 0: input (0, 1), 2 weights. Pass 1: input (0, 0.5), 2 weights, graded.
    assert (result.effective_acs, result.effective_macs) == (2, 2)


def test_neuron_that_fires_twice_in_a_pass_is_one_input():
    # With queued input and F = 1, a fires at each of the two events, and b receives its spikes.
    populations = [population("a", v_threshold=0.5, refractory=False), population("b")]
    model = network(populations, [dense(INPUT, "a", 1.0), dense("a", "b", 0.25)])
    bundle, train = Bundle(model), events((0, 0), (1, 0))
    recording = record(bundle, [train], RunSettings(Fifo(), 1, "queued"))
    assert recording.neuron.tolist() == [0, 0]
    result = workload(recording, bundle)
    assert result.activation_sparsity == 0.5  # a fired, b did not
    assert (result.effective_macs, result.effective_acs, result.synops) == (2, 0, 4)


def test_delayed_spike_is_an_input_of_the_pass_in_which_it_arrives():
    model = network(
        [population("a", v_threshold=0.5), population("b")],
        [dense(INPUT, "a", 1.0), dense("a", "b", 0.25, delay_us=MS), dense("a", "b", 0.0)],
    )
    bundle = Bundle(model)
    recording = record(bundle, [events((0, 0), (MS, 0))], FIFO)
    result = workload(recording, bundle)
    # There are two inputs. The first spike of a arrives in pass 1, and its second is dropped. Over
    # the connection without delay both arrive, but its weight is 0.
    assert (result.effective_acs, result.synops, result.dense) == (3, 5, 6)


def test_stopped_sample_counts_only_passes_that_ran():
    bundle = relay()
    stopped = record(bundle, [events((0, 0), (0, 1), (MS, 1))], RunSettings(Fifo(), 1))
    assert workload(stopped, bundle).stopped == 0
    rule = RunSettings(Fifo(), 1).with_changes(until="first-spike")
    result = workload(record(bundle, [events((0, 0), (0, 1), (MS, 1))], rule), bundle)
    # It ends in pass 0 when hidden[1] has been delivered; no output spike was delivered.
    assert (result.stopped, result.passes, result.dense) == (1, 1, 8)
    assert (result.effective_acs, result.synops, result.activation_sparsity) == (5, 8, 0.0)


def test_empty_recording_has_no_means():
    bundle = relay()
    nothing = workload(record(bundle, [], FIFO), bundle)
    assert nothing == Workload(0, 0, *[None] * 6)
    assert counted_workload([], bundle.model, []) == nothing


def test_recording_of_another_bundle_is_rejected():
    other = Bundle(network([population("a", 4)], [dense(INPUT, "a", np.ones((4, 2)))], inputs=2))
    with pytest.raises(
        RecordingError, match=r"^the recording was made with the bundle with digest"
    ):
        workload(relay_recording(), other)


@given(made=recordings())
@moderate(60)
def test_operations_match_matrix_products(made):
    bundle, recording = made
    result, samples = workload(recording, bundle), max(len(recording), 1)
    acs, macs = operations_by_matrix(recording, bundle.model)
    assert ((result.effective_acs or 0) * samples, (result.effective_macs or 0) * samples) == (
        pytest.approx(acs), pytest.approx(macs),
    )  # fmt: skip
    dense_ = sum(_dense(bundle.model, c) for c in bundle.model.connections)
    assert (result.dense or 0) * samples == pytest.approx(dense_ * recording.passes.sum())


def _dense(model, c):
    """Count all weights times inputs; for a convolution, all taps that lie over an input."""
    if not isinstance(c, Conv2d):
        return math.prod(shape_of(model, c.source)) * math.prod(shape_of(model, c.target))
    ones = Conv2d(c.source, c.target, np.ones_like(c.weight), c.stride, c.padding)
    return int(np.count_nonzero(matrix(model, ones)))


@given(model=models(dyadic()))
@moderate(60)
def test_fan_out_matches_single_synapses(model):
    for c in model.connections:
        result = fan_out(model, c)
        assert result.effective.tolist() == np.count_nonzero(matrix(model, c), axis=1).tolist()
        assert (result.synapses >= result.effective).all()
        assert result.synapses.sum() <= result.dense == _dense(model, c)


no_zeros = st.integers(1, 64).map(lambda k: k / 64)


@given(data=st.data(), model=models(no_zeros, refractory=True))
@moderate(60)
def test_operations_equal_synops_without_zeros_and_repeats(data, model):
    # Keep at most one event per index and bin.
    train = data.draw(busy_trains(model))
    unit = max(model.timestep_us, 1)
    _, kept = np.unique(np.stack((train.t_us // unit, train.index)), axis=1, return_index=True)
    kept = np.sort(kept)
    train = type(train)(train.t_us[kept], train.index[kept])
    bundle = Bundle(model)
    recording = record(bundle, [train], RunSettings(Random(), 2))
    result = workload(recording, bundle)
    assert result.effective_acs == recording.synops[0] == result.synops
    assert result.effective_macs == 0


@given(data=st.data(), model=models(st.one_of(no_zeros, dyadic(-8, 8))))
@moderate(80)
def test_counted_workload_is_exact_where_it_has_values(data, model):
    bundle, run = Bundle(model), RunSettings(Random(), 2, max_forward_steps=60)
    trains = [data.draw(busy_trains(model)) for _ in range(2)]
    try:
        exact = workload(record(bundle, trains, run), bundle)
    except ForwardStepLimitError:
        return
    simulator = Simulator(ExecutionPlan(PackedNetwork(model), run))
    decisions = [run_sample(simulator, train, k) for k, train in enumerate(trains)]
    counted = counted_workload(decisions, model, iter(trains)).to_json()
    known = {name: value for name, value in counted.items() if value is not None}
    assert known == {name: exact.to_json()[name] for name in known}
    assert {"samples", "passes", "synops", "dense"} <= set(known)


def test_counted_workload_is_none_where_counts_are_not_enough():
    bundle = relay()  # has weights of 0
    simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), FIFO))
    train = events((0, 0), (0, 1))
    result = counted_workload([run_sample(simulator, train)], bundle.model, [train])
    assert (result.effective_acs, result.effective_macs) == (None, None)
    assert result.activation_sparsity == 0.0
    looser = network([population("a", refractory=False)], [dense(INPUT, "a", 1.0)])
    simulator = Simulator(ExecutionPlan(PackedNetwork(looser), FIFO))
    train = events((0, 0))
    result = counted_workload([run_sample(simulator, train)], looser, [train])
    assert result.activation_sparsity is None


def test_numbers_of_inputs_and_decisions_must_match():
    with pytest.raises(ValueError, match=r"^`events` must have one sample per decision, 0, got 1"):
        counted_workload([], relay().model, [events((0, 0))])


def test_footprint_matches_the_hand_calculation():
    neuron = LIF(tau_mem_us=np.full(3, 100.0), v_threshold=0.5)
    model = Model(
        MS, (2,), (Population("a", (3,), neuron), Population("b", (2,))),
        (
            Dense(INPUT, "a", np.zeros((3, 2)), bias=np.ones(3)),
            sparse("a", "b", 3, [(0, 1, 0.5), (2, 0, 0.25)]),
        ),
        "b",
    )  # fmt: skip
    result = footprint(model)
    assert result.weights == 4 * (6 + 3 + 2)
    assert result.indices == 4 * (4 + 2)  # indptr of 3 sources, 2 indices, int32
    assert result.neurons == 4 * (
        3 + 1 + 2
    )  # three time constants and one threshold in a; one of each in b
    assert result.state == 4 * 5
    assert result.total == 44 + 24 + 24 + 20
    # 6 of 6 dense weights are 0, and 4 of 6 possible sparse synapses do not exist: 10 of 12.
    assert connection_sparsity(model) == pytest.approx(10 / 12)


def test_connection_without_synapses_has_sparsity_1():
    unconnected = network([population("a")], [sparse(INPUT, "a", 1, [])])
    assert connection_sparsity(unconnected) == 1.0


@given(model=models(dyadic(-2, 2), kinds=("dense",), delays=False, bias=False))
@moderate(40)
def test_pruned_network_has_the_same_sparsity_dense_or_sparse(model):
    pruned = tuple(_pruned(c) for c in model.connections)
    other = Model(model.timestep_us, model.input_shape, model.populations, pruned, model.output)
    assert connection_sparsity(other) == connection_sparsity(model)
    assert [fan_out(other, c).dense for c in pruned] == [
        fan_out(model, c).dense for c in model.connections
    ]


def _pruned(c):
    """Return the dense connection as a sparse one without its zeros."""
    source, target = np.nonzero(c.weight.T)
    indptr = np.searchsorted(source, np.arange(c.weight.shape[1] + 1))
    return Sparse(c.source, c.target, indptr, target, c.weight[target, source])


@given(made=recordings(policies=BUILT_IN, rules=("quiet",)))
@moderate(30)
def test_density_times_neurons_is_the_number_of_spikes(made):
    bundle, recording = made
    simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), FIFO))
    decisions = []
    for k in range(len(recording)):
        try:
            decisions.append(run_sample(simulator, recording.events(k)))
        except ForwardStepLimitError:
            return
    density = spike_density(summarise(decisions), bundle.model)
    total = sum(density[p.name] * p.size for p in bundle.model.populations) if density else 0
    assert total * len(decisions) == pytest.approx(sum(d.total_spikes for d in decisions))
