"""Layers of spiking neurons as plain torch computes them: one after another, by ascending rank.

This is what layered frameworks do, with torch's own differentiation and nothing of the trainer.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, linear

from neuroasync.core.model.connections import INPUT, Connection, Conv2d, Dense
from neuroasync.core.model.model import Model
from neuroasync.errors import ForwardStepLimitError


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


class PlainLayers:
    """The layers of a network, for one sample.

    Args:
        model: The network, with a timestep.
        max_steps: Maximum number of layers that may send spikes in one timestep.

    Attributes:
        parameters: Weight and bias (or None) of each connection.
        repeated_turns: Number of times that a layer was computed again in a timestep, because a
            back edge had reached it.
    """

    def __init__(self, model: Model, max_steps: int) -> None:
        self.model, self.max_steps = model, max_steps
        self.shapes = {INPUT: model.input_shape} | {p.name: p.shape for p in model.populations}
        self.order = sorted(range(len(model.ranks)), key=lambda p: (model.ranks[p], p))
        self.parameters = [
            tuple(
                None if x is None else torch.tensor(x, requires_grad=True)
                for x in (c.weight, c.bias)
            )
            for c in model.connections
        ]
        self.repeated_turns = 0

    def run(self, x: Tensor) -> Tensor:
        """Return the number of spikes of each neuron, [T, N], for the input counts [T, inputs]."""
        model, counts = self.model, []
        v = {p.name: torch.zeros(p.size) for p in model.populations}
        thresholds = {p.name: self.spread(p, p.neuron.v_threshold) for p in model.populations}
        late: list[list[tuple[int, Tensor]]] = [[] for _ in x]
        for t, now in enumerate(x):
            current = {name: torch.zeros_like(v[name]) for name in v}
            received = {name: torch.zeros_like(v[name]) for name in v}
            fired = {name: torch.zeros_like(v[name]) for name in v}
            total = dict(fired)
            waiting, step, turns = set(v), 0, dict.fromkeys(v, 0)

            def send(source, spikes, t=t, current=current, received=received, waiting=waiting):
                for k, c in enumerate(self.model.connections):
                    delay = c.delay_us // self.model.timestep_us
                    if c.source == source and delay == 0:
                        deliver(k, c, spikes, current, received, waiting)
                    elif c.source == source and t + delay < len(late):
                        late[t + delay].append((k, spikes))

            def deliver(k, c, spikes, current, received, waiting):
                current[c.target] = current[c.target] + self.apply(k, spikes)
                received[c.target] = received[c.target] + self.synapses(k, spikes.detach())
                if spikes.detach().any():
                    waiting.add(c.target)

            for p in model.populations:
                if t:
                    v[p.name] = v[p.name] * self.decay(p)
            for c, (_, bias) in zip(model.connections, self.parameters, strict=True):
                if bias is not None:
                    repeats = v[c.target].numel() // bias.numel()
                    v[c.target] = v[c.target] + bias.repeat_interleave(repeats)
            send(INPUT, now)
            for k, spikes in late[t]:
                deliver(k, model.connections[k], spikes, current, received, waiting)
            while waiting:
                index = next(p for p in self.order if model.populations[p].name in waiting)
                p, lif = model.populations[index], model.populations[index].neuron
                waiting.remove(p.name)
                able = torch.ones(p.size, dtype=torch.bool)
                if lif.refractory:
                    able = fired[p.name] == 0
                v[p.name] = v[p.name] + torch.where(able, current[p.name], 0.0)
                current[p.name] = torch.zeros_like(v[p.name])
                able = able & (received[p.name] >= lif.sync_threshold)
                spikes = ArctanSpike.apply(v[p.name] - thresholds[p.name]) * able
                s = spikes.detach()
                if lif.reset == "subtract":
                    v[p.name] = v[p.name] - thresholds[p.name] * s
                else:
                    v[p.name] = v[p.name] * (1 - s)
                fired[p.name] = fired[p.name] + s
                total[p.name] = total[p.name] + spikes
                turns[p.name] += 1
                if s.any():
                    if step == self.max_steps:
                        raise ForwardStepLimitError
                    step += 1
                send(p.name, spikes)
            self.repeated_turns += sum(turns.values()) - len(turns)
            counts.append(torch.cat([total[p.name] for p in model.populations]))
        return torch.stack(counts) if counts else torch.zeros(0, model.size)

    def spread(self, population, value) -> Tensor:
        """Return a parameter of a neuron model for each neuron of a population."""
        values = np.broadcast_to(np.asarray(value, np.float32), population.shape)
        return torch.tensor(values.ravel())

    def decay(self, population) -> Tensor:
        """Return the decay factor of each neuron for one timestep."""
        taus = np.broadcast_to(population.neuron.tau_mem_us, population.shape).ravel()
        factors = [np.float32(math.exp(-self.model.timestep_us / tau)) for tau in taus]
        return torch.tensor(np.array(factors))

    def apply(self, k: int, spikes: Tensor) -> Tensor:
        """Return the current that spikes cause over connection ``k``."""
        return self._apply(self.model.connections[k], spikes, self.parameters[k][0])

    def synapses(self, k: int, spikes: Tensor) -> Tensor:
        """Return how many spikes each target receives over connection ``k``."""
        weight = torch.ones_like(self.parameters[k][0]).detach()
        return self._apply(self.model.connections[k], spikes, weight)

    def _apply(self, c: Connection, spikes: Tensor, weight: Tensor) -> Tensor:
        if isinstance(c, Dense):
            return linear(spikes, weight)
        if isinstance(c, Conv2d):
            planes = spikes.reshape(1, *self.shapes[c.source])
            return conv2d(planes, weight, None, c.stride, c.padding).flatten()
        sources = np.repeat(np.arange(c.indptr.size - 1), np.diff(c.indptr))
        current = torch.zeros(math.prod(self.shapes[c.target]))
        at = torch.tensor(c.indices.astype(np.int64))
        return current.index_add(0, at, spikes[torch.tensor(sources)] * weight)
