"""The agreement report: whether an imported network fires as its framework does.

The network runs under ``layer-sync``, as every layered framework does. Two samples agree in a layer
if the same neurons fire in the same timesteps. Labels are the classes with the most votes. A
framework takes the lowest index of a tie; a decision takes the class that reached its count first.

Leaky integrators do not fire. Two samples agree in them if all potentials are equal in each
timestep, up to the rounding of sums: they differ by at most 1e-5 of the largest potential of the
sample. Labels are then the classes of the highest potential after the last timestep.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Agreement", "Difference"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first spike of a sample in which the network and the framework differ.

    "First" means the earliest timestep, then the layer, then the neuron.

    Attributes:
        sample: Number of the sample.
        timestep: Number of the timestep, from 0.
        layer: Name of the layer.
        neuron: Position of the neuron in its layer.
        fired: Whether the neuron fired in the network; in the framework it did the opposite. None
            for a leaky integrator, whose potential differs.
        potential: Membrane potential in the network when the neuron was evaluated.
        framework_potential: Membrane potential in the framework after the timestep; None if it is
            not known.
        threshold: Threshold of the neuron in the network.
    """

    sample: int
    timestep: int
    layer: str
    neuron: int
    fired: bool | None
    potential: float
    framework_potential: float | None
    threshold: float

    def __str__(self) -> str:
        """Return the difference as a sentence."""
        place = f"sample {self.sample}, timestep {self.timestep}: {self.layer}[{self.neuron}]"
        known = self.framework_potential
        theirs = "" if known is None else f", in the framework {known:.9g}"
        if self.fired is None:
            return f"{place} has the potential {self.potential:.9g} in the network{theirs}"
        fired_in = "the network" if self.fired else "the framework"
        return (
            f"{place} fired in {fired_in} only; its potential is {self.potential:.9g} in the "
            f"network{theirs}, and its threshold {self.threshold:.9g}"
        )


@dataclass(frozen=True, eq=False)
class Agreement:
    """How a network and the framework that it comes from agree on reference samples.

    Attributes:
        framework: Name and version of the framework.
        layers: Names of the layers.
        timesteps: Number of timesteps of each sample.
        agrees: bool[samples, layers], whether all spikes of a layer are the same, or the potentials
            of leaky integrators.
        votes: i64[samples, classes], spikes of the output in the network.
        framework_votes: i64[samples, classes], spikes of the output in the framework.
        labels: i64[samples], labels of the network; -1 without a vote.
        spikes: i64[layers], spikes of each layer of the framework in all samples.
        differences: The first difference of each sample that differs, at most 10.
        notes: Sentences about what the import maps under a condition only.
        potentials: f32[samples, timesteps, classes], potentials of the output in the network if it
            consists of leaky integrators, else None.
        framework_potentials: The same in the framework.
    """

    framework: str
    layers: tuple[str, ...]
    timesteps: int
    agrees: NDArray[np.bool_]
    votes: NDArray[np.int64]
    framework_votes: NDArray[np.int64]
    labels: NDArray[np.int64]
    spikes: NDArray[np.int64]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    potentials: NDArray[np.float32] | None = None
    framework_potentials: NDArray[np.float32] | None = None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.agrees)

    @cached_property
    def exact(self) -> int:
        """Number of samples whose spikes are the same in every layer."""
        return int(self.agrees.all(axis=1).sum())

    @cached_property
    def framework_labels(self) -> NDArray[np.int64]:
        """i64[samples], the first class with the most votes, or the highest last potential.

        -1 without a vote.
        """
        if self.framework_potentials is not None:
            return np.asarray(self.framework_potentials[:, -1].argmax(axis=1), np.int64)
        return np.where(self.framework_votes.any(axis=1), self.framework_votes.argmax(axis=1), -1)

    @cached_property
    def ties(self) -> int:
        """Number of samples in which two classes of the framework share the first place."""
        if self.framework_potentials is not None:
            last = self.framework_potentials[:, -1]
            return int(((last == last.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())
        most = self.framework_votes.max(axis=1, keepdims=True)
        return int(((self.framework_votes == most).sum(axis=1) > 1)[most[:, 0] > 0].sum())

    @property
    def largest_error(self) -> float | None:
        """Largest difference of two potentials of the output; None if the output fires."""
        if self.potentials is None or self.framework_potentials is None:
            return None
        return float(np.abs(self.potentials - self.framework_potentials).max())

    @property
    def same_votes(self) -> int:
        """Number of samples whose classes all have the same votes."""
        return int((self.votes == self.framework_votes).all(axis=1).sum())

    @property
    def same_labels(self) -> int:
        """Number of samples with the same label, ties included."""
        return int((self.labels == self.framework_labels).sum())

    def __str__(self) -> str:
        """Return the report as text."""
        n = self.samples
        lines = [
            f"{self.exact} of {n} samples give the same spikes in every layer "
            f"({self.framework}, {self.timesteps} timesteps)"
        ]
        for k, name in enumerate(self.layers):
            same, spikes = int(self.agrees[:, k].sum()), f"{int(self.spikes[k])} spikes"
            if k == len(self.layers) - 1 and self.largest_error is not None:
                spikes = f"potentials that differ by at most {self.largest_error:.2g}"
            lines.append(f"  {name}: {same} of {n} samples, {spikes}")
        labels = f"in {self.same_labels} of {n}"
        if self.potentials is not None:
            lines.append(f"labels by the last potentials: the same {labels} ({self.ties} ties)")
        else:
            lines.append(
                f"votes: the same in {self.same_votes} of {n}; labels: {labels} ({self.ties} ties, "
                "which the framework gives to the lowest class and the network to the first)"
            )
        lines += [f"difference: {difference}" for difference in self.differences]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Agreement: {self.exact} of {self.samples} samples in every layer>"
