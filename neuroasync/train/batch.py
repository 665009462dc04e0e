"""Batches: samples prepared for the kernels, with sorted events, end times and seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.run_settings import check_seed
from neuroasync.core.events.event_checks import int64_array
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.model.checks import check_int, must_be
from neuroasync.core.model.model import Model
from neuroasync.errors import LimitError
from neuroasync.train.kernels.random_draws import gather

__all__ = ["Batch", "make_batch", "sorted_by_time"]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of B samples with at most T passes each.

    Attributes:
        t_us, index: i64[events], times (µs) and input indices, in (time, index) order within a
            sample.
        offsets: i64[B + 1], start of each sample's events.
        end_us: i64[B], virtual time of each sample's last pass, µs; -1 if it has no pass.
        passes: i64[B], number of passes of each sample.
        seeds: u64[B], seed of each sample.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]
    offsets: NDArray[np.int64]
    end_us: NDArray[np.int64]
    passes: NDArray[np.int64]
    seeds: NDArray[np.uint64]

    def __len__(self) -> int:
        """Return the number of samples B."""
        return self.seeds.size

    @property
    def timesteps(self) -> int:
        """Number of passes T of the longest sample."""
        return int(self.passes.max(initial=0))


def make_batch(
    model: Model,
    trains: SpikeTrains,
    samples: Sequence[int] | NDArray[np.int64],
    seeds: Sequence[int],
    duration_us: Duration | None = None,
    dropout: float = 0.0,
) -> Batch:
    """Gather samples from a data set.

    Args:
        model: The network to run.
        trains: The data set.
        samples: Numbers of the samples, in the order of the batch.
        seeds: Seed of each sample, from 0 to 2**64 - 1.
        duration_us: End of every sample, µs or such as ``"20ms"``. None ends each with the bin of
            its last event.
        dropout: Probability that an input event is dropped (training only).

    Raises:
        ValueError: The samples have more inputs than the network, or a number or seed of a sample
            is out of range.
        LimitError: A sample has more than ``limits.MAX_PASSES`` passes.
    """
    size = model.input_size
    if np.prod(trains.shape) > size:
        raise ValueError(
            f"`trains` must have at most {size} inputs, as the network has, "
            f"got shape {trains.shape}"
        )
    chosen = int64_array("samples", samples, ValueError)
    sample_seeds = np.array([check_seed(seed) for seed in seeds], np.uint64)
    if sample_seeds.size != chosen.size:
        requirement = f"one seed for each of the {chosen.size} samples"
        raise ValueError(must_be("seeds", requirement, f"{sample_seeds.size} seeds"))
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(trains):
        at = int(np.argmax((chosen < 0) | (chosen >= len(trains))))
        check_int(f"samples[{at}]", int(chosen[at]), 0, len(trains) - 1, ValueError)
    capacity = int(np.diff(trains.offsets)[chosen].sum())
    t_us, index = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    offsets = np.empty(chosen.size + 1, np.int64)
    times = np.empty((2, chosen.size), np.int64)
    length_us = optional_microseconds(duration_us, "duration_us")
    before_us = limits.MAX_TIME_US + 1 if length_us is None else length_us
    is_sorted = gather(
        trains.t_us, trains.index, trains.offsets, chosen, sample_seeds, before_us, dropout, t_us,
        index, offsets, times,
    )  # fmt: skip
    if not is_sorted:
        # Callers that build many batches sort the data set once, so this is the rare case.
        return make_batch(model, sorted_by_time(trains), samples, seeds, length_us, dropout)
    t_us, index = t_us[: offsets[-1]], index[: offsets[-1]]
    end_us = times[0]
    if length_us is not None:
        end_us = np.full(chosen.size, length_us - 1, np.int64)
    passes = times[1]
    if timestep := model.timestep_us:
        passes = np.where(end_us < 0, 0, end_us // timestep + 1).astype(np.int64)
    if (longest := passes.max(initial=0)) > limits.MAX_PASSES:
        raise LimitError(
            f"a sample must have at most {limits.MAX_PASSES} passes, got {longest}; "
            "use a longer timestep or a shorter duration_us"
        )
    return Batch(t_us, index, offsets, end_us, passes, sample_seeds)


def sorted_by_time(trains: SpikeTrains) -> SpikeTrains:
    """Return the same samples with their events in (time, index) order, as batches need them.

    Returns:
        ``trains`` itself if its events are in that order already.
    """
    same_time = trains.t_us[1:] == trains.t_us[:-1]
    falls = same_time & (trains.index[1:] < trains.index[:-1])
    # The last event of one sample and the first of the next may be in any order.
    begins = trains.offsets[1:-1]
    falls[begins[(begins > 0) & (begins < len(trains.t_us))] - 1] = False
    if not falls.any():
        return trains
    sample = np.repeat(np.arange(len(trains)), np.diff(trains.offsets))
    order = np.lexsort((trains.index, trains.t_us, sample))
    return replace(trains, t_us=trains.t_us[order], index=trains.index[order])
