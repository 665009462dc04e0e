"""The recipes of the shipped digit bundles, and what makes a bundle by one.

``layered-paper`` follows the kind of recipe of Koopman et al., arXiv 2408.05098, for layered
training: no memory between timesteps, a low threshold, a loss for each timestep, nothing that
keeps firing sparse. The others share one recipe of ours and differ in the order that the second
half of the training runs in.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from neuroasync.bundle import Bundle
from neuroasync.datasets import load_dataset
from neuroasync.datasets.images import Coding
from neuroasync.topology import parse_topology
from neuroasync.train.config import TrainConfig
from neuroasync.train.export import export_bundle
from neuroasync.train.network import Device
from neuroasync.train.stopping import with_stop_rules
from neuroasync.train.trainer import BatchResult, fit

__all__ = ["RECIPES", "OnProgress", "Recipe", "train_digits"]

OnProgress = Callable[[int, int, int, int, float, float, float], None]
"""Called with epoch, epochs, batch, batches, loss, accuracy, spikes per sample."""

_LAYERS: Final = "input 8x8; hidden1 d64; hidden2 d64; hidden3 d64; output d10"
_STOP_LOSS: Final = 0.0
_DRAWS: Final = 4
"""Encodings of each training image."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a digit bundle is made.

    Attributes:
        topology: of the network; see ``neuroasync.topology``.
        config: the training.
    """

    topology: str
    config: TrainConfig


def _layers(decay: float, v_threshold: float) -> str:
    """The one network, with other neurons: a decay of 0 is no memory between timesteps."""
    settings = f"timestep_us=1000 decay={decay} v_threshold={v_threshold}"
    return f"{settings}; {_LAYERS}"


_LAYERED: Final = TrainConfig(epochs=24, policy="layer-sync", penalty_target=5.0, init_rate=0.1)

RECIPES: Final = {
    "layered-paper": Recipe(
        _layers(decay=0.0, v_threshold=0.3),
        replace(_LAYERED, loss="timestep", vote_scale=1.0, penalty=0.0),
    ),
    "layered": Recipe(_layers(decay=0.9, v_threshold=1.0), _LAYERED),
    "unlayered": Recipe(_layers(decay=0.9, v_threshold=1.0), replace(_LAYERED, policy="random")),
    "queued": Recipe(
        _layers(decay=0.9, v_threshold=1.0), replace(_LAYERED, policy="momentum", input="queued")
    ),
}


def train_digits(
    recipe: str,
    *,
    coding: Coding = "rate",
    epochs: int | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    device: Device = "auto",
    on_progress: OnProgress | None = None,
) -> Bundle:
    """Train on the digits by a recipe, choose and calibrate stop rules on the validation part.

    The same arguments and build of torch give the same bundle, to the byte.

    Args:
        recipe: one of ``RECIPES``.
        coding: of the digits.
        epochs: the recipe's own number if None.
        seed: of everything that is drawn.
        checkpoint: file that says after each epoch where the training stands.
        resume: go on from that file.
        device: where to train.
        on_progress: called after each batch.

    Raises:
        ValueError: the recipe is unknown, or an argument is out of range.
        CheckpointError: the checkpoint cannot be used.
    """
    if recipe not in RECIPES:
        raise ValueError(f"recipe: {recipe!r:.80}, expected one of {list(RECIPES)}")
    chosen = RECIPES[recipe]
    config = replace(chosen.config, seed=seed, device=device)
    if epochs is not None:
        config = replace(config, epochs=epochs)
    digits = load_dataset("digits", coding=coding, draws=_DRAWS)

    def on_batch(batch: BatchResult) -> None:
        if on_progress is not None:
            done = (batch.epoch, config.epochs, batch.batch, batch.batches)
            on_progress(*done, batch.loss, batch.accuracy, batch.spikes)

    fitted = fit(
        parse_topology(chosen.topology),
        digits.train,
        config,
        validation=digits.validation,
        on_batch=on_batch,
        checkpoint=checkpoint,
        resume=resume,
    )
    bundle = export_bundle(
        fitted,
        digits.validation,
        classes=list(digits.classes),
        topology=chosen.topology,
        meta={
            "dataset": f"{digits.title}; {digits.licence}",
            "dataset_credit": digits.credit,
            "recipe": recipe,
            "coding": coding,
            "encodings_per_training_image": _DRAWS,
        },
    )
    return with_stop_rules(bundle, digits.validation, seed, _STOP_LOSS)
