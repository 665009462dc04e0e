"""The variables of all neurons, one float32 scalar each, and what changes them.

* The decay factor is ``float32(math.exp(-dt / tau))``.
* At the start of a pass, a neuron decays, is reset if its reset was delayed, takes its synaptic
  current, and its adaptation decays, in this order. Then come the biases.
* The delayed resets of several spikes of a pass are summed first.
* A synaptic current takes a delivery even if the neuron is refractory.
* What a reset subtracts is the adapted threshold, unless an amount is given.
"""

import math
from collections.abc import Callable

import numpy as np

from neuroasync.core.model.model import Model

f32 = np.float32


class Neurons:
    """Potential v, momentum m, synaptic current i, adaptation a and delayed reset r of all neurons.

    ``of[j]`` has the parameters of neuron j.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.of = [p.neuron for p in model.populations for _ in range(p.size)]
        self.tau_mem = self.per_neuron("tau_mem_us", float)
        self.tau_syn = self.per_neuron("tau_syn_us", float)
        self.tau_a = self.per_neuron("adaptation.tau_us", float)
        self.v_threshold = self.per_neuron("v_threshold", f32)
        self.amount = self.per_neuron("reset_amount", f32)
        self.increment = self.per_neuron("adaptation.increment", f32)
        self.v, self.m, self.i, self.a, self.r = ([f32(0)] * model.size for _ in range(5))

    def per_neuron(self, name: str, cast: Callable[[float], float]) -> list[float]:
        """Return a parameter of each neuron; 0 for neurons that do not have it."""
        result = []
        for population in self.model.populations:
            value = population.neuron
            for part in name.split("."):
                value = None if value is None else getattr(value, part)
            every = np.broadcast_to(0 if value is None else value, population.shape)
            result += [cast(x) for x in every.flat]
        return result

    def start_pass(self, interval_us: int) -> None:
        """Begin a pass, ``interval_us`` after the one before it."""
        for j, neuron in enumerate(self.of):
            self.v[j] *= f32(math.exp(-interval_us / self.tau_mem[j]))
            if self.r[j]:
                self.v[j] = f32(0) if neuron.reset == "zero" else self.v[j] - self.r[j]
                self.r[j] = f32(0)
            if neuron.tau_syn_us is not None:
                self.i[j] *= f32(math.exp(-interval_us / self.tau_syn[j]))
                self.v[j] += self.i[j]
            if neuron.adaptation is not None:
                self.a[j] *= f32(math.exp(-interval_us / self.tau_a[j]))

    def add(self, j: int, charge: np.float32, is_refractory: bool = False) -> None:
        """Add a bias, or what a group delivers."""
        if self.of[j].tau_syn_us is not None:
            self.i[j] += charge
        if not is_refractory:
            self.v[j] += charge

    def threshold(self, j: int) -> np.float32:
        return self.v_threshold[j] + self.a[j]

    def spike(self, j: int) -> None:
        """Reset a neuron that fires, at once or at the start of the next pass."""
        neuron, self.m[j] = self.of[j], self.v[j]
        amount = self.threshold(j) if neuron.reset_amount is None else self.amount[j]
        if neuron.reset_delayed:
            self.r[j] += amount if neuron.reset == "subtract" else f32(1)
        elif neuron.reset == "subtract":
            self.v[j] -= amount
        elif neuron.reset == "zero":
            self.v[j] = f32(0)
        self.a[j] += self.increment[j]
