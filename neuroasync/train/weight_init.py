"""Weights to begin with: every population fires at a chosen rate on real samples.

Xavier's bound knows how many synapses a neuron has, but not how many of them are busy, nor the
threshold, leak and order of passes: deep and convolutional stacks that start from it are often
silent after a few populations, and nothing is learnt where nothing fires.
"""

import math
from collections.abc import Callable
from typing import Final

import torch

from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train.batch import Batch
from neuroasync.train.module import SpikingNetwork

__all__ = ["firing_rates", "scale_to_firing_rate"]

_CLOSE: Final = 1.1
"""Factor within which a rate is the one asked for."""
_SWEEPS: Final = 3
"""A loop changes the rates of populations that were scaled before."""
_HALVINGS: Final = 8
_WIDEST: Final = 2.0**12
"""A population that no factor up to this one makes fire is left alone."""
_MAX_STEPS: Final = 10_000


@torch.no_grad()
def scale_to_firing_rate(network: SpikingNetwork, batch: Batch, rate: float, seed: int) -> None:
    """Draw new weights, and scale those into each population until it fires at ``rate``.

    Populations are scaled by ascending rank, all connections into one alike, under layer-sync.
    One that cannot reach the rate keeps the factor that came closest, or its Xavier weights if
    none made it fire.

    Args:
        network: whose weights are to be drawn; biases become 0.
        batch: samples to measure on.
        rate: spikes per neuron and pass, above 0.
        seed: of the generator.

    Source:
        Weights scaled layer by layer on a batch: Mishkin and Matas, All you need is a good init,
        ICLR 2016, arXiv 1511.06422, with firing rates in place of variances.
    """
    network.reset_parameters(seed)
    ranked = sorted((rank, p) for p, rank in enumerate(network.model.ranks))
    for _ in range(_SWEEPS):
        for _, p in ranked:
            _scale(network, batch, p, rate)
        if all(_is_close(found, rate) for found in firing_rates(network, batch)):
            return


def firing_rates(network: SpikingNetwork, batch: Batch) -> list[float]:
    """Spikes per neuron and pass of each population under layer-sync; inf if a pass did not end."""
    sizes = [p.size for p in network.model.populations]
    try:
        run = network(batch, RunSettings(LayerSync(), max_forward_steps=_MAX_STEPS))
    except ForwardStepLimitError:
        return [math.inf] * len(sizes)
    spikes = run.spikes.sum((0, 1), dtype=torch.float64).tolist()
    passes = max(1, int(batch.passes.sum()))
    return [fired / (size * passes) for fired, size in zip(spikes, sizes, strict=True)]


def _is_close(found: float, rate: float) -> bool:
    return rate / _CLOSE <= found <= rate * _CLOSE


def _scale(network: SpikingNetwork, batch: Batch, p: int, rate: float) -> None:
    """Scale the weights into population ``p``."""
    name = network.model.populations[p].name
    parts = zip(network.model.connections, network.parts(network.values), strict=True)
    weights = [weight for c, (weight, _) in parts if c.target == name]
    drawn = [weight.clone() for weight in weights]

    def apply(factor: float) -> None:
        for weight, start in zip(weights, drawn, strict=True):
            weight.copy_(factor * start)

    def measure(factor: float) -> float:
        apply(factor)
        return firing_rates(network, batch)[p]

    apply(_factor(measure, rate))


def _factor(measure: Callable[[float], float], rate: float) -> float:
    """The factor whose rate comes closest: a bracket by doubling, then halved."""
    low = high = 1.0
    tried = {1.0: measure(1.0)}
    step = 2.0 if tried[1.0] < rate else 0.5
    while (tried[high] < rate) == (step > 1) and 1 / _WIDEST < high < _WIDEST:
        low, high = high, high * step
        tried[high] = measure(high)
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        if any(_is_close(found, rate) for found in tried.values()) or middle in tried:
            break
        tried[middle] = measure(middle)
        if (tried[middle] < rate) == (step > 1):
            low = middle
        else:
            high = middle
    fires = [factor for factor, found in tried.items() if 0 < found < math.inf]
    return min(fires, key=lambda factor: abs(tried[factor] - rate), default=1.0)
