"""Training under layer-sync is what layered frameworks compute: spikes and gradients.

Here, layers are a plain loop in torch; see ``tests.helpers.plain_layers``.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bench.torch_engine.forward import run_torch_engine
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.connections import Conv2d, Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train import SpikingNetwork
from tests.helpers.plain_layers import PlainLayers
from tests.helpers.strategies import dyadic, models, spike_trains

TIMESTEP_US = 1000


def run_compiled(network, batch, run_settings):
    """Run a batch through the runtime's kernels."""
    return network(batch, run_settings)


def run_torch(network, batch, run_settings):
    """Run a batch in plain torch, in float64."""
    network.double()
    packed = PackedNetwork(network.model, contiguous=True)
    return run_torch_engine(network.packed(), packed, batch, run_settings, network.surrogate)


in_both_engines = pytest.mark.parametrize("run", [run_compiled, run_torch])


@st.composite
def cases(draw, **features):
    """Draw a network with its samples and run settings."""
    model = draw(models(dyadic(-40, 64), timestep_us=TIMESTEP_US, **features))
    trains = [draw(spike_trains(model, max_events=40)) for _ in range(draw(st.integers(1, 3)))]
    group_size = draw(st.integers(1, 20))
    mode = draw(st.sampled_from(["prioritised", "queued"]))
    return model, trains, RunSettings(LayerSync(), group_size, mode, max_forward_steps=60)


def counts_of(model, train):
    """Return the input of a sample as counts [T, inputs]."""
    passes = int(train.t_us[-1]) // TIMESTEP_US + 1 if train.t_us.size else 0
    counts = np.zeros((passes, model.input_size))
    np.add.at(counts, (train.t_us // TIMESTEP_US, train.index), 1)
    return torch.from_numpy(counts).float()


def plain_results(model, trains, max_steps):
    """Return votes and spikes of each sample, and the layers that computed them."""
    layers = PlainLayers(model, max_steps)
    runs = [layers.run(counts_of(model, train)) for train in trains]
    bounds = [*zip(model.starts, model.starts[1:], strict=False)]
    out = bounds[model.index(model.output)]
    votes = [run[:, out[0] : out[1]] for run in runs]
    spikes = [torch.stack([run[:, a:b].sum(1) for a, b in bounds], 1) for run in runs]
    return votes, spikes, layers


def check_same_as_plain_layers(run, case, direction=0):
    """Check equal spikes, and equal gradients up to the precision of float32.

    Returns:
        The number of votes, and of turns of populations that had one in the same pass before.
    """
    model, trains, run_settings = case
    network = SpikingNetwork(model, device="cpu", threads=1)
    data = SpikeTrains.from_trains(trains, model.input_shape)
    batch = network.batch(data, range(len(trains)), range(len(trains)))
    try:
        result = run(network, batch, run_settings)
        votes, spikes, layers = plain_results(model, trains, run_settings.max_forward_steps)
    except ForwardStepLimitError:
        assume(False)
    generator = torch.Generator().manual_seed(direction)
    losses = [0.0, 0.0]
    for k, expected in enumerate(zip(votes, spikes, strict=True)):
        for actual, right in zip((result.votes[k], result.spikes[k]), expected, strict=True):
            assert torch.equal(actual[: len(right)].float(), right)
            assert not actual[len(right) :].any()
            towards = torch.randn(right.shape, generator=generator)
            losses[0] = losses[0] + (actual[: len(right)] * towards).sum()
            losses[1] = losses[1] + (right * towards).sum()
    flat = [x for pair in layers.parameters for x in pair if x is not None]
    (losses[0] + 0 * network.values.sum()).backward()
    (losses[1] + 0 * sum(x.sum() for x in flat)).backward()
    # Gradients of float32 may cancel out, so that the largest one is small.
    largest = max((float(x.grad.abs().max()) for x in flat if x.numel()), default=0.0)
    tolerance = 1e-5 * max(1.0, largest)
    for (weight, bias), pair in zip(
        network.parts(network.values.grad), layers.parameters, strict=True
    ):
        for gradient, parameter in zip((weight, bias), pair, strict=True):
            if parameter is not None and parameter.numel():
                assert (gradient - parameter.grad).abs().max() <= tolerance
    return sum(int(x.sum()) for x in votes), layers.repeated_turns


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


def looping_network(rng, reset, refractory, has_bias):
    """Return a network with convolutions, skip connections, back edges and a delay."""
    lif = LIF(tau_mem_us=5000.0, v_threshold=0.75, reset=reset, refractory=refractory)
    shapes = {"input": (2, 5, 4), "a": (3, 3, 4), "b": (8,), "c": (6,), "output": (4,)}
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}

    def weights(*shape, low=-16, high=32):
        return (rng.integers(low, high, shape) / 64).astype(np.float32)

    def dense(source, target, high=24, delay_us=0):
        """Return a connection. The lower ``high`` is, the more it inhibits."""
        weight = weights(sizes[target], sizes[source], high=high)
        return Dense(source, target, weight, bias(sizes[target]), delay_us)

    def bias(n):
        return weights(n, low=-8, high=16) if has_bias else None

    connections = (
        Conv2d("input", "a", weights(3, 2, 3, 3), (2, 1), (1, 1), bias(3)),
        dense("a", "b"),
        dense("b", "c"),
        dense("c", "output", 40),
        dense("input", "c"),  # skips
        dense("a", "output"),
        dense("b", "b", -4),  # back edges
        dense("c", "a", 4),
        dense("output", "b", 0),
        dense("output", "a", 16, delay_us=2000),
    )
    populations = [Population(name, shape, lif) for name, shape in [*shapes.items()][1:]]
    return Model(TIMESTEP_US, shapes["input"], tuple(populations), connections, "output")


@in_both_engines
@pytest.mark.parametrize("mode", ["prioritised", "queued"])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("refractory", [False, True])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_skips_and_loops_fire_and_learn_as_plain_layers_do(run, reset, refractory, has_bias, mode):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        model = looping_network(rng, reset, refractory, has_bias)
        trains = [
            SpikeTrain(np.sort(rng.integers(0, 6000, events)), rng.integers(0, 40, events))
            for events in (60, 0, 200)
        ]
        case = (model, trains, RunSettings(LayerSync(), 3, mode, max_forward_steps=1000))
        votes, turns = check_same_as_plain_layers(run, case, seed)
        assert votes > 10
        assert turns > 20  # Turns that are not the first of their population in a pass
