"""Train a network from a data set and a recipe, and return it as a bundle."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeAlias

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle, Scalar
from neuroasync.core.formats.field_checks import checked_meta
from neuroasync.core.model.checks import check_callback, check_type
from neuroasync.core.model.topology import parse_topology
from neuroasync.datasets import Dataset
from neuroasync.metrics import calibrate_over_time
from neuroasync.runtime.over_time.decide import decide_over_time
from neuroasync.train.config import TrainConfig
from neuroasync.train.export import export_bundle
from neuroasync.train.loop.results import BatchResult, EpochResult, Fit
from neuroasync.train.parallel.exchange import Exchange
from neuroasync.train.recipes.recipe import Recipe
from neuroasync.train.recipes.stop_rule_search import with_stop_rules
from neuroasync.train.training_loop import fit, refit

__all__ = ["OnBatch", "train_dataset"]

OnBatch: TypeAlias = Callable[[BatchResult, int], None]
"""Called with the result of a batch and the number of epochs of the training."""

_OF_VALIDATION: Final = ("until", "validation_", "best_epoch")
"""Prefixes of the meta entries that a training on all samples takes from the first training."""
_STOP_LOSS: Final = 0.0
"""The chosen stop rule must be as accurate on validation samples as running them to the end."""


def train_dataset(
    dataset: Dataset,
    recipe: Recipe,
    *,
    name: str,
    start: Bundle | None = None,
    all_data: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    on_batch: OnBatch | None = None,
    meta: Mapping[str, Scalar] | None = None,
    threads: int | None = None,
    exchange: Exchange | None = None,
) -> Bundle:
    """Train a network by a recipe, choose and calibrate stop rules, and export it.

    The stop rules are chosen and calibrated on the validation samples; with labels over time, the
    confidence is calibrated instead. The same arguments and
    the same build of torch give the same bundle, to the byte.

    Args:
        dataset: The data set. Its train and validation splits are read.
        recipe: The network and its training configuration.
        name: Name of the recipe, for the bundle's meta.
        start: Bundle whose network is trained further, in the place of the recipe's; see
            :func:`neuroasync.train.recipes.fine_tuning`.
        all_data: Train a second network at the end, on the training and validation samples, for
            as many epochs as were best by validation, and return it. The stop rule is that of the
            first network; there is no calibration, because no samples are left for it.
        checkpoint: File that stores the state of the training after each epoch. The training on
            all samples adds ``.all`` to its name.
        resume: Continue from that file.
        on_batch: Called after each batch.
        meta: Additional entries of the bundle's meta.
        threads: Maximum number of threads on the CPU. None takes the number of available cores.
        exchange: Connection to other workers that call this function with the same arguments; see
            :func:`neuroasync.train.fit`.

    Returns:
        The bundle.

    Raises:
        ValueError: The network does not fit the data, or ``init_rate`` is not None with ``start``.
        ModelError: A bundle cannot hold ``name``, ``meta`` or the description of the data set, or
            the network has another number of outputs than the data set has classes.
        TypeError: ``dataset``, ``recipe`` or ``start`` has another type.
        CheckpointError: The checkpoint cannot be read or written, or belongs to another training.
        ForwardStepLimitError, LimitError: A sample exceeded a limit.
        FloatingPointError: The loss is no longer finite.
        ExchangeError: The connection to another worker was lost.
    """
    check_type("dataset", dataset, Dataset)
    check_type("recipe", recipe, Recipe)
    if start is not None:
        check_type("start", start, Bundle)
    check_callback("on_batch", on_batch)
    additional = checked_meta({} if meta is None else meta)
    config = recipe.config
    _check_start(start, config)

    def report(batch: BatchResult) -> None:
        if on_batch is not None:
            on_batch(batch, config.epochs)

    model = parse_topology(recipe.topology) if start is None else start.model
    classes = _classes(dataset, start)
    entries = {**_origin(dataset, start), "recipe": name}
    # If a bundle could not hold these, the error must not come after hours of training.
    Bundle(model, tuple(classes), meta=entries | additional)
    second = f"{os.fspath(checkpoint)}.all" if all_data and checkpoint is not None else None
    fitted = fit(
        model, dataset.train, config,
        validation=dataset.validation, on_batch=report,
        on_epoch=lambda result: _remove_stale(second, result, exchange),
        checkpoint=checkpoint, resume=resume, threads=threads, exchange=exchange,
    )  # fmt: skip

    def export(trained: Fit, more: Mapping[str, Scalar]) -> Bundle:
        return export_bundle(
            trained,
            dataset.validation,
            classes=classes,
            # A topology text does not describe neurons that were learned.
            topology=recipe.topology or None if config.learn is None else None,
            meta={**entries, **more, **additional},
        )

    bundle = _finished(export(fitted, {}), dataset.validation, config.seed)
    if not all_data:
        return bundle
    refitted = refit(
        fitted, model, dataset.train, dataset.validation,
        on_batch=report, checkpoint=second,
        resume=resume and second is not None and os.path.exists(second),
        threads=threads, exchange=exchange,
    )  # fmt: skip
    kept = {key: value for key, value in bundle.meta.items() if key.startswith(_OF_VALIDATION)}
    whole = export(refitted, {"trained_on": "all samples, after a first training", **kept})
    return replace(whole, vote_window=bundle.vote_window)


def _check_start(start: Bundle | None, config: TrainConfig) -> None:
    """Raise ValueError if the weights of a bundle would be replaced."""
    if start is not None and config.init_rate is not None:
        raise ValueError(
            "`init_rate` must be None to train a network further, because otherwise its weights "
            f"are replaced, got {config.init_rate}"
        )


def _remove_stale(second: str | None, result: EpochResult, exchange: Exchange | None) -> None:
    """Remove the second checkpoint of an earlier training after the first epoch of a new one.

    The new training has just replaced the first checkpoint. It could not be resumed if the second
    one stayed, because that belongs to another training.
    """
    is_writer = exchange is None or exchange.worker == 0
    if second is not None and is_writer and result.epoch == 0:
        # If the file cannot be removed, the second training reports it.
        with suppress(OSError):
            os.unlink(second)


def _finished(bundle: Bundle, validation: SpikeTrains, seed: int) -> Bundle:
    """Return the bundle with stop rules that are chosen on validation samples.

    With labels over time, the scale of the confidence is fitted to them instead.
    """
    over, window = validation.labels_over_time, bundle.vote_window
    if over is None or window is None:
        return with_stop_rules(bundle, validation, seed, _STOP_LOSS)
    decisions = decide_over_time(bundle, validation, seed=seed)
    return replace(bundle, vote_window=calibrate_over_time(decisions, over, window))


def _classes(dataset: Dataset, start: Bundle | None) -> list[str]:
    """Return the names of the classes; those of the bundle if the data set only has numbers."""
    numbers = tuple(map(str, range(len(dataset.classes))))
    if start is not None and start.classes is not None and dataset.classes == numbers:
        return list(start.classes)
    return list(dataset.classes)


def _origin(dataset: Dataset, start: Bundle | None) -> dict[str, Scalar]:
    """Return the meta entries that describe the data set and the network at the start."""
    title = "; ".join(filter(None, (dataset.title, dataset.licence)))
    entries: dict[str, Scalar] = {"dataset": title}
    if start is not None:
        entries["fine_tuned_from"] = start.digest.hex()
    if dataset.credit:
        entries["dataset_credit"] = dataset.credit
    if dataset.coding is not None:
        entries["coding"] = dataset.coding
        entries["encodings_per_training_image"] = dataset.encodings_per_image
    return entries
