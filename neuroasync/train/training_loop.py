"""The training loop. It is reproducible, and a resumed training ends with the same bits."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from neuroasync.core.durations import Duration
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.model import Model
from neuroasync.progress_bar import ProgressBar
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

_T = TypeVar("_T")

_START_SAMPLES: Final = 64
"""Samples on which initial firing rates are measured."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Result of one optimiser step, for progress displays.

    Attributes:
        epoch, batch: Numbers of the epoch and of the batch in it, from 0.
        batches: Number of batches per epoch.
        loss: Loss, including the spike penalty.
        accuracy: Fraction of the batch that was decided correctly, from 0 to 1.
        spikes: Mean number of spikes per sample.
    """

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    spikes: float


@dataclass(frozen=True, slots=True)
class EpochResult:
    """Result of one epoch: means over its samples, measured while the weights changed.

    Attributes:
        epoch: Number of the epoch, from 0.
        policy: Name of the ordering policy of the epoch.
        loss: Loss, including the spike penalty.
        accuracy: Fraction of the samples that was decided correctly, from 0 to 1.
        spikes: Mean number of spikes per sample.
        validation_accuracy, validation_spikes: The same on the validation samples after the
            epoch, under the order that is trained for; None without validation samples.
        seconds: Duration of the epoch. It does not take part in comparisons.
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
        model: The network with the trained weights.
        config: Configuration of the training.
        history: One result per epoch.
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
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    threads: int | None = None,
) -> Fit:
    """Train a network.

    On one kind of machine, the same arguments give the same weights to the bit. They depend
    neither on ``threads`` nor on whether the training was interrupted and resumed.

    Args:
        model: The network. Its weights are used only with ``init_rate=None``.
        train: Training samples with labels.
        config: Configuration of the training.
        validation: Samples with labels that are decided after each epoch.
        on_batch: Called with the result of each batch. An exception in it ends the training.
        on_epoch: Called with the result of each epoch, after the checkpoint was written. An
            exception in it ends the training.
        progress: Show a progress bar on stderr, and a line with the result of each epoch.
        checkpoint: File that stores the state of the training after each epoch.
        resume: Continue from that file, which must belong to the same training.
        threads: Maximum number of threads on the CPU. None takes the number of available cores.

    Returns:
        The trained network and its history.

    Raises:
        ValueError: Labels are missing or do not fit the network, or it cannot be trained.
        CheckpointError: The checkpoint cannot be read or written, or belongs to another training.
        ForwardStepLimitError: A pass took too many forward steps.
        FloatingPointError: The loss is no longer finite.
    """
    for name, trains in (("train", train), ("validation", validation)):
        if trains is not None:
            _check_data(name, trains, model)
    loop = _Loop(model, sorted_by_time(train), config, threads)
    validation_set = None if validation is None else sorted_by_time(validation)
    start = fingerprint(model, train) if checkpoint is not None else ""
    if resume:
        if checkpoint is None:
            raise ValueError("`resume=True` needs a `checkpoint` to continue from, got None")
        loop.load(load_checkpoint(checkpoint, config.to_dict(), start))
    with ExitStack() as stack:
        if progress:
            bar = stack.enter_context(ProgressBar(config.epochs))
            on_batch, on_epoch = _both(bar.batch, on_batch), _both(bar.epoch, on_epoch)
        while len(loop.history) < config.epochs:
            with _one_torch_thread():
                result = loop.epoch(validation_set, on_batch)
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
    duration_us: Duration | None = None,
    batch_size: int = 256,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Decide every sample as the runtime would.

    Args:
        network: The network.
        trains: The samples.
        settings: Ordering policy, group size and input mode.
        seed: Sample i runs with ``sample_seed(seed, i)``.
        duration_us: End of every sample, µs or such as ``"20ms"``. None ends each with the bin of
            its last event.
        batch_size: Number of samples that run at a time. It does not change the result.

    Returns:
        i64[samples], the decisions, -1 where there is none; and f64[P], mean number of spikes per
        sample of each population.
    """
    trains = sorted_by_time(trains)  # Sorting once here saves doing it for each batch.
    labels, spikes = [], np.zeros(len(network.model.populations))
    for start in range(0, len(trains), batch_size):
        chosen = range(start, min(start + batch_size, len(trains)))
        seeds = [sample_seed(seed, i) for i in chosen]
        result = network(network.batch(trains, chosen, seeds, duration_us), settings)
        labels.append(result.labels.cpu().numpy())
        spikes += result.spikes.sum((0, 1), dtype=torch.float64).cpu().numpy()
    no_labels = np.zeros(0, np.int64)  # np.concatenate needs at least one array
    return np.concatenate([no_labels, *labels]), spikes / max(1, len(trains))


def _both(first: Callable[[_T], None], second: Callable[[_T], None] | None) -> Callable[[_T], None]:
    """Return a function that calls two functions with the same argument."""

    def call(value: _T) -> None:
        first(value)
        if second is not None:
            second(value)

    return call


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Limit torch to one thread, so that its threads do not compete with those of the kernels."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Loop:
    """State of a training between two epochs."""

    def __init__(
        self, model: Model, train: SpikeTrains, config: TrainConfig, threads: int | None
    ) -> None:
        self.config, self.train = config, train
        self.history: list[EpochResult] = []
        surrogate = Surrogate(config.surrogate, config.surrogate_slope)
        self.network = SpikingNetwork(model, surrogate, config.device, threads)
        if config.init_rate is not None:
            self._initialise(config.init_rate)
        self.optimizer = torch.optim.Adam([self.network.values], config.lr, fused=True)
        labels = np.zeros(0) if train.labels is None else train.labels
        self._labels = torch.from_numpy(labels.copy()).to(self.network.device)
        output = model.index(model.output)
        self._hidden = [p for p in range(len(model.populations)) if p != output]

    def _initialise(self, rate: float) -> None:
        """Draw new weights, and scale them until every population fires at ``rate``."""
        order, config = self._order(0)[:_START_SAMPLES], self.config
        seeds = [sample_seed(config.seed, i) for i in order.tolist()]
        batch = self.network.batch(self.train, order, seeds, config.duration_us)
        scale_to_firing_rate(self.network, batch, rate, config.seed)

    def epoch(
        self, validation: SpikeTrains | None, on_batch: Callable[[BatchResult], None] | None
    ) -> EpochResult:
        """Train for one epoch, and validate."""
        began, epoch = time.perf_counter(), len(self.history)
        config, samples, batches = self.config, len(self.train), self._batches
        order = self._order(epoch)
        settings = config.settings(epoch)
        sums = np.zeros(3)
        for batch in range(batches):
            chosen = order[batch * config.batch_size : (batch + 1) * config.batch_size]
            measured = self._step(epoch * batches + batch, epoch, chosen, settings)
            sums += measured * chosen.size
            if on_batch is not None:
                on_batch(BatchResult(epoch, batch, batches, *measured.tolist()))
        validated = self._validate(validation)
        loss, accuracy, spikes = (sums / samples).tolist()
        name = str(getattr(settings.policy, "name", ""))
        seconds = time.perf_counter() - began
        result = EpochResult(epoch, name, loss, accuracy, spikes, *validated, seconds)
        self.history.append(result)
        return result

    def state(self, start: str) -> dict[str, object]:
        """Return what a checkpoint stores; ``start`` is the fingerprint of the training."""
        return {
            "config": self.config.to_dict(),
            "fingerprint": start,
            "epochs_done": len(self.history),
            "parameters": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [asdict(entry) for entry in self.history],
        }

    def load(self, state: dict[str, object]) -> None:
        """Continue from the state of a checkpoint."""
        self.network.load_state_dict(state["parameters"])  # type: ignore[arg-type]
        self.optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        self.history = [EpochResult(**entry) for entry in state["history"]]  # type: ignore[attr-defined]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Return the sample numbers in the order of an epoch."""
        keys = shuffle_keys(np.uint64(self.config.seed), epoch, len(self.train))
        return np.argsort(keys, kind="stable")

    @property
    def _batches(self) -> int:
        return math.ceil(len(self.train) / self.config.batch_size)

    def _step(
        self, step: int, epoch: int, chosen: NDArray[np.int64], settings: RunSettings
    ) -> NDArray[np.float64]:
        """Run one optimiser step, and return its loss, accuracy and spikes per sample."""
        config, network = self.config, self.network
        # A sample has another seed in each epoch, and so another order and other dropout.
        base = sample_seed(config.seed, epoch)
        seeds = [sample_seed(base, i) for i in chosen.tolist()]
        batch = network.batch(self.train, chosen, seeds, config.duration_us, config.input_dropout)
        steps = config.epochs * self._batches
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * learning_rate_factor(step, steps, config.warmup)
        self.optimizer.zero_grad()
        result = network(batch, settings, config.refractory_dropout)
        labels = self._labels[torch.from_numpy(chosen)]
        passes = torch.from_numpy(batch.passes).to(labels.device)
        loss = vote_loss(result.votes, labels, passes, config.loss, config.vote_scale)
        weight = config.penalty * penalty_factor(step, steps)
        if weight and self._hidden:
            penalty = spike_penalty(result.spikes, passes, self._hidden, config.penalty_target)
            loss = loss + weight * penalty
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss must stay finite, but it is {value} in epoch {epoch}; try a lower lr"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        accuracy = float((result.labels == labels).sum()) / chosen.size
        return np.array([value, accuracy, float(result.spikes.detach().sum()) / chosen.size])

    def _validate(self, trains: SpikeTrains | None) -> tuple[float | None, float | None]:
        """Return accuracy and spikes per sample on the validation samples, if there are any."""
        if trains is None:
            return None, None
        config = self.config
        settings = config.run_settings
        labels, spikes = evaluate(self.network, trains, settings, config.seed, config.duration_us)
        return float(np.mean(labels == trains.labels)), float(spikes.sum())


def _check_data(name: str, trains: SpikeTrains, model: Model) -> None:
    """Raise ValueError unless the samples have labels that the output population can vote for."""
    classes = model.populations[model.index(model.output)].size
    if trains.labels is None or not len(trains):
        raise ValueError(f"`{name}` must have at least one sample, and labels")
    if trains.labels.max() >= classes:
        at = int(np.argmax(trains.labels))
        raise ValueError(
            f"{name}.labels[{at}] must be from 0 to {classes - 1}, because the output population "
            f"{model.output!r} has {classes} neurons, got {trains.labels[at]}"
        )
