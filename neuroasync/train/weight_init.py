"""Initial weights with which every population fires at a chosen rate on real samples.

Xavier's initialisation considers how many synapses a neuron has. It ignores how many of them
receive spikes, and the threshold, leak and order of delivery. Deep and convolutional networks that
start from it are often silent after a few populations, and silent populations learn nothing.
"""

import math
from collections.abc import Callable
from typing import Final

import torch

from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.model.checks import as_number, must_be, shown
from neuroasync.core.model.neurons import LIF
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train.batch import Batch
from neuroasync.train.module import SpikingNetwork

__all__ = ["firing_rates", "scale_to_firing_rate"]

_CLOSE: Final = 1.1
"""A rate within this factor of the target is accepted."""
_MAX_SWEEPS: Final = 3
"""Repetitions for networks with loops, where scaling one population changes earlier ones."""
_MAX_HALVINGS: Final = 8
_MAX_FACTOR: Final = 2.0**12
"""A population that does not fire with any factor up to this one keeps its weights."""
_MAX_STEPS: Final = 10_000
"""Forward steps after which a pass counts as endless."""


@torch.no_grad()
def scale_to_firing_rate(network: SpikingNetwork, batch: Batch, rate: float, seed: int) -> None:
    """Draw new weights, and scale them until each population fires at ``rate``.

    Populations are scaled in ascending rank, under layer-sync. All weights into a population get
    the same factor. A population that cannot reach the rate gets the factor that comes closest, or
    keeps its Xavier weights if it does not fire with any factor, as leaky integrators do.

    Args:
        network: The network to initialise. Its biases become 0.
        batch: Samples on which firing rates are measured.
        rate: Spikes per neuron and pass, above 0.
        seed: Seed of the random generator.

    Raises:
        ValueError: ``rate`` or ``seed`` is out of range.

    Source:
        Mishkin and Matas, All you need is a good init, ICLR 2016, arXiv 1511.06422, scale weights
        layer by layer on a batch. Here, the target is a firing rate instead of a variance.
    """
    number = as_number(rate)
    if number is None or not 0 < number < math.inf:
        raise ValueError(must_be("rate", "a finite number above 0", shown(rate)))
    network.reset_parameters(seed)
    model = network.model
    ranked = sorted((rank, p) for p, rank in enumerate(model.ranks))
    fires = [isinstance(p.neuron, LIF) for p in model.populations]
    for _ in range(_MAX_SWEEPS):
        for _, p in ranked:
            if fires[p]:
                _scale(network, batch, p, rate)
        rates = zip(firing_rates(network, batch), fires, strict=True)
        if all(_is_close(measured, rate) for measured, can_fire in rates if can_fire):
            return


def firing_rates(network: SpikingNetwork, batch: Batch) -> list[float]:
    """Return each population's spikes per neuron and pass, under layer-sync.

    All rates are infinite if a pass does not end.
    """
    sizes = [p.size for p in network.model.populations]
    try:
        result = network(batch, RunSettings(LayerSync(), max_forward_steps=_MAX_STEPS))
    except ForwardStepLimitError:
        return [math.inf] * len(sizes)
    spikes = result.spikes.sum((0, 1), dtype=torch.float64).tolist()
    passes = max(1, int(batch.passes.sum()))
    return [fired / (size * passes) for fired, size in zip(spikes, sizes, strict=True)]


def _is_close(measured: float, rate: float) -> bool:
    return rate / _CLOSE <= measured <= rate * _CLOSE


def _scale(network: SpikingNetwork, batch: Batch, p: int, rate: float) -> None:
    """Scale the weights into population ``p`` until it fires at ``rate``."""
    name = network.model.populations[p].name
    parts = zip(network.model.connections, network.parts(), strict=True)
    weights = [weight for c, (weight, _) in parts if c.target == name]
    initial = [weight.clone() for weight in weights]

    def apply(factor: float) -> None:
        for weight, start in zip(weights, initial, strict=True):
            weight.copy_(factor * start)

    def measure(factor: float) -> float:
        apply(factor)
        return firing_rates(network, batch)[p]

    apply(_find_factor(measure, rate))


def _find_factor(measure: Callable[[float], float], rate: float) -> float:
    """Return the factor whose rate comes closest.

    The search first doubles (or halves) the factor until two of them bracket the rate. Then it
    bisects the bracket on a logarithmic scale.
    """
    low = high = 1.0
    tried = {1.0: measure(1.0)}
    step = 2.0 if tried[1.0] < rate else 0.5
    while (tried[high] < rate) == (step > 1) and 1 / _MAX_FACTOR < high < _MAX_FACTOR:
        low, high = high, high * step
        tried[high] = measure(high)
    for _ in range(_MAX_HALVINGS):
        middle = math.sqrt(low * high)
        if any(_is_close(measured, rate) for measured in tried.values()) or middle in tried:
            break
        tried[middle] = measure(middle)
        if (tried[middle] < rate) == (step > 1):
            low = middle
        else:
            high = middle
    fires = [factor for factor, measured in tried.items() if 0 < measured < math.inf]
    return min(fires, key=lambda factor: abs(tried[factor] - rate), default=1.0)
