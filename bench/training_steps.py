"""The contenders of ``bench.training``: one training step each, and their common task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from bench.torch_engine.forward import run_torch_engine
from neuroasync import Model, SpikeTrains, parse_topology
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train import SpikingNetwork, make_batch, scale_to_firing_rate
from neuroasync.train.cuda.selection import Device
from neuroasync.train.losses import vote_loss

__all__ = [
    "GROUP_SIZE",
    "STEPS",
    "TIMESTEPS",
    "Gradients",
    "Step",
    "Task",
    "neuroasync_step",
    "snntorch_step",
]

TIMESTEPS: Final = 10
DECAY: Final = 0.9
RATE: Final = 0.05
LR: Final = 1e-4
GROUP_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class Task:
    """A task: sizes of ``layers``, input first, and input events per timestep."""

    batch_size: int
    layers: tuple[int, ...] = (2312, 64, 64, 64, 10)
    events: int = 150
    threads: int = 1

    def model(self) -> Model:
        """Return the network with dyadic weights, whose sums are exact in any order."""
        inputs, *sizes = self.layers
        stack = "; ".join(f"p{k} d{size}" for k, size in enumerate(sizes))
        text = f"timestep_us=1000 decay={DECAY}; input {inputs}; {stack}"
        network = SpikingNetwork(parse_topology(text), device="cpu", threads=self.threads)
        samples = self.samples(32)
        scale_to_firing_rate(
            network, make_batch(network.model, samples, range(32), range(32)), RATE, 0
        )
        with torch.no_grad():
            network.values.copy_((network.values * 4096).round() / 4096)
        return network.to_model()

    def samples(self, number: int) -> SpikeTrains:
        """Return reproducible random input with Poisson numbers of distinct inputs per timestep."""
        rng = np.random.default_rng(2408)
        frames = rng.random((number * TIMESTEPS, self.layers[0])) < self.events / self.layers[0]
        frame, index = np.nonzero(frames)
        offsets = np.searchsorted(frame, TIMESTEPS * np.arange(number + 1))
        labels = rng.integers(0, self.layers[-1], number)
        return SpikeTrains(frame % TIMESTEPS * 1000, index, offsets, labels, (self.layers[0],))


Gradients = Callable[[], list[Tensor]]
"""Function that returns the gradients of a step, for each connection [out, in]."""
Step = Callable[[SpikeTrains], tuple[Tensor, Gradients]]
"""A step: from samples to the votes [samples, timesteps, classes] and the gradients."""


def neuroasync_step(task: Task, model: Model, device: Device = "cpu") -> Step:
    """Return a step of the event record; torch itself uses one thread, as in ``fit``."""
    torch.set_num_threads(1)
    network = SpikingNetwork(model, device=device, threads=task.threads)
    optimizer = torch.optim.Adam([network.values], LR, fused=True)

    def step(samples: SpikeTrains) -> tuple[Tensor, Gradients]:
        chosen = np.arange(len(samples))
        batch = network.batch(samples, chosen, chosen.astype(np.uint64))
        network.values.grad = None
        run = network(batch, RunSettings(Random(), GROUP_SIZE))
        _loss(run.votes, samples).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimizer.step()
        return run.votes.detach(), lambda: _by_connection(network.values.grad, model)

    return step


def dense_step(task: Task, model: Model) -> Step:
    """Return a step with the same forward steps and gradient in plain torch."""
    packed = PackedNetwork(model, contiguous=True)
    weights = torch.from_numpy(packed.arrays.weights.copy()).requires_grad_()
    surrogate = SpikingNetwork(model, device="cpu", threads=1).surrogate
    optimizer = torch.optim.Adam([weights], LR, fused=True)

    def step(samples: SpikeTrains) -> tuple[Tensor, Gradients]:
        batch = make_batch(model, samples, range(len(samples)), range(len(samples)))
        weights.grad = None
        run = run_torch_engine(weights, packed, batch, RunSettings(Random(), GROUP_SIZE), surrogate)
        _loss(run.votes, samples).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimizer.step()
        return run.votes.detach(), lambda: _by_connection(weights.grad, model)

    return step


def snntorch_step(task: Task, model: Model, device: Device = "cpu") -> Step:
    """Return a step of layer-synchronous snnTorch with its arctangent surrogate."""
    import snntorch

    layers = [
        torch.nn.Linear(a, b, bias=False, device=device)
        for a, b in zip(task.layers[:-1], task.layers[1:], strict=True)
    ]
    for layer, connection in zip(layers, model.connections, strict=True):
        layer.weight.data = torch.from_numpy(connection.weight.copy()).to(device)
    neurons = [
        snntorch.Leaky(
            beta=DECAY, spike_grad=snntorch.surrogate.atan(alpha=3.0), reset_mechanism="zero",
            reset_delay=False,
        ).to(device)
        for _ in layers
    ]  # fmt: skip
    optimizer = torch.optim.Adam([layer.weight for layer in layers], LR, fused=True)

    def step(samples: SpikeTrains) -> tuple[Tensor, Gradients]:
        frames = torch.zeros(TIMESTEPS, len(samples), task.layers[0])
        sample = np.repeat(np.arange(len(samples)), np.diff(samples.offsets))
        frames[np.array(samples.t_us // 1000), sample, np.array(samples.index)] = 1.0
        frames = frames.to(device)
        for layer in layers:
            layer.weight.grad = None
        potentials = [neuron.init_leaky() for neuron in neurons]
        votes = []
        for spikes in frames:
            for k, (layer, neuron) in enumerate(zip(layers, neurons, strict=True)):
                spikes, potentials[k] = neuron(layer(spikes), potentials[k])
            votes.append(spikes)
        out = torch.stack(votes, 1)
        _loss(out, samples).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimizer.step()
        return out.detach(), lambda: [
            layer.weight.grad for layer in layers if layer.weight.grad is not None
        ]

    return step


STEPS: Final[dict[str, Callable[[Task, Model], Step]]] = {
    "neuroasync": neuroasync_step,
    "dense": dense_step,
    "snntorch": snntorch_step,
}


def _loss(votes: Tensor, samples: SpikeTrains) -> Tensor:
    labels = torch.from_numpy(np.array(samples.labels)).to(votes.device)
    passes = torch.full((len(samples),), votes.shape[1], device=votes.device)
    return vote_loss(votes, labels, passes, "accumulated", 0.5)


def _by_connection(flat: Tensor | None, model: Model) -> list[Tensor]:
    """Return the gradients of dense connections, transposed from the flat source-major layout."""
    if flat is None:
        return []
    gradients, at = [], 0
    for c in model.connections:
        gradients.append(flat[at : at + c.weight.size].view(c.weight.shape[::-1]).t())
        at += c.weight.size
    return gradients
