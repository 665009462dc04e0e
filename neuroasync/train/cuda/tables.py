"""The network and a batch as tensors on the device of the kernels."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.kernels.layout import Connections, Populations
from neuroasync.train.batch import Batch, decay_table
from neuroasync.train.cuda.layout import SEVERAL, CudaContext

__all__ = ["BatchTables", "NetworkTables", "bits", "on_device", "write"]

Entries = dict[int, Tensor | int]
"""Entries of a context: tensors, whose addresses count, and numbers."""


def bits(value: float) -> int:
    """Return the bits of an f64 as a signed integer."""
    return int(np.float64(value).view(np.int64))


def write(entries: Entries) -> NDArray[np.int64]:
    """Return a context, i64[..]; entries that are not given are 0."""
    context = np.zeros(len(CudaContext), np.int64)
    for column, value in entries.items():
        context[column] = value.data_ptr() if isinstance(value, Tensor) else value
    return context


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return a copy of an array as a tensor on a device.

    Pinned memory lets the copy to a GPU run while the CPU goes on.
    """
    tensor = torch.from_numpy(np.array(array))
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


class NetworkTables:
    """The tables of a network.

    Attributes:
        entries: Entries of the context.
        ring: 1 + the longest delay in passes.

    Args:
        packed: The network.
        device: Device of the tensors.
    """

    def __init__(self, packed: PackedNetwork, device: torch.device) -> None:
        model, arrays = packed.model, packed.arrays
        connections = arrays.connections.copy()
        lags = connections[:, Connections.DELAY] // max(model.timestep_us, 1)
        connections[:, Connections.DELAY] = lags
        due = [c for c in np.argsort(-lags, kind="stable").tolist() if lags[c]]
        rows = arrays.populations
        sizes = (rows[:, Populations.STOP] - rows[:, Populations.START])[:-1]

        def ints(array: NDArray[np.int64] | NDArray[np.int32]) -> Tensor:
            return on_device(array.astype(np.int32), device)

        self.ring = 1 + int(lags.max(initial=0))
        self.entries: Entries = {
            CudaContext.POPULATIONS: ints(rows),
            CudaContext.CONNECTIONS: ints(connections),
            CudaContext.LINKS: ints(arrays.links),
            CudaContext.OWNER: ints(np.repeat(np.arange(sizes.size), sizes)),
            CudaContext.ROUTES: ints(_routes(connections, sizes.size)),
            CudaContext.THRESHOLDS: on_device(arrays.thresholds, device),
            CudaContext.DUE: ints(np.array(due, np.int64)),
            CudaContext.DUE_COUNT: len(due),
            CudaContext.NEURONS: model.size,
            CudaContext.POPULATION_COUNT: sizes.size,
            CudaContext.CONNECTION_COUNT: len(connections),
            CudaContext.OUTPUT: model.index(model.output),
            CudaContext.CLASSES: int(sizes[model.index(model.output)]),
            CudaContext.WEIGHT_COUNT: arrays.weights.size,
            CudaContext.RING: self.ring,
        }


def _routes(connections: NDArray[np.int64], populations: int) -> NDArray[np.int64]:
    """Return the connection without delay from each population, the input last, to each."""
    routes = np.full((populations + 1, populations), -1, np.int64)
    for c, row in enumerate(connections):
        if row[Connections.DELAY] == 0:
            pair = row[Connections.SOURCE], row[Connections.TARGET]
            routes[pair] = c if routes[pair] == -1 else SEVERAL
    return routes


class BatchTables:
    """The input of a batch.

    Attributes:
        entries: Entries of the context.
        passes: i64[B], number of passes of each sample.
        pass_events: Maximum number of input slots of a pass; if queued, of input events.
        queued_events: Maximum number of queued input events in a pass.
        input_slots: Maximum number of input slots of a sample.

    Args:
        packed: The network.
        batch: The samples.
        is_queued: Whether the input is queued.
        device: Device of the tensors.
    """

    def __init__(
        self, packed: PackedNetwork, batch: Batch, is_queued: bool, device: torch.device
    ) -> None:
        model, passes = packed.model, batch.timesteps
        self.passes = _passes(batch)
        table, row = decay_table(packed, batch)
        cell, index = _cells(batch, device)
        cells = len(batch) * passes
        if is_queued:
            count = torch.ones_like(cell)
        else:  # the events of an input in a pass share a slot
            inputs = math.prod(model.input_shape)
            key, _ = torch.sort(cell * inputs + index)
            key, count = torch.unique_consecutive(key, return_counts=True)
            cell, index = key // inputs, key % inputs
        per_cell = torch.bincount(cell, minlength=cells)
        starts = torch.zeros(cells + 1, dtype=torch.int64, device=device)
        torch.cumsum(per_cell, 0, out=starts[1:])
        self.pass_events = int(per_cell.max()) if cells else 0
        self.queued_events = self.pass_events if is_queued else 0
        self.input_slots = int(per_cell.view(len(batch), -1).sum(1).max()) if cells else 0
        self.entries: Entries = {
            CudaContext.DECAYS: on_device(table, device),
            CudaContext.DECAY_OF: on_device(row.astype(np.int32), device),
            CudaContext.SAMPLES: len(batch),
            CudaContext.TIMESTEPS: passes,
            CudaContext.SEEDS: on_device(batch.seeds.view(np.int64), device),
            CudaContext.PASSES: on_device(self.passes.astype(np.int32), device),
            CudaContext.INPUT_STARTS: starts.int(),
            CudaContext.INPUT_ORIGIN: (index + model.size).int(),
            CudaContext.INPUT_COUNT: count.int(),
            CudaContext.QUEUED_EVENTS: self.queued_events,
        }


def _cells(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the (sample, pass) of each event as one number i64[events], and its input index."""
    t_us = on_device(batch.t_us, device)
    index = on_device(batch.index, device)
    offsets = on_device(batch.offsets, device)
    sample = torch.repeat_interleave(torch.arange(len(batch), device=device), offsets.diff())
    if batch.timestep_us:
        at = t_us // batch.timestep_us
    else:  # every distinct time is a pass
        is_new = torch.ones_like(t_us)
        is_new[1:] = (t_us.diff() != 0) | (sample.diff() != 0)
        number = torch.cumsum(is_new, 0)
        at = number - number[offsets[sample]] if t_us.numel() else t_us
    end_us = on_device(batch.end_us, device)
    runs = t_us <= end_us[sample]
    return (sample * batch.timesteps + at)[runs], index[runs]


def _passes(batch: Batch) -> NDArray[np.int64]:
    """Return how many passes of each sample run."""
    if batch.timestep_us:
        return np.where(batch.end_us < 0, 0, batch.end_us // batch.timestep_us + 1)
    passes = np.zeros(len(batch), np.int64)
    for k in range(len(batch)):
        times = np.unique(batch.t_us[batch.offsets[k] : batch.offsets[k + 1]])
        passes[k] = np.searchsorted(times, batch.end_us[k], "right")
    return passes
