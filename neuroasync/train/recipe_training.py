"""From a data set and a recipe to a bundle."""

import os
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from neuroasync.core.formats.bundle import Bundle, Scalar
from neuroasync.core.model.topology import parse_topology
from neuroasync.datasets import Dataset
from neuroasync.train.export import export_bundle
from neuroasync.train.recipes import Recipe
from neuroasync.train.stop_rule_search import with_stop_rules
from neuroasync.train.training_loop import BatchResult, fit

__all__ = ["OnBatch", "train_dataset"]

OnBatch: TypeAlias = Callable[[BatchResult, int], None]
"""Called with how a batch went, and the number of epochs there will be."""

_STOP_LOSS: Final = 0.0


def train_dataset(
    dataset: Dataset,
    recipe: Recipe,
    *,
    name: str,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    on_batch: OnBatch | None = None,
    meta: Mapping[str, Scalar] | None = None,
) -> Bundle:
    """Train by a recipe, choose and calibrate stop rules on validation samples, export.

    The same arguments and build of torch give the same bundle, to the byte.

    Args:
        dataset: of which the train and validation parts are read.
        recipe: the network and its training.
        name: of the recipe, for the bundle's meta.
        checkpoint: file that says after each epoch where the training stands.
        resume: go on from that file.
        on_batch: called after each batch.
        meta: what else the bundle shall say of itself.

    Raises:
        ValueError: the network does not fit the data.
        CheckpointError: the checkpoint cannot be used.
        FloatingPointError: the loss is no longer finite.
    """
    config = recipe.config

    def report(batch: BatchResult) -> None:
        if on_batch is not None:
            on_batch(batch, config.epochs)

    fitted = fit(
        parse_topology(recipe.topology),
        dataset.train,
        config,
        validation=dataset.validation,
        on_batch=report,
        checkpoint=checkpoint,
        resume=resume,
    )
    bundle = export_bundle(
        fitted,
        dataset.validation,
        classes=list(dataset.classes),
        topology=recipe.topology,
        meta={**_origin(dataset), "recipe": name, **(meta or {})},
    )
    return with_stop_rules(bundle, dataset.validation, config.seed, _STOP_LOSS)


def _origin(dataset: Dataset) -> dict[str, Scalar]:
    """What the bundle says of the data."""
    said: dict[str, Scalar] = {"dataset": "; ".join(filter(None, (dataset.title, dataset.licence)))}
    if dataset.credit:
        said["dataset_credit"] = dataset.credit
    if dataset.coding is not None:
        said["coding"] = dataset.coding
        said["encodings_per_training_image"] = dataset.encodings_per_image
    return said
