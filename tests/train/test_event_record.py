"""The event record has the same spikes and gradients as the torch engine in float64."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bench.torch_engine.forward import run_torch_engine
from neuroasync.core.engine.policies import Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.stop_rules import parse_stop_rule
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.connections import Dense, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train import Surrogate, make_batch
from neuroasync.train.autograd_function import run_event_record
from neuroasync.train.event_record import EventRecordRunner
from neuroasync.train.neurons.learned import LEARNABLE, LearnedParameters
from tests.helpers.gradients import check_gradients, random_terms
from tests.helpers.training_runs import SURROGATES, runs


def both(model, batch, run_settings, surrogate, dropout=0.0, direction=0, learn=()):
    """Return outputs, parameters and terms of a random loss, from the event record and from torch.

    The parameters are the weights, and the learned factors of neurons. ``learn`` has the names of
    those, and how many of them a population has.
    """
    learned = LearnedParameters(model, *learn) if learn else None
    recorder = EventRecordRunner(learned.model if learned else model, 1, learned)
    flat = recorder.packed.arrays.weights
    logs = np.random.default_rng(direction).integers(-8, 8, learned.size if learned else 0) / 16
    results = []
    for dtype in (torch.float32, torch.float64):
        weights = torch.from_numpy(flat.copy()).to(dtype).requires_grad_()
        factors = torch.from_numpy(logs).to(dtype).requires_grad_()
        given = factors if learned else None
        if dtype == torch.float32:
            out = run_event_record(
                weights, recorder, batch, run_settings, surrogate, dropout, given
            )
        else:
            out = run_torch_engine(
                weights, recorder.packed, batch, run_settings, surrogate, dropout, learned, given
            )
        terms = random_terms((out.votes, out.spikes, out.potentials), direction)
        loss = sum(y.sum() for y in terms) + 0 * (weights.sum() + factors.sum())
        loss.backward(retain_graph=True)
        results.append((out, (weights, factors), terms))
    return results


def check_same(model, batch, run_settings, surrogate, dropout=0.0, direction=0, learn=()):
    """Check that a batch has the same results and gradients as in the reference."""
    try:
        (record, found, _), (reference, expected, terms) = both(
            model, batch, run_settings, surrogate, dropout, direction, learn
        )
    except ForwardStepLimitError:
        assume(False)
    assert np.array_equal(record.votes.detach().numpy(), reference.votes.detach().numpy())
    assert np.array_equal(record.spikes.detach().numpy(), reference.spikes.detach().numpy())
    assert record.labels.tolist() == reference.labels.tolist()
    assert (record.potentials is None) == (reference.potentials is None)
    if record.potentials is not None:
        assert np.array_equal(
            record.potentials.detach().numpy(), reference.potentials.detach().numpy()
        )
    check_gradients(found, expected, terms)


EXAMPLES = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@EXAMPLES
@given(case=runs(), surrogate=st.sampled_from(SURROGATES), direction=st.integers(0, 9))
def test_gradients_on_any_network_match_the_torch_engine(case, surrogate, direction):
    check_same(*case, surrogate, direction=direction)


@EXAMPLES
@given(case=runs(recurrent=False, refractory=False), direction=st.integers(0, 9))
def test_gradients_without_refractoriness_match_the_torch_engine(case, direction):
    check_same(*case, Surrogate(), direction=direction)


@EXAMPLES
@given(case=runs(recurrent=False, refractory=True), dropout=st.sampled_from([0.3, 1.0]))
def test_gradients_with_refractory_dropout_match_the_torch_engine(case, dropout):
    check_same(*case, Surrogate(), dropout)


@EXAMPLES
@given(
    case=runs(max_populations=3, extended=True),
    surrogate=st.sampled_from(SURROGATES),
    direction=st.integers(0, 9),
)
def test_gradients_of_any_neuron_match_the_torch_engine(case, surrogate, direction):
    check_same(*case, surrogate, direction=direction)


@EXAMPLES
@given(
    case=runs(recurrent=False, refractory=False, extended=True), dropout=st.sampled_from([0.0, 0.5])
)
def test_gradients_of_any_neuron_that_fires_repeatedly_match_the_torch_engine(case, dropout):
    check_same(*case, Surrogate(), dropout)


@EXAMPLES
@given(
    case=runs(max_populations=3, extended=True),
    learn=st.sampled_from([("threshold",), ("tau_mem",), ("tau_syn",), LEARNABLE]),
    per=st.sampled_from(["population", "neuron"]),
    direction=st.integers(0, 9),
)
def test_gradients_of_learned_parameters_match_the_torch_engine(case, learn, per, direction):
    try:
        LearnedParameters(case[0], learn, per)
    except ValueError:
        assume(False)
    check_same(*case, Surrogate(), direction=direction, learn=(learn, per))


def test_gradients_whose_terms_cancel_out_match_the_torch_engine():
    first, second = (
        LIF(tau_us, 1 / 64, refractory=False, reset_delayed=True) for tau_us in (100.0, math.inf)
    )
    connections = (
        Sparse("input", "a", np.array([0, 1, 2]), np.array([0, 1]), np.zeros(2)),
        Dense("a", "b", np.array([[21 / 32, 0], [3 / 64, 0]]), delay_us=2),
    )
    model = Model(1, (2,), (Population("a", (2,), first), Population("b", (2,), second)),
                  connections, "b")  # fmt: skip
    trains = [SpikeTrain(np.array([1, 1, 2, 2]), np.zeros(4, int)), SpikeTrain([], [])]
    batch = make_batch(model, SpikeTrains.from_trains(trains, (2,)), [0, 1], [0, 0], duration_us=4)
    (_, (weights, _), terms), _ = both(model, batch, RunSettings(group_size=1), Surrogate())
    largest = max(
        float(torch.autograd.grad(term, weights, retain_graph=True)[0].abs().max())
        for term in torch.cat([y.ravel() for y in terms])
    )
    assert 0 < weights.grad.abs().max() < largest / 100
    check_same(model, batch, RunSettings(group_size=1), Surrogate())
    wrong = weights.detach().clone()
    wrong.grad = weights.grad + largest / 1000
    with pytest.raises(AssertionError):
        check_gradients([wrong], [weights], terms)


def test_gradients_far_from_the_threshold_match_the_torch_engine():
    neuron = LIF(math.inf, 1 / 64, sync_threshold=1, reset_delayed=True, tau_syn_us=math.inf)
    connections = (
        Dense("a", "a", np.zeros((2, 2)), bias=np.array([21 / 32, 29 / 64])),
        Dense("input", "a", np.array([[0, 0], [0, 31 / 32]]), delay_us=3),
    )
    model = Model(1, (2,), (Population("a", (2,), neuron),), connections, "a")
    trains = [SpikeTrain([], []), SpikeTrain(np.array([0, 0]), np.array([1, 1]))]
    batch = make_batch(model, SpikeTrains.from_trains(trains, (2,)), [0, 1], [0, 0], duration_us=4)
    surrogate = Surrogate("sigmoid", 4.0)
    (_, (weights, _), terms), _ = both(model, batch, RunSettings(group_size=1), surrogate)
    assert 0 < weights.grad.abs().max() < 1e-6
    check_same(model, batch, RunSettings(group_size=1), surrogate)
    wrong = weights.detach().clone()
    wrong.grad = 1.001 * weights.grad
    with pytest.raises(AssertionError):
        check_gradients([wrong], [weights], terms)


def test_logs_grow_without_losing_spikes_or_gradients():
    rng = np.random.default_rng(0)
    lif = LIF(v_threshold=0.05)
    sizes, names = (40, 60, 60, 10), ("input", "a", "b", "c")
    populations = tuple(Population(n, (k,), lif) for n, k in zip(names[1:], sizes[1:], strict=True))
    connections = tuple(
        Dense(names[k], names[k + 1], rng.integers(-32, 64, (sizes[k + 1], sizes[k])) / 64)
        for k in range(3)
    )
    model = Model(1000, (40,), populations, connections, "c")
    t_us = np.repeat(np.arange(40) * 1000, 100)
    trains = [SpikeTrain(t_us, rng.integers(0, 40, t_us.size)) for _ in range(3)]
    data = SpikeTrains.from_trains(trains, (40,))
    run_settings = RunSettings(Random(), 3)
    batch = make_batch(model, data, [0, 1, 2] * 8, range(24))
    recorder = EventRecordRunner(model, threads=2)
    weights = recorder.packed.arrays.weights
    rows, total = [], np.zeros(weights.size)
    for k in range(24):
        one = make_batch(model, data, [k % 3], [k])
        record = recorder.run(weights, one, run_settings)
        votes, spikes = np.ones_like(record.votes), np.zeros_like(record.spikes)
        total += recorder.backward(record, votes, spikes, record.potentials, (0, 1.5))[0]
        rows += [record.rows()[0].copy()]
        del record
    recorder = EventRecordRunner(model, threads=2)
    record = recorder.run(weights, batch, run_settings)
    assert sum(len(r) for r in rows[:3]) > 2 * 2048 + 130  # initial capacity of a chunk's log
    assert all(np.array_equal(a, b) for a, b in zip(rows, record.rows(), strict=True))
    votes, spikes = np.ones_like(record.votes), np.zeros_like(record.spikes)
    grad = recorder.backward(record, votes, spikes, record.potentials, (0, 1.5))[0]
    assert np.abs(grad - total).max() <= 1e-5 * np.abs(total).max()


def test_two_records_of_one_network_do_not_disturb_each_other():
    rng = np.random.default_rng(0)
    connection = Dense("input", "a", rng.integers(-64, 64, (6, 8)) / 64)
    model = Model(1000, (8,), (Population("a", (6,)),), (connection,), "a")
    trains = [
        SpikeTrain(np.sort(rng.integers(0, 3000, 30)), rng.integers(0, 8, 30)) for _ in range(2)
    ]
    data = SpikeTrains.from_trains(trains, (8,))
    recorder, run_settings = EventRecordRunner(model, threads=1), RunSettings()
    weights = torch.from_numpy(recorder.packed.arrays.weights.copy()).requires_grad_()
    alone = []
    for k in range(2):
        out = run_event_record(
            weights, recorder, make_batch(model, data, [k], [0]), run_settings, Surrogate()
        )
        alone.append(torch.autograd.grad(out.votes.sum(), weights)[0])
    outs = [
        run_event_record(
            weights, recorder, make_batch(model, data, [k], [0]), run_settings, Surrogate()
        )
        for k in range(2)
    ]
    together = torch.autograd.grad(sum(out.votes.sum() for out in outs), weights)[0]
    assert torch.allclose(together, alone[0] + alone[1])


class Latest:
    """A custom policy, which the trainer does not support."""

    def order(self, pending, group_size):
        return range(len(pending.index))


@pytest.mark.parametrize(
    ("run_settings", "message"),
    [
        (RunSettings(Latest()), "`policy` must be built in, got Latest"),
        (RunSettings(until=parse_stop_rule("margin(3)")), "`until` must be 'quiet', got "),
        (RunSettings(until=lambda state: True), "`until` must be 'quiet', got "),
    ],
)
def test_settings_that_need_the_runtime_are_refused(run_settings, message):
    connection = Dense("input", "a", np.ones((1, 1)))
    model = Model(1000, (1,), (Population("a", (1,)),), (connection,), "a")
    data = SpikeTrains.from_trains([SpikeTrain([0], [0])], (1,))
    recorder, batch = EventRecordRunner(model, threads=1), make_batch(model, data, [0], [0])
    with pytest.raises(ValueError, match=re.escape(message)):
        recorder.run(recorder.packed.arrays.weights, batch, run_settings)


def test_changing_the_weights_in_place_before_the_backward_pass_is_an_error():
    connection = Dense("input", "a", np.ones((1, 1)))
    model = Model(1000, (1,), (Population("a", (1,)),), (connection,), "a")
    data = SpikeTrains.from_trains([SpikeTrain(np.array([0]), np.array([0]))], (1,))
    recorder = EventRecordRunner(model, threads=1)
    weights = torch.from_numpy(recorder.packed.arrays.weights.copy()).requires_grad_()
    batch = make_batch(model, data, [0], [0])
    out = run_event_record(weights, recorder, batch, RunSettings(), Surrogate())
    with torch.no_grad():
        weights += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.votes.sum().backward()


def test_batches_sort_events_and_end_where_the_runtime_does():
    model = Model(
        1000, (9,), (Population("a", (1,)),), (Dense("input", "a", np.ones((1, 9))),), "a"
    )
    trains = [
        SpikeTrain(np.array([0, 0, 2500]), np.array([5, 2, 1])),
        SpikeTrain(np.array([], int), np.array([], int)),
    ]
    data = SpikeTrains.from_trains(trains, (9,))
    batch = make_batch(model, data, [1, 0], [7, 8])
    assert batch.index.tolist() == [2, 5, 1]
    assert batch.offsets.tolist() == [0, 0, 3]
    assert batch.passes.tolist() == [0, 3]
    assert make_batch(model, data, [1, 0], [7, 8], duration_us=2000).passes.tolist() == [2, 2]
    assert make_batch(model, data, [0], [7], duration_us=2000).index.tolist() == [2, 5]


def test_input_dropout_drops_its_share_of_the_events_but_no_passes():
    model = Model(
        1000, (9,), (Population("a", (1,)),), (Dense("input", "a", np.ones((1, 9))),), "a"
    )
    train = SpikeTrain(np.sort(np.arange(4000) % 5000), np.zeros(4000, int))
    data = SpikeTrains.from_trains([train] * 2, (9,))
    batch = make_batch(model, data, [0, 1], [7, 8], dropout=0.25)
    assert len(batch.index) == pytest.approx(6000, rel=0.03)
    assert batch.passes.tolist() == [4, 4]
    first, second = (batch.t_us[a:b].tolist() for a, b in pairwise(batch.offsets))
    assert first != second
