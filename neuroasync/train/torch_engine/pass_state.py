"""State of one forward pass in the plain torch formulation, and where its sites are."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from neuroasync.train.torch_engine.tables import Tables

__all__ = ["FIRED", "NONE", "Pass"]

NONE: Final = -1
FIRED: Final = -2


@dataclass
class Pass:
    """State of one pass: [B, N] each, [B, P] for populations, [B, N + E] for pending spikes."""

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
    """When a silent neuron has its site: 2 step + 1; 2 step is before all of that step."""
    first: Tensor
    after: Tensor
    steps: Tensor

    def note_first(self, step: int, p: int, is_reached: Tensor) -> None:
        """Population ``p`` is evaluated in ``step``, in the samples bool[B]."""
        first = self.first.clone()
        first[:, p] = torch.where(is_reached & (first[:, p] == NONE), step, first[:, p])
        self.first = first

    def note_peaks(self, step: int, v: Tensor, fire: Tensor, silent: Tensor) -> None:
        """Who fired in ``step`` at ``v``, and who was evaluated and stayed silent: [B, N]."""
        silent = silent & (self.site != FIRED)
        higher = silent & ((self.site == NONE) | (v > self.peak))
        self.peak = torch.where(higher, v, self.peak)
        self.site = torch.where(fire, FIRED, torch.where(higher, 2 * step + 1, self.site))

    def silent_sites(self, tables: Tables) -> Tensor:
        """When each silent neuron has its site: i64[B, N], negative for none."""
        after = torch.where(self.after == NONE, self.steps[:, None], self.after)
        unreached = torch.where(self.first == NONE, 2 * after, 2 * self.first + 1)
        unreached = unreached[:, tables.owner]
        sites = torch.where((self.site == NONE) & (tables.sync == 0), unreached, self.site)
        return torch.where(self.active[:, None], sites, NONE)
