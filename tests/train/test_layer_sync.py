"""Training under layer-sync is what layered frameworks compute: spikes and gradients.

Here, layers are a plain loop in torch; see ``tests.helpers.plain_layers``.
"""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train import SpikingNetwork
from neuroasync.train.torch_engine.forward import run_torch_engine
from tests.helpers.plain_layers import PlainLayers
from tests.helpers.strategies import models, spike_trains

TIMESTEP_US = 1000


def run_compiled(network, batch, run_settings):
    """Run a batch through the runtime's kernels."""
    return network(batch, run_settings)


def run_torch(network, batch, run_settings):
    """Run a batch in plain torch, in float64."""
    network.double()
    packed = PackedNetwork(network.model)
    return run_torch_engine(network.packed(), packed, batch, run_settings, network.surrogate)


in_both_engines = pytest.mark.parametrize("run", [run_compiled, run_torch])


@st.composite
def cases(draw, **features):
    """Draw a network with its samples and run settings."""
    model = draw(models(timestep_us=TIMESTEP_US, **features))
    trains = [draw(spike_trains(model)) for _ in range(draw(st.integers(1, 3)))]
    group_size = draw(st.integers(1, 20))
    mode = draw(st.sampled_from(["prioritised", "queued"]))
    return model, trains, RunSettings(LayerSync(), group_size, mode, max_forward_steps=60)


def counts_of(model, train):
    """Return the input of a sample as counts [T, inputs]."""
    passes = int(train.t_us[-1]) // TIMESTEP_US + 1 if train.t_us.size else 0
    counts = np.zeros((passes, model.input_size))
    np.add.at(counts, (train.t_us // TIMESTEP_US, train.index), 1)
    return torch.from_numpy(counts)


def plain_results(model, trains):
    """Return votes and spikes of each sample, and the weights that they depend on."""
    layers = PlainLayers(model, torch.float64)
    runs = [layers.run(counts_of(model, train)) for train in trains]
    bounds = [*zip(model.starts, model.starts[1:], strict=False)]
    out = bounds[model.index(model.output)]
    votes = [run[:, out[0] : out[1]] for run in runs]
    spikes = [torch.stack([run[:, a:b].sum(1) for a, b in bounds], 1) for run in runs]
    return votes, spikes, layers.parameters


def check_same_as_plain_layers(run, case, direction=0):
    """Check equal spikes, and equal gradients up to 1e-5 of the largest."""
    model, trains, run_settings = case
    network = SpikingNetwork(model, device="cpu", threads=1)
    data = SpikeTrains.from_trains(trains, model.input_shape)
    batch = network.batch(data, range(len(trains)), range(len(trains)))
    try:
        result = run(network, batch, run_settings)
        votes, spikes, parameters = plain_results(model, trains)
    except ForwardStepLimitError:
        assume(False)
    generator = torch.Generator().manual_seed(direction)
    losses = [0.0, 0.0]
    for k, expected in enumerate(zip(votes, spikes, strict=True)):
        for actual, right in zip((result.votes[k], result.spikes[k]), expected, strict=True):
            assert torch.equal(actual[: len(right)].double(), right)
            assert not actual[len(right) :].any()
            towards = torch.randn(right.shape, generator=generator, dtype=torch.float64)
            losses[0] = losses[0] + (actual[: len(right)] * towards).sum()
            losses[1] = losses[1] + (right * towards).sum()
    flat = [x for pair in parameters for x in pair if x is not None]
    (losses[0] + 0 * network.values.sum()).backward()
    (losses[1] + 0 * sum(x.sum() for x in flat)).backward()
    event("has spikes" if any(x.any() for x in spikes) else "is silent")
    largest = max(float(x.grad.abs().max()) for x in flat if x.numel())
    for (weight, bias), pair in zip(network.parts(network.values.grad), parameters, strict=True):
        for gradient, parameter in zip((weight, bias), pair, strict=True):
            if parameter is not None and parameter.numel():
                assert (gradient - parameter.grad).abs().max() <= 1e-5 * largest


EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@in_both_engines
@EXAMPLES
@given(case=cases(), direction=st.integers(0, 9))
def test_any_network_fires_and_learns_as_plain_layers_do(run, case, direction):
    check_same_as_plain_layers(run, case, direction)


@in_both_engines
@EXAMPLES
@given(case=cases(recurrent=False, refractory=False, reset="subtract"))
def test_subtracting_resets_without_refractoriness_learn_as_plain_layers_do(run, case):
    check_same_as_plain_layers(run, case)


@in_both_engines
@EXAMPLES
@given(case=cases(delays=False, sync_threshold=False, refractory=True))
def test_loops_of_refractory_neurons_learn_as_plain_layers_do(run, case):
    check_same_as_plain_layers(run, case)
