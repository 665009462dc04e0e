"""The event record against the plain torch formulation in float64: spikes and gradients."""

import numpy as np
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import models, spike_trains

from neuroasync.errors import ForwardStepLimitError
from neuroasync.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.settings import RunSettings
from neuroasync.spikes import SpikeTrains
from neuroasync.train import Surrogate, make_batch
from neuroasync.train.dense import run_dense
from neuroasync.train.function import run_record
from neuroasync.train.record import Recorder

SURROGATES = [Surrogate(), Surrogate("fast-sigmoid", 2.0), Surrogate("sigmoid", 4.0)]
POLICIES = [LayerSync(), Random(), Momentum(), Momentum(noise=0.5), Fifo()]


@st.composite
def runs(draw, **features):
    model = draw(models(**features))
    assume(model.timestep_us or not any(c.delay_us for c in model.connections))
    trains = [draw(spike_trains(model)) for _ in range(draw(st.integers(1, 3)))]
    seeds = [draw(st.integers(0, 2**64 - 1)) for _ in trains]
    data = SpikeTrains.from_trains(trains, model.input_shape)
    how = RunSettings(
        draw(st.sampled_from(POLICIES)),
        draw(st.integers(1, 20)),
        draw(st.sampled_from(["prioritised", "queued"])),
        max_forward_steps=60,
    )
    duration = draw(st.sampled_from([None, 4 * (model.timestep_us or 500)]))
    return model, make_batch(model, data, range(len(trains)), seeds, duration), how


def both(model, batch, how, surrogate, dropout=0.0, direction=0):
    """Outputs and gradient of a random loss, by the event record and by plain torch."""
    recorder = Recorder(model, threads=1)
    flat = recorder.wiring.wires.weights
    results = []
    for run, dtype, extra in (
        (run_record, torch.float32, recorder),
        (run_dense, torch.float64, recorder.wiring),
    ):
        weights = torch.from_numpy(flat.copy()).to(dtype).requires_grad_()
        out = run(weights, extra, batch, how, surrogate, dropout)
        rng = np.random.default_rng(direction)
        loss = (out.votes * torch.from_numpy(rng.normal(size=out.votes.shape))).sum()
        loss = loss + (out.spikes * torch.from_numpy(rng.normal(size=out.spikes.shape))).sum()
        (loss + 0 * weights.sum()).backward()  # where nothing depends on a weight
        results.append((out, weights.grad.double().numpy()))
    return results


def check_same(model, batch, how, surrogate, dropout=0.0, direction=0):
    try:
        (record, grad), (dense, expected) = both(model, batch, how, surrogate, dropout, direction)
    except ForwardStepLimitError:
        assume(False)
    assert np.array_equal(record.votes.detach().numpy(), dense.votes.detach().numpy())
    assert np.array_equal(record.spikes.detach().numpy(), dense.spikes.detach().numpy())
    assert record.labels.tolist() == dense.labels.tolist()
    worst = np.abs(grad - expected).max(initial=0)
    assert worst <= 1e-5 * np.abs(expected).max(initial=0)


EXAMPLES = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@EXAMPLES
@given(case=runs(), surrogate=st.sampled_from(SURROGATES), direction=st.integers(0, 9))
def test_gradients_on_any_network_are_those_of_plain_torch(case, surrogate, direction):
    check_same(*case, surrogate, direction=direction)


@EXAMPLES
@given(case=runs(recurrent=False, refractory=False), direction=st.integers(0, 9))
def test_gradients_without_refractoriness_are_those_of_plain_torch(case, direction):
    check_same(*case, Surrogate(), direction=direction)


@EXAMPLES
@given(case=runs(recurrent=False, refractory=True), dropout=st.sampled_from([0.3, 1.0]))
def test_gradients_with_refractory_dropout_are_those_of_plain_torch(case, dropout):
    check_same(*case, Surrogate(), dropout)
