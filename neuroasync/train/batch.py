"""Batches: samples prepared for the kernels, with sorted events, end times and seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.run_settings import check_seed
from neuroasync.core.events.event_checks import int64_array
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.events.values import taken_values, value_array
from neuroasync.core.immutable import immutable, immutable_memory
from neuroasync.core.model.checks import check_fraction, check_int, must_be
from neuroasync.core.model.model import Model
from neuroasync.errors import LimitError
from neuroasync.train.kernels.batch_checks import is_consistent
from neuroasync.train.kernels.random_draws import gather

__all__ = ["Batch", "decay_table", "make_batch", "pass_intervals", "seed_array", "sorted_by_time"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A batch of B samples with at most T passes each. :func:`make_batch` makes one.

    Nobody can write its arrays, because kernels index memory with their values.

    Attributes:
        t_us, index: i64[events], times (µs) and input indices, in (time, index) order within a
            sample.
        offsets: i64[B + 1], start of each sample's events.
        end_us: i64[B], virtual time of each sample's last pass, µs; -1 if it has no pass.
        passes: i64[B], number of passes of each sample.
        seeds: u64[B], seed of each sample.
        input_size: Number of inputs of the network.
        timestep_us: Timestep of the network, µs; 0 for none.
        value: f32[events], values of the events; None if they are spikes.

    Raises:
        ValueError: The arrays do not describe such a batch.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]
    offsets: NDArray[np.int64]
    end_us: NDArray[np.int64]
    passes: NDArray[np.int64]
    seeds: NDArray[np.uint64]
    input_size: int
    timestep_us: int
    value: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.value is not None:
            object.__setattr__(self, "value", value_array(self.value, self.t_us.size))
        for name in ("t_us", "index", "offsets", "end_us", "passes"):
            object.__setattr__(self, name, immutable(getattr(self, name), np.int64))
        object.__setattr__(self, "seeds", immutable(self.seeds, np.uint64))
        if not self._is_consistent():
            raise ValueError("the arrays do not describe a batch; use `make_batch` to make one")

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Return how to make a pickle or a copy, with read-only arrays."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    def __len__(self) -> int:
        """Return the number of samples B."""
        return self.seeds.size

    @property
    def timesteps(self) -> int:
        """Number of passes T of the longest sample."""
        return int(self.passes.max(initial=0))

    def check_fits(self, model: Model) -> None:
        """Check that the batch was made for a network with these inputs and this timestep.

        Raises:
            ValueError: It was made for another network.
        """
        if (self.input_size, self.timestep_us) != (model.input_size, model.timestep_us):
            raise ValueError(
                f"`batch` must be made for a network with {model.input_size} inputs and a timestep "
                f"of {model.timestep_us} µs, got one for {self.input_size} inputs and "
                f"{self.timestep_us} µs"
            )

    def _is_consistent(self) -> bool:
        """Return whether kernels can index memory with the values of the arrays."""
        events, samples = self.t_us.size, self.seeds.size
        shapes = (self.t_us, events), (self.index, events), (self.offsets, samples + 1), (
            self.end_us, samples), (self.passes, samples), (self.seeds, samples)  # fmt: skip
        if any(array.shape != (size,) for array, size in shapes):
            return False
        return bool(
            is_consistent(
                self.t_us, self.index, self.offsets, self.end_us, self.passes, self.input_size,
                self.timestep_us,
            )
        )  # fmt: skip


def make_batch(
    model: Model,
    trains: SpikeTrains,
    samples: Sequence[int] | NDArray[np.int64],
    seeds: Sequence[int] | NDArray[np.uint64],
    duration_us: Duration | None = None,
    dropout: float = 0.0,
) -> Batch:
    """Gather samples from a data set.

    :class:`Batches` does so for all samples, epoch after epoch, and sorts their events only once.

    Args:
        model: The network to run.
        trains: The data set.
        samples: Numbers of the samples, in the order of the batch.
        seeds: Seed of each sample, from 0 to 2**64 - 1.
        duration_us: End of every sample, µs or such as ``"20ms"``. None ends each with its labels
            over time, or else with the bin of its last event.
        dropout: Probability that an input event is dropped (training only).

    Raises:
        ValueError: The samples have more inputs than the network, or a number or seed of a sample,
            ``duration_us`` or ``dropout`` is out of range.
        LimitError: A sample has more than ``limits.MAX_PASSES`` passes.
    """
    size = model.input_size
    if math.prod(trains.shape) > size:
        raise ValueError(
            f"`trains` must have at most {size} inputs, as the network has, "
            f"got shape {trains.shape}"
        )
    chosen = int64_array("samples", samples, ValueError)
    sample_seeds = seed_array(seeds, chosen.size)
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(trains):
        at = int(np.argmax((chosen < 0) | (chosen >= len(trains))))
        check_int(f"samples[{at}]", int(chosen[at]), 0, len(trains) - 1, ValueError)
    capacity = int((trains.offsets[chosen + 1] - trains.offsets[chosen]).sum())
    # Two pieces of memory would cost twice the calls.
    memory, events = immutable_memory(2 * capacity, np.int64)
    offsets = np.empty(chosen.size + 1, np.int64)
    times = np.empty((2, chosen.size), np.int64)
    given = np.empty(0, np.float32) if trains.value is None else trains.value
    value = np.empty(0 if trains.value is None else capacity, np.float32)
    length_us = optional_microseconds(duration_us, "duration_us")
    dropout = check_fraction("dropout", dropout)
    before_us = limits.MAX_TIME_US + 1 if length_us is None else length_us
    is_sorted = gather(
        trains.t_us, trains.index, given, trains.offsets, chosen, sample_seeds, before_us, dropout,
        memory[:capacity], memory[capacity:], value, offsets, times,
    )  # fmt: skip
    del memory
    if not is_sorted:
        # Only the chosen samples are sorted: the whole data set would cost its size at every batch.
        some = sorted_by_time(trains.take(chosen))
        return make_batch(model, some, range(len(some)), seeds, length_us, dropout)
    count = int(offsets[-1])
    t_us, index = events[:count], events[capacity : capacity + count]
    end_us = times[0]
    if length_us is not None:
        end_us = np.full(chosen.size, length_us - 1, np.int64)
    elif trains.labels_over_time is not None:
        end_us = trains.labels_over_time.durations_us[chosen] - 1
    passes = times[1]
    timestep = model.timestep_us
    if timestep:
        passes = end_us // timestep + 1  # 0 if the end is -1
    if (longest := passes.max(initial=0)) > limits.MAX_PASSES:
        raise LimitError(
            f"a sample must have at most {limits.MAX_PASSES} passes, got {longest}; "
            "use a longer timestep or a shorter duration_us"
        )
    values = None if trains.value is None else value[:count]
    return Batch(t_us, index, offsets, end_us, passes, sample_seeds, size, timestep, values)


def seed_array(seeds: Sequence[int] | NDArray[np.uint64], samples: int) -> NDArray[np.uint64]:
    """Return the seeds of some samples as u64[samples].

    Raises:
        ValueError: One is out of range, or there is another number of them.
    """
    if isinstance(seeds, np.ndarray) and seeds.dtype == np.uint64 and seeds.ndim == 1:
        array = immutable(seeds, np.uint64)
    else:
        array = np.array([check_seed(seed) for seed in seeds], np.uint64)
    if array.size != samples:
        requirement = f"one seed for each of the {samples} samples"
        raise ValueError(must_be("seeds", requirement, f"{array.size} seeds"))
    return array


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
    value = taken_values(trains.value, order)
    return replace(trains, t_us=trains.t_us[order], index=trains.index[order], value=value)


def pass_intervals(model: Model, batch: Batch) -> tuple[list[int], NDArray[np.int64]]:
    """Return the distinct intervals between passes, µs, and which of them precedes each pass.

    Returns:
        The D intervals; and i64[B, T], the number of the interval before each pass.
    """
    shape = (len(batch), batch.timesteps)
    if model.timestep_us or not shape[0] * shape[1]:
        return [model.timestep_us], np.zeros(shape, np.int64)
    intervals = np.zeros(shape, np.int64)
    for k in range(len(batch)):
        times = np.unique(batch.t_us[batch.offsets[k] : batch.offsets[k + 1]])
        intervals[k, 1 : times.size] = np.diff(times)
    distinct, rows = np.unique(intervals, return_inverse=True)
    return distinct.tolist(), rows.reshape(shape).astype(np.int64)


def decay_table(
    packed: PackedNetwork, batch: Batch
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the decay factors of each distinct interval between two passes.

    Returns:
        f32[D, N], the factors; and i64[B, T], the row for the time before each pass of a sample.
    """
    intervals, rows = pass_intervals(packed.model, batch)
    return np.stack([packed.decay(interval) for interval in intervals]), rows
