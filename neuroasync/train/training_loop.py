"""The training loop: reproducible, interruptible, resumable to the bit."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.model import Model
from neuroasync.train.batch import sorted_by_time
from neuroasync.train.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from neuroasync.train.config import TrainConfig
from neuroasync.train.kernels.random_draws import shuffle_keys
from neuroasync.train.losses import spike_penalty, vote_loss
from neuroasync.train.module import SpikingNetwork
from neuroasync.train.schedule import learning_rate_factor, penalty_factor
from neuroasync.train.surrogate import Surrogate
from neuroasync.train.weight_init import scale_to_firing_rate

__all__ = ["BatchResult", "EpochResult", "Fit", "evaluate", "fit"]

_START_SAMPLES: Final = 64
"""Samples that the first weights are measured on."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How one step of the optimiser went, for progress displays.

    Attributes:
        epoch, batch: from 0.
        batches: of an epoch.
        loss: with the spike penalty.
        accuracy: part of the batch that was decided correctly, 0 to 1.
        spikes: per sample.
    """

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    spikes: float


@dataclass(frozen=True, slots=True)
class EpochResult:
    """How one epoch went; means over its samples, measured while the weights changed.

    Attributes:
        epoch: from 0.
        policy: order that it ran in.
        loss: with the spike penalty.
        accuracy: part of the samples that was decided correctly, 0 to 1.
        spikes: per sample.
        validation_accuracy, validation_spikes: after it, in the order trained for; None without
            validation data.
        seconds: that it took; not compared.
    """

    epoch: int
    policy: str
    loss: float
    accuracy: float
    spikes: float
    validation_accuracy: float | None
    validation_spikes: float | None
    seconds: float = field(compare=False)


@dataclass(frozen=True, slots=True)
class Fit:
    """A finished training.

    Attributes:
        model: with the trained weights.
        config: what determined it.
        history: one entry per epoch.
    """

    model: Model
    config: TrainConfig
    history: tuple[EpochResult, ...]


def fit(
    model: Model,
    train: SpikeTrains,
    config: TrainConfig,
    *,
    validation: SpikeTrains | None = None,
    on_batch: Callable[[BatchResult], None] | None = None,
    on_epoch: Callable[[EpochResult], None] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    threads: int | None = None,
) -> Fit:
    """Train a network.

    The same arguments give the same weights to the bit (on one kind of machine), whatever
    ``threads`` is, and whether or not the training was interrupted and resumed.

    Args:
        model: the network; its weights count only with ``init_rate=None``.
        train: samples with labels.
        config: the recipe.
        validation: samples with labels, decided after each epoch.
        on_batch: called with what came out; an exception ends the training.
        on_epoch: the same, after the checkpoint.
        checkpoint: file that says after each epoch where the training stands.
        resume: go on from that file, which must be of the same training.
        threads: how many may run at once on the CPU; None for as many as there are cores.

    Raises:
        ValueError: labels are missing or do not fit, or the network cannot be trained.
        CheckpointError: the checkpoint cannot be written, read, or is of another training.
        ForwardStepLimitError: a pass did not end.
        FloatingPointError: the loss is no longer finite.
    """
    for name, trains in (("train", train), ("validation", validation)):
        if trains is not None:
            _check_data(name, trains, model)
    loop = _Loop(model, sorted_by_time(train), config, threads)
    checked = None if validation is None else sorted_by_time(validation)
    start = fingerprint(model, train) if checkpoint is not None else ""
    if resume:
        if checkpoint is None:
            raise ValueError("resume: expected a checkpoint to go on from")
        loop.load(load_checkpoint(checkpoint, config.to_dict(), start))
    while len(loop.history) < config.epochs:
        with _one_torch_thread():
            result = loop.epoch(checked, on_batch)
        if checkpoint is not None:
            save_checkpoint(checkpoint, loop.state(start))
        if on_epoch is not None:
            on_epoch(result)
    return Fit(loop.network.to_model(), config, tuple(loop.history))


@torch.no_grad()
def evaluate(
    network: SpikingNetwork,
    trains: SpikeTrains,
    settings: RunSettings,
    seed: int = 0,
    duration_us: int | None = None,
    batch_size: int = 256,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Decide every sample as the runtime would: sample i runs with ``sample_seed(seed, i)``.

    Returns:
        i64[samples], the decisions, -1 for none; and f64[P], spikes per sample of each population.
    """
    trains = sorted_by_time(trains)  # once, not for each batch
    labels, spikes = [], np.zeros(len(network.model.populations))
    for start in range(0, len(trains), batch_size):
        which = range(start, min(start + batch_size, len(trains)))
        seeds = [sample_seed(seed, i) for i in which]
        run = network(network.batch(trains, which, seeds, duration_us), settings)
        labels.append(run.labels.cpu().numpy())
        spikes += run.spikes.sum((0, 1), dtype=torch.float64).cpu().numpy()
    nothing = np.zeros(0, np.int64)
    return np.concatenate([nothing, *labels]), spikes / max(1, len(trains))


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Keep torch's own threads from competing with the kernels' for loss and optimiser."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Loop:
    """A training between two epochs."""

    def __init__(
        self, model: Model, train: SpikeTrains, config: TrainConfig, threads: int | None
    ) -> None:
        self.config, self.train = config, train
        self.history: list[EpochResult] = []
        surrogate = Surrogate(config.surrogate, config.surrogate_slope)
        self.network = SpikingNetwork(model, surrogate, config.device, threads)
        if config.init_rate is not None:
            self._start(config.init_rate)
        self.optimizer = torch.optim.Adam([self.network.values], config.lr, fused=True)
        labels = np.zeros(0) if train.labels is None else train.labels
        self._labels = torch.from_numpy(labels.copy()).to(self.network.device)
        output = model.index(model.output)
        self._hidden = [p for p in range(len(model.populations)) if p != output]

    def _start(self, rate: float) -> None:
        order, config = self._order(0)[:_START_SAMPLES], self.config
        seeds = [sample_seed(config.seed, i) for i in order.tolist()]
        batch = self.network.batch(self.train, order, seeds, config.duration_us)
        scale_to_firing_rate(self.network, batch, rate, config.seed)

    def epoch(
        self, validation: SpikeTrains | None, on_batch: Callable[[BatchResult], None] | None
    ) -> EpochResult:
        began, epoch = time.perf_counter(), len(self.history)
        config, samples, batches = self.config, len(self.train), self._batches
        order = self._order(epoch)
        settings = config.settings(epoch)
        sums = np.zeros(3)
        for batch in range(batches):
            which = order[batch * config.batch_size : (batch + 1) * config.batch_size]
            measured = self._step(epoch * batches + batch, epoch, which, settings)
            sums += measured * which.size
            if on_batch is not None:
                on_batch(BatchResult(epoch, batch, batches, *measured.tolist()))
        checked = self._validate(validation)
        loss, accuracy, spikes = (sums / samples).tolist()
        name = str(getattr(settings.policy, "name", ""))
        seconds = time.perf_counter() - began
        result = EpochResult(epoch, name, loss, accuracy, spikes, *checked, seconds)
        self.history.append(result)
        return result

    def state(self, start: str) -> dict[str, object]:
        return {
            "config": self.config.to_dict(),
            "fingerprint": start,
            "epochs_done": len(self.history),
            "parameters": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [asdict(entry) for entry in self.history],
        }

    def load(self, state: dict[str, object]) -> None:
        self.network.load_state_dict(state["parameters"])  # type: ignore[arg-type]
        self.optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        self.history = [EpochResult(**entry) for entry in state["history"]]  # type: ignore[attr-defined]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Samples as they come in an epoch."""
        keys = shuffle_keys(np.uint64(self.config.seed), epoch, len(self.train))
        return np.argsort(keys, kind="stable")

    @property
    def _batches(self) -> int:
        return math.ceil(len(self.train) / self.config.batch_size)

    def _step(
        self, step: int, epoch: int, which: NDArray[np.int64], settings: RunSettings
    ) -> NDArray[np.float64]:
        """One step of the optimiser; its loss, accuracy and spikes per sample."""
        config, network = self.config, self.network
        base = sample_seed(config.seed, epoch)
        seeds = [sample_seed(base, i) for i in which.tolist()]
        batch = network.batch(self.train, which, seeds, config.duration_us, config.input_dropout)
        steps = config.epochs * self._batches
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * learning_rate_factor(step, steps, config.warmup)
        self.optimizer.zero_grad()
        run = network(batch, settings, config.refractory_dropout)
        labels = self._labels[torch.from_numpy(which)]
        passes = torch.from_numpy(batch.passes).to(labels.device)
        loss = vote_loss(run.votes, labels, passes, config.loss, config.vote_scale)
        weight = config.penalty * penalty_factor(step, steps)
        if weight and self._hidden:
            penalty = spike_penalty(run.spikes, passes, self._hidden, config.penalty_target)
            loss = loss + weight * penalty
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} in epoch {epoch}; try a lower lr")
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        correct = float((run.labels == labels).sum()) / which.size
        return np.array([value, correct, float(run.spikes.detach().sum()) / which.size])

    def _validate(self, trains: SpikeTrains | None) -> tuple[float | None, float | None]:
        if trains is None:
            return None, None
        config = self.config
        settings = config.run_settings
        labels, spikes = evaluate(self.network, trains, settings, config.seed, config.duration_us)
        return float(np.mean(labels == trains.labels)), float(spikes.sum())


def _check_data(name: str, trains: SpikeTrains, model: Model) -> None:
    classes = model.populations[model.index(model.output)].size
    if trains.labels is None or not len(trains):
        raise ValueError(f"{name}: expected samples with labels")
    if trains.labels.max() >= classes:
        at = int(np.argmax(trains.labels))
        raise ValueError(
            f"{name}.labels[{at}]: {trains.labels[at]}, expected 0 to {classes - 1}: "
            f"population {model.output!r} has {classes} neurons"
        )
