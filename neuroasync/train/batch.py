"""Samples made ready for the kernels: events in order, when each ends, its seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.model.model import Model
from neuroasync.errors import LimitError
from neuroasync.train.kernels.random_draws import gather

__all__ = ["Batch", "make_batch", "sorted_by_time"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples, B of them, of at most T passes each.

    Attributes:
        t_us, index: i64[events], by (time, index) within a sample.
        offsets: i64[B + 1], where each sample's events begin.
        end_us: i64[B], passes at virtual times up to this one take place; -1 for none.
        passes: i64[B], how many that are.
        seeds: u64[B].
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]
    offsets: NDArray[np.int64]
    end_us: NDArray[np.int64]
    passes: NDArray[np.int64]
    seeds: NDArray[np.uint64]

    def __len__(self) -> int:
        """Number of samples B."""
        return self.seeds.size

    @property
    def timesteps(self) -> int:
        """Passes T of the longest sample."""
        return int(self.passes.max(initial=0))


def make_batch(
    model: Model,
    trains: SpikeTrains,
    samples: Sequence[int] | NDArray[np.int64],
    seeds: Sequence[int],
    duration_us: int | None = None,
    dropout: float = 0.0,
) -> Batch:
    """Gather samples out of a data set.

    Args:
        model: the network that they are for.
        trains: the data set.
        samples: which of it, in this order.
        seeds: of each, from 0 to 2**64 - 1.
        duration_us: end every sample here, µs; None ends each with its last event's bin.
        dropout: probability that an input event is dropped (training only).

    Raises:
        ValueError: indices reach beyond the network's input.
        LimitError: a sample has more than ``limits.MAX_PASSES`` passes.
    """
    size = model.input_size
    if np.prod(trains.shape) > size:
        raise ValueError(f"input of shape {trains.shape}, expected at most {size} cells")
    which = np.asarray(samples, np.int64)
    drawn = np.array(seeds, np.uint64)
    room = int(np.diff(trains.offsets)[which].sum())
    t_us, index = np.empty(room, np.int64), np.empty(room, np.int64)
    offsets = np.empty(which.size + 1, np.int64)
    times = np.empty((2, which.size), np.int64)
    before_us = limits.MAX_TIME_US + 1 if duration_us is None else duration_us
    is_sorted = gather(
        trains.t_us, trains.index, trains.offsets, which, drawn, before_us, dropout, t_us, index,
        offsets, times,
    )  # fmt: skip
    if not is_sorted:
        return make_batch(model, sorted_by_time(trains), samples, seeds, duration_us, dropout)
    t_us, index = t_us[: offsets[-1]], index[: offsets[-1]]
    end_us = times[0]
    if duration_us is not None:
        end_us = np.full(which.size, duration_us - 1, np.int64)
    passes = times[1]
    if timestep := model.timestep_us:
        passes = np.where(end_us < 0, 0, end_us // timestep + 1).astype(np.int64)
    if (most := passes.max(initial=0)) > limits.MAX_PASSES:
        raise LimitError(f"a sample of {most} passes, the limit is {limits.MAX_PASSES}")
    return Batch(t_us, index, offsets, end_us, passes, drawn)


def sorted_by_time(trains: SpikeTrains) -> SpikeTrains:
    """The same samples with their events in (time, index) order, in which batches have them.

    Returns:
        ``trains`` itself, if they have them so already.
    """
    same_time = trains.t_us[1:] == trains.t_us[:-1]
    falls = same_time & (trains.index[1:] < trains.index[:-1])
    begins = trains.offsets[1:-1]
    falls[begins[(begins > 0) & (begins < len(trains.t_us))] - 1] = False  # of another sample
    if not falls.any():
        return trains
    sample = np.repeat(np.arange(len(trains)), np.diff(trains.offsets))
    order = np.lexsort((trains.index, trains.t_us, sample))
    return replace(trains, t_us=trains.t_us[order], index=trains.index[order])
