"""State of one forward pass in the torch engine, and the sites that result from it."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from bench.torch_engine.tables import Tables

__all__ = ["FIRED", "NONE", "Pass"]

NONE: Final = -1
"""Mark of a neuron or population that was not evaluated."""
FIRED: Final = -2
"""Mark of a neuron that fired. It has no silent site."""


@dataclass
class Pass:
    """State of one pass of B samples.

    Sites are ordered by a time: 2 * step + 1 is the evaluation in a forward step, and 2 * step is
    just before it.

    Attributes:
        index: Number of the pass.
        active: bool[B], samples that have this pass.
        ghost: [B, N], sum of the ghosts (see :mod:`.forward`) that wait for each neuron's next
            site.
        waiting: [B, N], multiplicity of each neuron's pending spike.
        queued: bool[B, E], input events that are pending.
        arrival: i64[B, N], step in which each neuron's pending spike fired.
        received: [B, N], number of spikes that each neuron received in this pass.
        reached: bool[B, N], neurons that were evaluated in this pass.
        refractory: bool[B, N], neurons that are refractory.
        peak: [B, N], highest silent potential of each neuron.
        site: i64[B, N], time of that silent evaluation; ``NONE`` or ``FIRED`` without one.
        first: i64[B, P], step in which each population was first evaluated, or ``NONE``.
        after: i64[B, P], first late step of a population behind this one, or ``NONE``.
        steps: i64[B], number of forward steps so far, the input group included.
    """

    index: int
    active: Tensor
    ghost: Tensor
    waiting: Tensor
    queued: Tensor
    arrival: Tensor
    received: Tensor
    reached: Tensor
    refractory: Tensor
    peak: Tensor
    site: Tensor
    first: Tensor
    after: Tensor
    steps: Tensor

    def note_first(self, step: int, p: int, is_reached: Tensor) -> None:
        """Note that population ``p`` is evaluated in ``step``, in the samples bool[B]."""
        first = self.first.clone()
        first[:, p] = torch.where(is_reached & (first[:, p] == NONE), step, first[:, p])
        self.first = first

    def note_peaks(self, step: int, v: Tensor, fire: Tensor, silent: Tensor) -> None:
        """Note which neurons fired in ``step``, and which were evaluated and stayed silent.

        Args:
            step: Forward step.
            v: [B, N], membrane potentials of the evaluation.
            fire: bool[B, N], neurons that fired.
            silent: bool[B, N], neurons that were evaluated and did not fire.
        """
        silent = silent & (self.site != FIRED)
        higher = silent & ((self.site == NONE) | (v > self.peak))
        self.peak = torch.where(higher, v, self.peak)
        self.site = torch.where(fire, FIRED, torch.where(higher, 2 * step + 1, self.site))

    def silent_sites(self, tables: Tables) -> Tensor:
        """Return the time of each neuron's silent site, i64[B, N]; negative if it has none."""
        after = torch.where(self.after == NONE, self.steps[:, None], self.after)
        unreached = torch.where(self.first == NONE, 2 * after, 2 * self.first + 1)
        unreached = unreached[:, tables.owner]
        sites = torch.where((self.site == NONE) & (tables.neurons.sync == 0), unreached, self.site)
        return torch.where(self.active[:, None], sites, NONE)
