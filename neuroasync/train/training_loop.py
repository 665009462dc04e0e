"""The training loop. It is reproducible, and a resumed training ends with the same bits."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Final, TypeVar

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.atomic_write import check_replaceable
from neuroasync.core.formats.file_lock import lock_file
from neuroasync.core.model.checks import must_be
from neuroasync.core.model.model import Model
from neuroasync.datasets.dataset import join, label_kind
from neuroasync.progress_bar import ProgressBar
from neuroasync.train.batch import sorted_by_time
from neuroasync.train.checkpoint import (
    CheckpointError,
    fingerprint,
    load_checkpoint,
    save_checkpoint,
)
from neuroasync.train.config import TrainConfig
from neuroasync.train.loop.data_checks import check_samples, check_shift
from neuroasync.train.loop.epoch_selection import is_finished
from neuroasync.train.loop.health import HealthChecks
from neuroasync.train.loop.results import BatchResult, EpochResult, Fit
from neuroasync.train.loop.training import TrainingRun
from neuroasync.train.losses import check_loss
from neuroasync.train.parallel.exchange import Exchange, broadcast_bytes, check_equal

__all__ = ["fit", "refit"]

_T = TypeVar("_T")

_ARGUMENTS_DIFFER: Final = (
    "all workers must train the same network with the same samples and the same configuration, "
    "because each runs its share of every batch; give all of them all samples"
)


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
    exchange: Exchange | None = None,
) -> Fit:
    """Train a network.

    On one kind of machine, the same arguments give the same weights to the bit. They depend
    neither on ``threads``, nor on the number of workers, nor on torch's global settings, nor on
    whether the training was interrupted and resumed.

    Args:
        model: The network. Its weights are used only with ``init_rate=None``.
        train: Training samples with labels. Some of them may be silent, but not all.
        config: Configuration of the training.
        validation: Samples with labels that are decided after each epoch. Required by
            ``keep="best"``.
        on_batch: Called with the result of each batch. An exception in it ends the training.
        on_epoch: Called with the results of each epoch, after the checkpoint was written. An
            exception in it ends the training.
        progress: Show a progress bar on stderr, and a line with the result of each epoch.
        checkpoint: File that stores the state of the training after each epoch. While the training
            runs, no other training can use it; a file with ``.lock`` after its name ensures this.
        resume: Continue from that file, which must belong to the same training.
        threads: Maximum number of threads on the CPU. None takes the number of available cores.
        exchange: Connection to other workers that call this function with the same arguments, each
            of which runs a share of every batch; see ``neuroasync.train.parallel``. All return the
            same network. Only worker 0 uses the checkpoint. None trains without other workers.

    Returns:
        The trained network and its history.

    Warns:
        TrainingWarning: A population never fires, or most of the loss is the spike penalty; once
            of each kind.

    Raises:
        ValueError: Labels are missing or do not fit the network, all samples are silent, one is
            very much longer than the others, they have more inputs than the network or too few
            axes for ``shift``, the network cannot be trained, ``loss`` or ``learn`` does not fit
            it, or the workers have different arguments or round differently.
        LimitError: A sample has more than ``limits.MAX_PASSES`` passes.
        CheckpointError: The checkpoint cannot be read or written, is in use, or belongs to another
            training.
        ForwardStepLimitError: A pass took too many forward steps.
        FloatingPointError: The loss or a weight is no longer finite. The checkpoint still has the
            state after the epoch before.
        ExchangeError: The connection to another worker was lost.
    """
    if resume and checkpoint is None:
        raise ValueError("`resume=True` needs a `checkpoint` to continue from, got None")
    if config.keep == "best" and validation is None:
        raise ValueError("`validation` must be given with `keep='best'`, got None")
    if exchange is not None and exchange.worker:
        checkpoint = None
    check_loss(config.loss, of_potentials=model.decides_by_potential)
    for name, trains in (("train", train), ("validation", validation)):
        if trains is not None:
            check_samples(name, trains, model, config)
    check_shift(config.shift, train)
    with ExitStack() as stack:
        if checkpoint is not None:
            check_replaceable(checkpoint, CheckpointError)
            lock = f"{os.fspath(checkpoint)}.lock"
            purpose = "training with this checkpoint"
            stack.enter_context(lock_file(lock, checkpoint, CheckpointError, purpose))
        start = b""
        if checkpoint is not None or exchange is not None:
            start = fingerprint(model, train, validation)
        if exchange is not None:
            check_equal(exchange, start + repr(config).encode(), _ARGUMENTS_DIFFER)
            # The file may exist on the machine of worker 0 only.
            resume = broadcast_bytes(exchange, bytes([resume])) == bytes([True])
        validation = None if validation is None else sorted_by_time(validation)
        training = TrainingRun(model, train, validation, config, threads, exchange)
        if resume:
            source = "the checkpoint of worker 0" if checkpoint is None else checkpoint
            parameters = training.network.values.numel()
            training.resume(load_checkpoint(source, config, start, parameters, exchange))
        if progress:
            bar = stack.enter_context(ProgressBar(config.epochs))
            on_batch, on_epoch = _both(bar.batch, on_batch), _both(bar.epoch, on_epoch)
        checks = HealthChecks(model)
        while not is_finished(training.history, config):
            result = training.epoch(on_batch)
            if checkpoint is not None:
                save_checkpoint(checkpoint, config, start, training.state())
            checks.check(result)
            if on_epoch is not None:
                on_epoch(result)
    return training.finish()


def refit(
    fitted: Fit,
    model: Model,
    train: SpikeTrains,
    validation: SpikeTrains,
    *,
    on_batch: Callable[[BatchResult], None] | None = None,
    on_epoch: Callable[[EpochResult], None] | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    threads: int | None = None,
    exchange: Exchange | None = None,
) -> Fit:
    """Train a network anew on all samples, for as many epochs as were best by validation.

    The schedules are those of the first training. There is no validation, because no samples are
    left for it.

    Args:
        fitted: Result of :func:`fit`. Without ``keep="best"``, all epochs are trained.
        model: The network that the first training started from.
        train: Training samples of the first training.
        validation: Its validation samples, which are now trained on as well.
        on_batch: As in :func:`fit`, like the following arguments.
        on_epoch: Called with the results of each epoch.
        progress: Show a progress bar.
        checkpoint: File for the state of this training, another one than that of the first.
        resume: Continue from that file.
        threads: Maximum number of threads on the CPU.
        exchange: Connection to other workers.

    Raises:
        ValueError, LimitError, CheckpointError, ForwardStepLimitError, FloatingPointError,
            ExchangeError: As in :func:`fit`; or the shapes or the kinds of labels differ.
    """
    if train.shape != validation.shape:
        raise ValueError(
            f"`validation` must have the shape of `train`, {train.shape}, got {validation.shape}"
        )
    kinds = label_kind(train), label_kind(validation)
    if kinds[0] != kinds[1]:
        raise ValueError(must_be("validation", f"labelled like `train`, {kinds[0]}", kinds[1]))
    epochs = fitted.config.stop_after if fitted.best_epoch is None else fitted.best_epoch + 1
    config = replace(fitted.config, keep="last", patience=None, stop_after=epochs)
    return fit(
        model, join([train, validation]), config, on_batch=on_batch, on_epoch=on_epoch,
        progress=progress, checkpoint=checkpoint, resume=resume, threads=threads,
        exchange=exchange,
    )  # fmt: skip


def _both(first: Callable[[_T], None], second: Callable[[_T], None] | None) -> Callable[[_T], None]:
    """Return a function that calls two functions with the same argument."""

    def call(value: _T) -> None:
        first(value)
        if second is not None:
            second(value)

    return call
