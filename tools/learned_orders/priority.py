"""A custom policy that delivers spikes by a learned priority, and what the priority depends on."""

from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from neuroasync import Bundle, PendingSpikes, Random, Recording
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.connections import INPUT, Dense
from neuroasync.core.model.model import Model
from neuroasync.study.design.case import GROUP_SIZE
from neuroasync.train import RunSettings, SpikingNetwork, Surrogate, vote_loss

Floats: TypeAlias = NDArray[np.float64]

_BATCH: Final = 100
_LATER_LAYERS: Final = 0.5
"""Share of a weight that counts on a path through another hidden population."""


class LearnedPriority:
    """Deliver the pending spikes with the highest priority first; ties go to the lower neuron.

    Args:
        priority: f64[N], priority of each neuron.
        dynamic: f64[3], what the priority gains for each unit of momentum, for each step since
            the neuron fired, and for each repetition.
    """

    name = "learned-priority"

    def __init__(self, priority: Floats, dynamic: Floats) -> None:
        self._priority, self._dynamic = priority, dynamic.tolist()

    def order(self, pending: PendingSpikes, group_size: int) -> NDArray[np.int64]:
        momentum, age, multiplicity = self._dynamic
        priority = (
            self._priority[pending.neuron]
            + momentum * pending.momentum
            + age * (pending.step - pending.arrival)
            + multiplicity * pending.multiplicity
        )
        return np.lexsort((pending.neuron, -priority))


def loss_gradient(bundle: Bundle, samples: SpikeTrains, seed: int) -> Floats:
    """Return f64[N]: how much the loss of all samples falls through the spikes of each neuron.

    To first order, removing a spike changes the loss as removing its deliveries does, which is
    the sum of weight times gradient over the outgoing synapses. The loss counts the votes up to
    each pass, so early votes count more.
    """
    network = SpikingNetwork(bundle.model, Surrogate("arctan", 3.0), device="cpu", threads=1)
    settings = RunSettings(Random(), GROUP_SIZE, "prioritised")
    for begin in range(0, len(samples), _BATCH):
        numbers = np.arange(begin, min(begin + _BATCH, len(samples)))
        seeds = [sample_seed(seed, int(k)) for k in numbers]
        batch = network.batch(samples, numbers, seeds, bundle.duration_us)
        labels = torch.from_numpy(np.asarray(samples.labels)[numbers])
        votes = network(batch, settings).votes
        loss = vote_loss(votes, labels, batch.passes, "accumulated") * len(numbers)
        loss.backward()
    gains, starts = np.zeros(bundle.model.size), bundle.model.starts
    gradients = network.parts(network.values.grad)
    for c, (weight, _), (gradient, _) in zip(
        bundle.model.connections, network.parts(), gradients, strict=True
    ):
        if c.source != INPUT:
            p = bundle.model.index(c.source)
            product = (weight * gradient).detach().sum(0).numpy()
            gains[starts[p] : starts[p + 1]] -= product
    return gains


def features(bundle: Bundle, recording: Recording, samples: SpikeTrains, seed: int) -> Floats:
    """Return f64[5 + P, N]: five properties of neurons, standardised, and their populations.

    The properties are the fall of the loss for each spike, the difference that a spike makes
    between the two classes it supports most, the sums of the weights to the output and to hidden
    neurons, and the logarithm of the firing rate. They are 0 for the output.

    Args:
        bundle: The network.
        recording: Recording of the samples in random order.
        samples: Samples that the network was trained on.
        seed: Seed of the order keys.
    """
    model = bundle.model
    spikes = np.bincount(recording.neuron, minlength=model.size)
    to_output, to_hidden = _effects(model)
    ranked = np.sort(to_output, axis=0)
    properties = [
        loss_gradient(bundle, samples, seed) / np.maximum(spikes, 1),
        ranked[-1] - ranked[-2],
        to_output.mean(0),
        to_hidden.sum(0),
        np.log(spikes / len(recording) + 0.05),
    ]
    population = np.searchsorted(model.starts, np.arange(model.size), side="right") - 1
    is_hidden = population != model.index(model.output)
    rows = [np.where(is_hidden, _standardised(row, is_hidden), 0.0) for row in properties]
    one_hot = population == np.arange(len(model.populations))[:, None]
    return np.concatenate((rows, one_hot))


def _standardised(row: Floats, chosen: NDArray[np.bool_]) -> Floats:
    return (row - row[chosen].mean()) / (row[chosen].std() + 1e-9)


def _effects(model: Model) -> tuple[Floats, Floats]:
    """Return f64[classes, N] and f64[N, N]: weights to the output, and between hidden neurons.

    Those to the output include paths through at most two more populations.
    """
    weight, starts = np.zeros((model.size, model.size)), model.starts
    for c in model.connections:
        if c.source == INPUT:
            continue
        if not isinstance(c, Dense):
            raise ValueError(f"{c.source} -> {c.target}: connections must be dense, got {c.kind}")
        source, target = model.index(c.source), model.index(c.target)
        rows = slice(starts[target], starts[target + 1])
        weight[rows, starts[source] : starts[source + 1]] += c.weight
    output = model.index(model.output)
    rows = slice(starts[output], starts[output + 1])
    direct = weight[rows].copy()
    weight[rows] = 0
    paths = direct
    for _ in range(2):
        paths = direct + _LATER_LAYERS * paths @ weight
    return paths, weight
