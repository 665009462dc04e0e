"""The event record of a batch in the memory of the device."""

from dataclasses import dataclass, fields, replace
from typing import Final, Self

import torch
from torch import Tensor

from neuroasync.train.cuda.layout import STATUS_COLUMNS, CudaContext
from neuroasync.train.cuda.tables import Entries

__all__ = ["Capacity", "CudaRecord"]

_SLOT: Final = 4
"""Integers of a slot."""
_TURN: Final = 5
"""Integers of a turn."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Number of entries for which each part of a sample's record has room.

    Attributes:
        rows: Spikes that fire.
        slots: Spike events that are delivered.
        steps: Forward steps, the input groups included.
        turns: Turns under layer-sync.
        potentials: Potentials of turns.
    """

    rows: int
    slots: int
    steps: int
    turns: int
    potentials: int

    def grown(self, needed: Self) -> Self:
        """Return at least twice the capacity of each part that lacks room."""
        changes = {
            f.name: max(2 * getattr(self, f.name), getattr(needed, f.name))
            for f in fields(self)
            if getattr(needed, f.name) > getattr(self, f.name)
        }
        return replace(self, **changes)


class CudaRecord:
    """Result of the forward passes of a batch, and what the backward pass needs.

    Attributes:
        votes: f32[B, T, classes], spikes of the output population in each pass.
        spikes: f32[B, T, P], spikes of each population in each pass.
        labels: i64[B], decisions; -1 where there is none.
        status: i32[B, 6], see ``Status``.
        entries: Entries of the context, which keep the memory alive.

    Args:
        entries: Entries of the network, the batch and the settings.
        capacity: Capacity of a sample.
        keeps: Whether there will be a backward pass.
        device: Device of the tensors.
    """

    def __init__(
        self, entries: Entries, capacity: Capacity, keeps: bool, device: torch.device
    ) -> None:
        def of(column: int) -> int:
            return int(entries[column])

        def ints(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=torch.int32, device=device)

        def floats(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=torch.float32, device=device)

        b, t = of(CudaContext.SAMPLES), of(CudaContext.TIMESTEPS)
        n, p = of(CudaContext.NEURONS), of(CudaContext.POPULATION_COUNT)
        kept = t if keeps else 0
        self.votes = floats(b, t, of(CudaContext.CLASSES)).zero_()
        self.spikes = floats(b, t, p).zero_()
        self.labels = torch.full((b,), -1, dtype=torch.int64, device=device)
        self.status = ints(b, STATUS_COLUMNS).zero_()
        self.rows = ints(b, capacity.rows if keeps else 1)
        self.slots = ints(b, capacity.slots, _SLOT)
        self.step_rows, self.step_slots = ints(b, capacity.steps), ints(b, capacity.steps)
        self.pass_steps, self.pass_turns = ints(b, t + 1), ints(b, t + 1)
        self.turns = ints(b, capacity.turns if keeps else 1, _TURN)
        self.entries: Entries = entries | {
            CudaContext.VOTES: self.votes,
            CudaContext.SPIKES: self.spikes,
            CudaContext.LABELS: self.labels,
            CudaContext.STATUS: self.status,
            CudaContext.KEEPS: int(keeps),
            CudaContext.ROWS: capacity.rows,
            CudaContext.ROW_NEURON: self.rows,
            CudaContext.ROW_POTENTIAL: floats(*self.rows.shape),
            CudaContext.SLOTS: capacity.slots,
            CudaContext.SLOT: self.slots,
            CudaContext.STEPS: capacity.steps,
            CudaContext.STEP_ROWS: self.step_rows,
            CudaContext.STEP_SLOTS: self.step_slots,
            CudaContext.TURNS: capacity.turns,
            CudaContext.TURN: self.turns,
            CudaContext.POTENTIALS: capacity.potentials,
            CudaContext.TURN_POTENTIALS: floats(b, capacity.potentials if keeps else 1),
            CudaContext.PASS_STEPS: self.pass_steps,
            CudaContext.PASS_TURNS: self.pass_turns,
            CudaContext.PEAKS: floats(b, kept, n),
            CudaContext.PEAK_STEPS: ints(b, kept, n),
            CudaContext.FIRST: ints(b, kept, p),
            CudaContext.AFTER: ints(b, kept, p),
        }
