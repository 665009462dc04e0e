"""What a training minimises, and how it measures accuracy, for each kind of labels."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.model import Model
from neuroasync.train.autograd_function import ForwardResult
from neuroasync.train.batch import Batch
from neuroasync.train.config import TrainConfig
from neuroasync.train.loop.evaluation import evaluate, evaluate_over_time, window_scores
from neuroasync.train.losses import potential_loss, vote_loss, windowed_vote_loss
from neuroasync.train.module import SpikingNetwork

__all__ = ["Objective", "make_objective"]


class Objective(Protocol):
    """The loss of some samples, and the accuracy on them."""

    def measure(self, result: ForwardResult, batch: Batch, labels: Tensor) -> tuple[Tensor, float]:
        """Return the loss of a batch, f32[], and the fraction of its decisions that is correct.

        Args:
            result: Result of the batch.
            batch: The batch.
            labels: Its part of the labels of :class:`neuroasync.train.Batches`.
        """

    def validate(self, network: SpikingNetwork, trains: SpikeTrains) -> tuple[float, float]:
        """Return the accuracy and the spikes per sample on validation samples."""


class _PerSample:
    """One label and one decision for each sample."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config

    def measure(self, result: ForwardResult, batch: Batch, labels: Tensor) -> tuple[Tensor, float]:
        config, passes = self._config, batch.passes
        if result.potentials is None:
            loss = vote_loss(result.votes, labels, passes, config.loss, config.vote_scale)
        else:
            loss = potential_loss(result.potentials, labels, passes, config.loss, config.vote_scale)
        return loss, float((result.labels == labels).sum()) / len(batch)

    def validate(self, network: SpikingNetwork, trains: SpikeTrains) -> tuple[float, float]:
        config = self._config
        labels, spikes = evaluate(
            network, trains, config.run_settings, config.seed, config.duration_us
        )
        return float(np.mean(labels == trains.labels)), float(spikes.sum())


class _OverTime:
    """Labels over time, and a decision at the end of each interval."""

    def __init__(self, config: TrainConfig, passes: int, intervals: int) -> None:
        self._config, self._passes, self._intervals = config, passes, intervals

    def measure(self, result: ForwardResult, batch: Batch, labels: Tensor) -> tuple[Tensor, float]:
        scores = window_scores(result, self._passes, self._intervals)
        # Each row of scores stands for an interval, so there is nothing left to sum.
        loss = windowed_vote_loss(scores, labels, 1, 1, self._config.vote_scale)
        best, found = scores.detach().max(2)
        labels = labels[:, : found.shape[1]]
        is_right = found == labels
        if result.potentials is None:
            is_right &= best > 0
        return loss, float(is_right.sum()) / max(1, int((labels >= 0).sum()))

    def validate(self, network: SpikingNetwork, trains: SpikeTrains) -> tuple[float, float]:
        config = self._config
        if config.vote_window is None or trains.labels_over_time is None:
            raise ValueError("validation samples must have labels over time")
        settings, window = config.run_settings, config.vote_window
        found, spikes = evaluate_over_time(network, trains, settings, window, config.seed)
        labels: NDArray[np.int64] = trains.labels_over_time.labels
        is_labelled = labels >= 0
        return float(np.mean((found == labels)[is_labelled])), float(spikes.sum())


def make_objective(config: TrainConfig, train: SpikeTrains, model: Model) -> Objective:
    """Return the objective for the labels of the training samples."""
    over, window = train.labels_over_time, config.vote_window
    if over is None or window is None:
        return _PerSample(config)
    return _OverTime(config, over.every_us // model.timestep_us, window.intervals(over.every_us))
