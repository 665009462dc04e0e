"""Decisions of a network on a data set."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroasync.core.durations import Duration
from neuroasync.core.engine.run_settings import RunSettings, check_seed
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import VoteWindow
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import check_int, must_be
from neuroasync.runtime.over_time.decisions import labels_of_scores
from neuroasync.train.autograd_function import ForwardResult
from neuroasync.train.batch import sorted_by_time
from neuroasync.train.loop.data_checks import check_labels_over_time
from neuroasync.train.loop.length_split import split_by_length
from neuroasync.train.loop.torch_state import own_torch_state
from neuroasync.train.losses import window_votes
from neuroasync.train.module import SpikingNetwork

__all__ = ["evaluate", "evaluate_over_time", "window_scores"]


@own_torch_state()
def evaluate(
    network: SpikingNetwork,
    trains: SpikeTrains,
    settings: RunSettings,
    seed: int = 0,
    duration_us: Duration | None = None,
    batch_size: int = 256,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Decide every sample as the runtime would.

    Args:
        network: The network.
        trains: The samples.
        settings: Ordering policy, group size and input mode.
        seed: Sample i runs with ``sample_seed(seed, i)``.
        duration_us: End of every sample, µs or such as ``"20ms"``. None ends each with its labels
            over time, or else with the bin of its last event.
        batch_size: Number of samples that run at a time. It does not change the result.

    Returns:
        i64[samples], the decisions, -1 where there is none; and f64[P], mean number of spikes per
        sample of each population.

    Raises:
        ValueError: ``seed``, ``duration_us`` or ``batch_size`` is out of range.
    """
    labels = np.empty(len(trains), np.int64)
    spikes = np.zeros(len(network.model.populations))
    for chosen, result in _results(network, trains, settings, seed, duration_us, batch_size):
        labels[chosen] = result.labels.cpu().numpy()
        spikes += _spikes(result)
    return labels, spikes / max(1, len(trains))


@own_torch_state()
def evaluate_over_time(
    network: SpikingNetwork,
    trains: SpikeTrains,
    settings: RunSettings,
    vote_window: VoteWindow,
    seed: int = 0,
    batch_size: int = 256,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Decide at the end of each interval of each sample, as the runtime would.

    Args:
        network: The network.
        trains: Samples with labels over time.
        settings: Ordering policy, group size and input mode.
        vote_window: Which votes count for a decision.
        seed: Sample i runs with ``sample_seed(seed, i)``.
        batch_size: Number of samples that run at a time. It does not change the result.

    Returns:
        i64[intervals], the decisions on the intervals of all samples, one sample after the other,
        -1 where there is none; and f64[P], mean number of spikes per sample of each population.

    Raises:
        ValueError: The samples have no labels over time, the intervals do not fit the network or
            the vote window, or ``seed`` or ``batch_size`` is out of range.
    """
    over = trains.labels_over_time
    if over is None:
        raise ValueError(must_be("trains", "samples with labels over time", "none of them"))
    check_labels_over_time("trains", over, network.model, vote_window)
    passes, intervals = (
        over.every_us // network.model.timestep_us,
        vote_window.intervals(over.every_us),
    )
    labels = np.empty(over.labels.size, np.int64)
    spikes = np.zeros(len(network.model.populations))
    for chosen, result in _results(network, trains, settings, seed, None, batch_size):
        scores = window_scores(result, passes, intervals).cpu().numpy()
        found = labels_of_scores(scores, fires=result.potentials is None)
        for k, row in zip(chosen.tolist(), found, strict=True):
            first, stop = over.offsets[k], over.offsets[k + 1]
            labels[first:stop] = row[: stop - first]
        spikes += _spikes(result)
    return labels, spikes / max(1, len(trains))


def window_scores(result: ForwardResult, passes: int, intervals: int) -> Tensor:
    """Return what decides at the end of each interval, f32[B, intervals of the batch, classes].

    These are the votes in the vote window or, for leaky integrators, the sum of their potentials at
    the ends of the intervals in it.

    Args:
        result: Result of a batch.
        passes: Number of passes of an interval.
        intervals: Number of intervals of the window.
    """
    if result.potentials is None:
        return window_votes(result.votes, passes, intervals)
    return window_votes(result.potentials[:, passes - 1 :: passes], 1, intervals)


def _results(
    network: SpikingNetwork,
    trains: SpikeTrains,
    settings: RunSettings,
    seed: int,
    duration_us: Duration | None,
    batch_size: int,
) -> Iterator[tuple[NDArray[np.int64], ForwardResult]]:
    """Yield the numbers of some samples and their result, until all have run."""
    seed = check_seed(seed)
    batch_size = check_int("batch_size", batch_size, 1, 2**53 - 1, ValueError)
    trains = sorted_by_time(trains)  # Sorting once here saves doing it for each batch.
    for start in range(0, len(trains), batch_size):
        chosen = np.arange(start, min(start + batch_size, len(trains)))
        seeds = np.array([sample_seed(seed, i) for i in chosen.tolist()], np.uint64)
        batch = network.batch(trains, chosen, seeds.tolist(), duration_us)
        parts = split_by_length(batch.passes, network.model)
        for part in parts:
            if len(parts) > 1:
                batch = network.batch(trains, chosen[part], seeds[part].tolist(), duration_us)
            with torch.no_grad():
                result = network(batch, settings)
            yield chosen[part], result


def _spikes(result: ForwardResult) -> NDArray[np.float64]:
    """Return the number of spikes of each population, f64[P]."""
    spikes: NDArray[np.float64] = result.spikes.sum((0, 1), dtype=torch.float64).cpu().numpy()
    return spikes
