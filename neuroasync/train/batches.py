"""The batches of a data set, epoch after epoch."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.run_settings import check_seed
from neuroasync.core.events.event_checks import int64_array
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import check_fraction, check_int, must_be
from neuroasync.core.model.model import Model
from neuroasync.train.augmentation import Augmentation
from neuroasync.train.batch import Batch, make_batch, sorted_by_time
from neuroasync.train.kernels.random_draws import sample_seeds, shuffle_keys

__all__ = ["Batches"]


class Batches:
    """The batches of a data set, in another order in each epoch.

    The order, and everything that is random in a batch, depend on the seed and the number of the
    epoch only. The events of the data set are sorted once, when this object is made.

    Args:
        model: The network to run.
        trains: Samples with labels.
        batch_size: Samples in each batch; the last batch of an epoch may have fewer.
        seed: Seed of the order, of the seeds of the samples and of the dropout.
        duration_us: End of every sample, µs or such as ``"20ms"``. None ends each with its labels
            over time, or else with the bin of its last event.
        dropout: Probability that an input event is dropped, from 0 to 1.
        augmentation: Function that changes the samples of each batch, such as ``Shift(2)``; see
            :mod:`neuroasync.train.augmentation`. It does not change when a sample ends.

    Attributes:
        labels: i64[samples], the classes; or i64[samples, intervals], the classes over time, -1
            where there is none.

    Raises:
        ValueError: The samples have no labels, or an argument is out of range. :meth:`epoch` and
            :meth:`batch` raise it if the augmentation returns another number of samples.
    """

    def __init__(
        self,
        model: Model,
        trains: SpikeTrains,
        batch_size: int = 64,
        *,
        seed: int = 0,
        duration_us: Duration | None = None,
        dropout: float = 0.0,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.labels = torch.from_numpy(_labels(trains))
        self._model, self._trains = model, sorted_by_time(trains)
        self._size = check_int("batch_size", batch_size, 1, 2**53 - 1, ValueError)
        self._seed = check_seed(seed)
        self._duration_us = optional_microseconds(duration_us, "duration_us")
        self._dropout = check_fraction("dropout", dropout)
        self._augmentation = augmentation

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return math.ceil(len(self._trains) / self._size)

    def epoch(self, epoch: int) -> Iterator[tuple[Batch, Tensor]]:
        """Yield the batches of an epoch, each with its part of :attr:`labels`.

        Args:
            epoch: Number of the epoch, from 0.
        """
        for chosen in self.chosen(epoch):
            yield self.batch(epoch, chosen), self.labels[torch.from_numpy(chosen)]

    def chosen(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the numbers of the samples of each batch of an epoch, i64[B]."""
        epoch = _checked_epoch(epoch)
        keys = shuffle_keys(np.uint64(self._seed), epoch, len(self._trains))
        order = np.argsort(keys, kind="stable")
        return [order[at : at + self._size] for at in range(0, len(order), self._size)]

    def batch(self, epoch: int, samples: NDArray[np.int64]) -> Batch:
        """Return some samples as they are in an epoch.

        Args:
            epoch: Number of the epoch, from 0.
            samples: Their numbers, in the order of the batch.
        """
        # A sample has another seed in each epoch, and so another order and other dropout.
        seed = sample_seed(self._seed, _checked_epoch(epoch))
        seeds = sample_seeds(np.uint64(seed), int64_array("samples", samples, ValueError))
        if self._augmentation is None:
            return make_batch(
                self._model, self._trains, samples, seeds, self._duration_us, self._dropout
            )
        taken, everyone = self._trains.take(samples), range(len(samples))
        changed = self._augmentation(taken, seeds.copy())
        if len(changed) != len(taken):
            requirement = f"a function that returns as many samples as it gets, {len(taken)}"
            raise ValueError(must_be("augmentation", requirement, f"{len(changed)} samples"))
        batch = make_batch(self._model, changed, everyone, seeds, self._duration_us, self._dropout)
        if not self._model.timestep_us:
            return batch
        # A sample must not end earlier because its last event was dropped or moved.
        whole = make_batch(self._model, taken, everyone, seeds, self._duration_us)
        return replace(batch, end_us=whole.end_us, passes=whole.passes)


def _checked_epoch(epoch: object) -> int:
    """Return the number of an epoch as an int; raise ValueError if it is none."""
    return check_int("epoch", epoch, 0, 2**53 - 1, ValueError)


def _labels(trains: SpikeTrains) -> NDArray[np.int64]:
    """Return the classes as a new array; see :class:`Batches`."""
    over = trains.labels_over_time
    if over is None:
        if trains.labels is None:
            raise ValueError("`trains` must have labels, got samples without labels")
        return np.array(trains.labels, np.int64)
    sizes = np.diff(over.offsets)
    places = np.arange(sizes.max(initial=0))
    labels = np.full((len(over), places.size), -1, np.int64)
    labels[places < sizes[:, None]] = over.labels
    return labels
