"""Under layer-sync, training a layered network equals backpropagation through time (BPTT)."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, linear

from neuroasync.core.engine.policies import LayerSync, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.connections import Conv2d, Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.core.model.topology import parse_topology
from neuroasync.train import SpikingNetwork

TIMESTEPS, SAMPLES = 6, 5


class ArctanSpike(torch.autograd.Function):
    """A spike with the derivative of the arctangent as surrogate gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + (1.5 * x) ** 2)


def plain_bptt(x, layers, threshold, decay, is_subtract):
    """Run ordinary LIF layers over [T, B, ...].

    Returns:
        Output spikes [T, B, classes], and the number of spikes [T, B, layers] of each layer.
    """
    potentials = [0.0] * len(layers)
    outputs, counts = [], []
    for now in x:
        totals = []
        for k, layer in enumerate(layers):
            v = decay * potentials[k] + layer(now)
            now = ArctanSpike.apply(v - threshold)
            fired = now.detach()
            potentials[k] = v - threshold * fired if is_subtract else v * (1 - fired)
            totals.append(now.flatten(1).sum(1))
        outputs.append(now)
        counts.append(torch.stack(totals, 1))
    return torch.stack(outputs), torch.stack(counts)


def dense_model(rng, sizes, threshold, tau, has_bias, reset):
    """Return a feed-forward model with random dyadic weights."""
    lif = LIF(tau_mem_us=tau, v_threshold=threshold, reset=reset)
    names = ["input", *(f"layer{k}" for k in range(1, len(sizes)))]
    connections = [
        Dense(a, b, dyadic(rng, (n, m)), dyadic(rng, (n,)) if has_bias else None)
        for (a, m), (b, n) in pairwise(zip(names, sizes, strict=True))
    ]
    populations = [Population(b, (n,), lif) for b, n in zip(names[1:], sizes[1:], strict=True)]
    return Model(1000, (sizes[0],), tuple(populations), tuple(connections), names[-1])


def dyadic(rng, shape, scale=24):
    """Return random numbers that are exact in float32, in multiples of 1/64."""
    return (np.round(rng.normal(size=shape) * scale) / 64).astype(np.float32)


def samples(rng, shape, rate):
    """Return the same input as events and as counts [T, B, *shape]. Some bins are empty."""
    counts = rng.poisson(rate, (TIMESTEPS, SAMPLES, math.prod(shape)))
    counts[1] = 0
    counts[:, 0] = 0  # One sample is silent,
    counts[-1, :, 0] = 1  # but as long as the others.
    trains = []
    for b in range(SAMPLES):
        t, i = np.nonzero(counts[:, b])
        times = counts[t, b, i]
        trains.append(SpikeTrain(np.repeat(t, times) * 1000, np.repeat(i, times)))
    x = torch.from_numpy(counts.reshape(TIMESTEPS, SAMPLES, *shape)).double()
    return SpikeTrains.from_trains(trains, shape), x


def check_same(model, layers, parameters, data, x, run_settings, seed):
    """Check equal outputs, and equal gradients up to 1e-5 of the largest."""
    network = SpikingNetwork(model, device="cpu")
    result = network(network.batch(data, range(SAMPLES), range(SAMPLES)), run_settings)
    lif = model.populations[0].neuron
    decay = float(np.float32(math.exp(-1000 / lif.tau_mem_us)))
    votes, spikes = plain_bptt(x, layers, lif.v_threshold, decay, lif.reset == "subtract")
    votes, spikes = votes.transpose(0, 1), spikes.transpose(0, 1)
    assert torch.equal(result.votes.double(), votes)
    assert torch.equal(result.spikes.double(), spikes)
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(y.shape, generator=generator) for y in (votes, spikes))
    ((result.votes * a).sum() + (result.spikes * b).sum()).backward()
    ((votes * a).sum() + (spikes * b).sum()).backward()
    weights, biases = zip(*network.parts(network.values.grad), strict=True)
    gradients = [*weights, *(bias for bias in biases if bias is not None)]
    assert parameters[0].grad.abs().max() > 0
    for gradient, parameter in zip(gradients, parameters, strict=True):
        expected = parameter.grad
        assert (gradient - expected).abs().max() <= 1e-5 * expected.abs().max()
    return float(spikes.detach().sum())


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("tau", [math.inf, 9491.0, 700.0])
@pytest.mark.parametrize("threshold", [0.25, 1.0, 3.0])
def test_layer_sync_training_of_dense_layers_is_plain_bptt(threshold, tau, has_bias, reset):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        model = dense_model(rng, (10, 9, 8, 7, 4), threshold, tau, has_bias, reset)
        data, x = samples(rng, (10,), 0.3)
        weights = [torch.tensor(c.weight, dtype=torch.float64) for c in model.connections]
        parameters = [w.requires_grad_() for w in weights]
        biases = [torch.zeros(len(w), dtype=torch.float64) for w in weights]
        if has_bias:
            biases = [torch.tensor(c.bias).double().requires_grad_() for c in model.connections]
            parameters = weights + biases
        layers = [lambda s, w=w, b=b: s @ w.T + b for w, b in zip(weights, biases, strict=True)]
        run_settings = RunSettings(LayerSync(), 1 + seed)
        check_same(model, layers, parameters, data, x, run_settings, seed)


