"""Under layer-sync, any neuron trains as in a plain torch loop over timesteps and layers."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import neuroasync as na
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train import SpikingNetwork
from neuroasync.train.neurons.learned import LEARNABLE
from tests.train.test_layered import SAMPLES, ArctanSpike, dyadic, samples

SIZES = (10, 9, 8, 4)
TAU_US = 5000.0
NEURONS = {
    "delayed subtract": na.LIF(TAU_US, 0.5, "subtract", reset_delayed=True),
    "delayed zero": na.LIF(TAU_US, 0.5, reset_delayed=True),
    "amount": na.LIF(TAU_US, 0.5, "subtract", reset_amount=0.25),
    "delayed amount": na.LIF(TAU_US, 0.5, "subtract", reset_amount=0.25, reset_delayed=True),
    "none": na.LIF(TAU_US, 0.5, "none"),
    "current": na.LIF(TAU_US, 0.5, tau_syn_us=2000.0),
    "current, subtract": na.LIF(TAU_US, 0.5, "subtract", tau_syn_us=3000.0),
    "adaptive": na.LIF(TAU_US, 0.5, adaptation=na.Adaptation(20_000.0, 0.25)),
    "adaptive, subtract": na.LIF(
        TAU_US, 0.5, "subtract", adaptation=na.Adaptation(20_000.0, 0.25)
    ),
    "everything": na.LIF(
        TAU_US, 0.5, "subtract", reset_delayed=True, tau_syn_us=2000.0,
        adaptation=na.Adaptation(20_000.0, 0.25),
    ),
}  # fmt: skip


def f32(x):
    """Round to float32, without an effect on gradients."""
    return x + (x.float().double() - x).detach()


class Layer:
    """A layer of a neuron model in plain torch, written from its equations.

    ``learned`` maps tau_mem, tau_syn and threshold to logarithms of a factor.
    """

    def __init__(self, weight, neuron, learned):
        self.weight, self.neuron = weight, neuron
        zero = torch.zeros(SAMPLES, len(weight), dtype=torch.float64)
        self.v, self.i, self.a, self.due = zero, zero, zero, None
        self.alpha = f32(torch.exp(-1000 / (neuron.tau_mem_us * learned["tau_mem"].exp())))
        self.threshold = neuron.v_threshold * learned["threshold"].exp()
        if neuron.tau_syn_us:
            self.alpha_syn = f32(torch.exp(-1000 / (neuron.tau_syn_us * learned["tau_syn"].exp())))
        if neuron.adaptation:
            self.alpha_a = float(np.float32(math.exp(-1000 / neuron.adaptation.tau_us)))

    def reset(self, v, fired, threshold):
        """Return the potentials after the reset of the neurons that fired (a constant)."""
        if self.neuron.reset == "none":
            return v
        if self.neuron.reset == "zero":
            return v * (1 - fired)
        amount = threshold if self.neuron.reset_amount is None else self.neuron.reset_amount
        return f32(v - amount * fired)

    def __call__(self, now):
        neuron, current = self.neuron, now @ self.weight.T
        v = f32(self.alpha * self.v)
        if self.due is not None:
            v = self.reset(v, *self.due)
        if neuron.tau_syn_us:
            decayed = f32(self.alpha_syn * self.i)
            self.i, v = f32(decayed + current), f32(v + decayed)
        v, threshold = f32(v + current), self.threshold
        if neuron.adaptation:
            self.a = f32(self.alpha_a * self.a)
            threshold = f32(threshold + self.a)
        spikes = ArctanSpike.apply(v - threshold)
        fired = spikes.detach()
        if neuron.reset_delayed:
            self.due = fired, threshold
        else:
            v = self.reset(v, fired, threshold)
        if neuron.adaptation:
            self.a = f32(self.a + neuron.adaptation.increment * spikes)
        self.v = v
        return spikes


def network_of(rng, neurons, weights=None):
    """Return a network of dense layers with random dyadic weights."""
    names = ["input", *(f"layer{k}" for k in range(1, len(SIZES)))]
    ends = pairwise(zip(names, SIZES, strict=True))
    return na.Model(
        1000,
        SIZES[:1],
        tuple(
            na.Population(name, (size,), neuron)
            for name, size, neuron in zip(names[1:], SIZES[1:], neurons, strict=True)
        ),
        tuple(na.Dense(a, b, dyadic(rng, (n, m))) for (a, m), (b, n) in ends),
        names[-1],
    )


def zeros():
    return {name: torch.zeros((), dtype=torch.float64, requires_grad=True) for name in LEARNABLE}


@pytest.mark.parametrize("name", NEURONS)
def test_layer_sync_training_of_any_neuron_is_a_plain_loop(name):
    neuron, rng = NEURONS[name], np.random.default_rng(3)
    model = network_of(rng, [neuron] * 3)
    data, x = samples(rng, SIZES[:1], 0.3)
    weights = [torch.tensor(c.weight).double().requires_grad_() for c in model.connections]
    learn = [key for key in LEARNABLE if key != "tau_syn" or neuron.tau_syn_us]
    learned = [zeros() for _ in weights]
    layers = [Layer(w, neuron, logs) for w, logs in zip(weights, learned, strict=True)]
    outputs, counts = [], []
    for now in x:
        for layer in layers:
            now = layer(now)
            counts.append(now.sum(1))
        outputs.append(now)
    votes = torch.stack(outputs, 1)
    spikes = torch.stack(counts, 1).reshape(SAMPLES, len(x), len(layers))
    network = SpikingNetwork(model, device="cpu", learn=",".join(learn))
    batch = network.batch(data, range(SAMPLES), range(SAMPLES))
    result = network(batch, RunSettings(LayerSync(), 2))
    assert torch.equal(result.votes.double(), votes)
    assert torch.equal(result.spikes.double(), spikes)
    assert votes.sum() > 5
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(y.shape, generator=generator) for y in (votes, spikes))
    ((result.votes * a).sum() + (result.spikes * b).sum()).backward()
    ((votes * a).sum() + (spikes * b).sum()).backward()
    gradients, _ = zip(*network.parts(network.values.grad), strict=True)
    for gradient, weight in zip(gradients, weights, strict=True):
        assert (gradient - weight.grad).abs().max() <= 1e-5 * weight.grad.abs().max()
    right = torch.stack([logs[key].grad for key in learn for logs in learned])
    found = network.values.grad[-len(right) :]
    assert right.abs().min() > 0
    assert (found - right).abs().max() <= 1e-5 * right.abs().max()


@pytest.mark.parametrize("policy", [LayerSync(), na.Random()])
@pytest.mark.parametrize("tau_syn_us", [None, 3000.0])
def test_potentials_of_leaky_integrators_train_as_in_a_plain_loop(tau_syn_us, policy):
    rng = np.random.default_rng(4)
    lif = na.LIF(TAU_US, 0.5)
    model = network_of(rng, [lif, lif, na.LI(8000.0, tau_syn_us)])
    data, x = samples(rng, SIZES[:1], 0.3)
    weights = [torch.tensor(c.weight).double().requires_grad_() for c in model.connections]
    integrator = na.LIF(8000.0, 1e30, "none", tau_syn_us=tau_syn_us)
    layers = [
        Layer(w, neuron, zeros()) for w, neuron in zip(weights, [lif, lif, integrator], strict=True)
    ]
    potentials = []
    for now in x:
        for layer in layers:
            now = layer(now)
        potentials.append(layers[-1].v)
    potentials = torch.stack(potentials, 1)
    network = SpikingNetwork(model, device="cpu")
    result = network(
        network.batch(data, range(SAMPLES), range(SAMPLES)), RunSettings(policy, sum(SIZES))
    )
    assert torch.equal(result.potentials.double(), potentials)
    assert result.labels.tolist() == potentials[:, -1].argmax(1).tolist()
    assert not result.votes.any()
    a = torch.randn(potentials.shape, generator=torch.Generator().manual_seed(0))
    (result.potentials * a).sum().backward()
    (potentials * a).sum().backward()
    gradients, _ = zip(*network.parts(network.values.grad), strict=True)
    for gradient, weight in zip(gradients, weights, strict=True):
        assert (gradient - weight.grad).abs().max() <= 1e-5 * weight.grad.abs().max()


def test_the_gradient_of_a_time_constant_is_the_slope_of_the_loss():
    rng = np.random.default_rng(5)
    model = network_of(rng, [na.LIF(TAU_US, 0.5)] * 2 + [na.LI(8000.0, 3000.0)])
    data, _ = samples(rng, SIZES[:1], 0.5)
    network = SpikingNetwork(model, device="cpu", learn="tau_mem,tau_syn", learn_per="neuron")
    batch = network.batch(data, range(SAMPLES), range(SAMPLES))

    def loss():
        return network(batch, RunSettings(na.Random(), 4)).potentials.square().sum()

    loss().backward()
    # The spikes do not depend on the output, so that its time constants are differentiable.
    first = network.values.numel() - 2 * SIZES[-1]
    for at in range(first, network.values.numel()):
        values = []
        for step in (2**-8, -(2**-8)):
            with torch.no_grad():
                network.values[at] += step
                values.append(float(loss()))
                network.values[at] -= step
        slope = (values[0] - values[1]) / 2**-7
        assert float(network.values.grad[at]) == pytest.approx(slope, rel=1e-3, abs=1e-3)


def test_a_trained_network_has_its_learned_parameters():
    model = network_of(np.random.default_rng(0), [na.LIF(TAU_US, 0.5)] * 3)
    for per in ("population", "neuron"):
        network = SpikingNetwork(model, device="cpu", learn="threshold,tau_mem", learn_per=per)
        network.values.data[-1] = math.log(2)
        *others, last = (p.neuron for p in network.to_model().populations)
        assert np.ravel(last.v_threshold)[-1] == pytest.approx(1.0)
        assert np.ravel(last.tau_mem_us)[-1] == TAU_US
        assert all(np.all(neuron.v_threshold == 0.5) for neuron in others)
    assert last.v_threshold.shape == (4,)
    assert last.v_threshold[:3].tolist() == [0.5] * 3


@pytest.mark.parametrize("value", [-1e30, 1e30])
def test_no_learned_value_is_out_of_range(value):
    model = network_of(np.random.default_rng(0), [na.LIF(TAU_US, 0.5)] * 3)
    for per in ("population", "neuron"):
        network = SpikingNetwork(model, device="cpu", learn=",".join(LEARNABLE[::2]), learn_per=per)
        network.values.data[-1] = value
        *_, last = (p.neuron for p in network.to_model().populations)
        learned = np.ravel(last.v_threshold)[-1]
        assert np.isfinite(learned)
        assert learned > 1e6 if value > 0 else 0 < learned < 1e-6


def test_an_infinite_time_constant_is_not_learned():
    model = network_of(np.random.default_rng(0), [na.LIF(math.inf, 0.5)] * 3)
    with pytest.raises(ValueError, match="has 'tau_mem', but no population has a finite `tau_mem"):
        SpikingNetwork(model, learn="tau_mem")
    mixed = replace(model.populations[0], neuron=na.LIF(TAU_US))
    model = replace(model, populations=(mixed, *model.populations[1:]))
    network = SpikingNetwork(model, learn="tau_mem")
    assert network.values.numel() == model.parameters + 2


@pytest.mark.parametrize("learn", ["", "tau", "tau_mem,,threshold", "tau_mem,tau_mem", 5])
def test_what_cannot_be_learned_is_refused_by_name(learn):
    model = network_of(np.random.default_rng(0), [na.LIF(TAU_US, 0.5)] * 3)
    with pytest.raises(ValueError, match="`learn` must be one or several of tau_mem, tau_syn"):
        SpikingNetwork(model, learn=learn)
