"""A classifier in snnTorch: leaky neurons in layers, trained with backpropagation through time."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from neuroasync import SpikeTrains
from neuroasync.train.augmentation import Augmentation

__all__ = ["Task", "random_seeds", "train_snntorch"]

_HIDDEN: Final = (64, 64, 64)
_EVALUATED: Final = 256
"""Samples that are evaluated at a time."""


@dataclass(frozen=True, slots=True)
class Task:
    """Settings of the training.

    Attributes:
        timestep_us: Length of a timestep, µs.
        epochs: Number of passes over the training samples.
        batch_size: Samples per optimiser step.
        lr: Learning rate of Adam.
        beta: Decay of the membrane potential per timestep.
        augmentation: Changes the training samples anew in each epoch, if not None.
    """

    timestep_us: int
    epochs: int
    batch_size: int
    lr: float
    beta: float
    augmentation: Augmentation | None = None


class _Network(torch.nn.Module):
    def __init__(self, inputs: int, classes: int, beta: float) -> None:
        import snntorch

        super().__init__()
        sizes = (inputs, *_HIDDEN, classes)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in pairwise(sizes))
        self.neurons = [
            snntorch.Leaky(beta=beta, spike_grad=snntorch.surrogate.fast_sigmoid(slope=25))
            for _ in self.layers
        ]

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run frames, f32[timesteps, samples, inputs].

        Returns:
            Output spikes summed over the timesteps, f32[samples, classes]; output potentials,
            f32[timesteps, samples, classes]; and the mean number of hidden spikes per sample.
        """
        states = [neuron.init_leaky() for neuron in self.neurons]
        votes: Tensor | int = 0
        potentials, hidden = [], torch.zeros(())
        for spikes in frames:
            for k, (layer, neuron) in enumerate(zip(self.layers, self.neurons, strict=True)):
                spikes, states[k] = neuron(layer(spikes), states[k])
                if k < len(self.layers) - 1:
                    hidden = hidden + spikes.detach().sum()
            votes = votes + spikes
            potentials.append(states[-1])
        stacked = torch.stack(potentials)
        return stacked.new_zeros(stacked.shape[1:]) + votes, stacked, hidden / frames.shape[1]


def train_snntorch(
    samples: SpikeTrains, task: Task, seed: int
) -> Callable[[SpikeTrains], tuple[NDArray[np.int64], float]]:
    """Train a network, and return a function that decides samples.

    The loss is the cross-entropy of the output potentials, averaged over the timesteps. A sample
    has the class with the most output spikes; of several, the one with the highest potential at
    the end.

    Args:
        samples: Labelled samples.
        task: Settings of the training.
        seed: Seed of the weights, of the order of the samples and of the augmentation.

    Returns:
        A function that returns the label of each sample, i64[samples], and the mean number of
        hidden spikes per sample.
    """
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    labels = np.array(samples.labels)
    # Events at the end of the longest training sample are in the last timestep.
    timesteps = int(samples.t_us.max(initial=0)) // task.timestep_us + 1
    network = _Network(int(np.prod(samples.shape)), int(labels.max(initial=0)) + 1, task.beta)
    optimizer = torch.optim.Adam(network.parameters(), task.lr)
    for _ in range(task.epochs):
        given = samples
        if task.augmentation is not None:
            given = task.augmentation(samples, random_seeds(generator, len(samples)))
        order = generator.permutation(len(samples))
        for begin in range(0, len(samples), task.batch_size):
            chosen = order[begin : begin + task.batch_size]
            _, potentials, _ = network(_frames(given.take(chosen), task, timesteps))
            wanted = torch.from_numpy(labels[chosen]).expand(timesteps, -1)
            loss = cross_entropy(potentials.flatten(0, 1), wanted.flatten())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            optimizer.step()

    def decide(given: SpikeTrains) -> tuple[NDArray[np.int64], float]:
        decided, hidden = [], 0.0
        with torch.no_grad():
            for begin in range(0, len(given), _EVALUATED):
                part = given[begin : begin + _EVALUATED]
                votes, potentials, spikes = network(_frames(part, task, timesteps))
                # A potential decides only between equal numbers of votes.
                rank = votes + 0.5 * torch.sigmoid(potentials[-1])
                decided.append(rank.argmax(1).numpy())
                hidden += float(spikes) * len(part)
        return np.concatenate(decided), hidden / max(len(given), 1)

    return decide


def random_seeds(generator: np.random.Generator, samples: int) -> NDArray[np.uint64]:
    """Return seeds for an augmentation, u64[samples]."""
    return generator.integers(2**64, size=samples, dtype=np.uint64)


def _frames(samples: SpikeTrains, task: Task, timesteps: int) -> Tensor:
    """Return the number of events of each input in each timestep.

    f32[timesteps, samples, inputs].
    """
    frames = torch.zeros(timesteps, len(samples), int(np.prod(samples.shape)))
    sample = np.repeat(np.arange(len(samples)), np.diff(samples.offsets))
    step = np.minimum(np.array(samples.t_us) // task.timestep_us, timesteps - 1)
    places = tuple(torch.from_numpy(a) for a in (step, sample, np.array(samples.index)))
    return frames.index_put_(places, torch.ones(len(step)), accumulate=True)