@pytest.mark.parametrize("policy", [LayerSync(), Random()])
def test_groups_as_large_as_the_network_train_by_plain_bptt_in_any_order(policy):
    rng = np.random.default_rng(0)
    model = dense_model(rng, (10, 9, 8, 7, 4), 0.25, 9491.0, False, "zero")
    data, x = samples(rng, (10,), 0.3)
    weights = [torch.tensor(c.weight).double().requires_grad_() for c in model.connections]
    layers = [lambda s, w=w: s @ w.T for w in weights]
    assert check_same(model, layers, weights, data, x, RunSettings(policy, 28), 0) > 50


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("has_bias", [False, True])
def test_layer_sync_training_of_convolutions_is_plain_bptt(has_bias, reset):
    rng = np.random.default_rng(1)
    lif = LIF(tau_mem_us=5000.0, v_threshold=0.5, reset=reset)
    populations = (
        Population("features", (3, 4, 5), lif),
        Population("more", (2, 3, 3), lif),
        Population("output", (4,), lif),
    )
    biases = [dyadic(rng, (n,), 4) if has_bias else None for n in (3, 2, 4)]
    connections = (
        Conv2d("input", "features", dyadic(rng, (3, 2, 3, 3)), (2, 2), (1, 1), biases[0]),
        Conv2d("features", "more", dyadic(rng, (2, 3, 2, 3)), bias=biases[1]),
        Dense("more", "output", dyadic(rng, (4, 18)), biases[2]),
    )
    model = Model(1000, (2, 7, 10), populations, connections, "output")
    data, x = samples(rng, (2, 7, 10), 0.3)
    values = [c.weight for c in connections] + [bias for bias in biases if bias is not None]
    parameters = [nn.Parameter(torch.tensor(value).double()) for value in values]
    first, second, last, *added = parameters
    one, two, three = added or [None] * 3
    layers = [
        lambda s: conv2d(s, first, one, stride=2, padding=1),
        lambda s: conv2d(s, second, two),
        lambda s: linear(s.flatten(1), last, three),
    ]
    assert check_same(model, layers, parameters, data, x, RunSettings(), 0) > 50


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_recurrent_connection_with_a_delay_of_one_timestep_is_a_recurrent_layer(reset):
    rng = np.random.default_rng(2)
    text = """
    timestep_us=1000 decay=0.9 v_threshold=0.5
    input  10
    hidden d9
    output d4
    hidden -> hidden delay_us=1000
    """
    described = parse_topology(f"reset={reset}\n{text}")
    connections = [replace(c, weight=dyadic(rng, c.weight.shape)) for c in described.connections]
    model = replace(described, connections=tuple(connections))
    data, x = samples(rng, (10,), 0.3)
    parameters = [torch.tensor(c.weight).double().requires_grad_() for c in connections]
    first, last, loop = parameters

    class Hidden:
        before = torch.zeros(SAMPLES, 9, dtype=torch.float64)

        def __call__(self, s):
            return s @ first.T + self.before @ loop.T

    hidden = Hidden()

    def output(s):
        hidden.before = s  # The next timestep receives these spikes.
        return s @ last.T

    layers = [hidden, output]
    assert check_same(model, layers, parameters, data, x, RunSettings(), 0) > 50
