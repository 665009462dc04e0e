"""The recipes of the shipped digit bundles, and what makes a bundle by one.

``layered-paper`` follows the kind of recipe of Koopman et al., arXiv 2408.05098, for layered
training: no memory between timesteps, a low threshold, a loss for each timestep, nothing that
keeps firing sparse. The others share one recipe of ours and differ in the order that the second
half of the training runs in.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from neuroasync.bundle import Bundle, Scalar
from neuroasync.connections import INPUT, Dense
from neuroasync.datasets import load_dataset
from neuroasync.datasets.images import Coding
from neuroasync.model import LIF, Model, Population
from neuroasync.train.config import TrainConfig
from neuroasync.train.export import export_bundle
from neuroasync.train.network import Device
from neuroasync.train.stopping import choose_until
from neuroasync.train.trainer import BatchResult, fit

__all__ = ["RECIPES", "OnProgress", "Recipe", "layered_model", "train_digits"]

OnProgress = Callable[[int, int, int, int, float, float, float], None]
"""Called with epoch, epochs, batch, batches, loss, accuracy, spikes per sample."""

_SIZES: Final = (64, 64, 64, 64, 10)
_STOP_LOSS: Final = 0.0
_DRAWS: Final = 4
"""Encodings of each training image."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a digit bundle is made.

    Attributes:
        decay: factor of the membrane potential in a timestep; 0 is no memory.
        v_threshold: of all neurons.
        config: the training.
    """

    decay: float
    v_threshold: float
    config: TrainConfig


_LAYERED: Final = TrainConfig(epochs=18, policy="layer-sync", penalty_target=5.0)

RECIPES: Final = {
    "layered-paper": Recipe(
        0.0,
        0.3,
        replace(_LAYERED, loss="timestep", vote_scale=1.0, penalty=0.0),
    ),
    "layered": Recipe(0.9, 1.0, _LAYERED),
    "unlayered": Recipe(0.9, 1.0, replace(_LAYERED, policy="random")),
    "queued": Recipe(0.9, 1.0, replace(_LAYERED, policy="momentum", input="queued")),
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
    """Train on the digits by a recipe, choose a stop rule on the validation part, export.

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
        layered_model(
            _SIZES, digits.input_shape, digits.timestep_us, chosen.decay, chosen.v_threshold
        ),
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
        meta={
            "dataset": f"{digits.title}; {digits.licence}",
            "dataset_credit": digits.credit,
            "recipe": recipe,
            "coding": coding,
            "encodings_per_training_image": _DRAWS,
        },
    )
    stop = choose_until(bundle, digits.validation, seed, _STOP_LOSS)
    chosen_rule: dict[str, Scalar] = {
        "until": stop.until,
        "until_validation_accuracy": stop.accuracy,
        "until_validation_rounds": stop.rounds,
        "until_validation_spikes": stop.spikes,
    }
    return replace(bundle, meta={**bundle.meta, **chosen_rule})


def layered_model(
    sizes: tuple[int, ...],
    input_shape: tuple[int, ...],
    timestep_us: int,
    decay: float,
    v_threshold: float,
) -> Model:
    """A stack of dense populations with weights 0: hidden1, hidden2, .., output.

    Args:
        sizes: of the input and of each population.
        input_shape: of the input, of ``sizes[0]`` cells.
        timestep_us: µs.
        decay: factor of the membrane potential in a timestep, 0 to 1; 0 is no memory.
        v_threshold: of all neurons.
    """
    # Far below the timestep, exp(-timestep / tau) is 0 in float32.
    tau = timestep_us / 200 if decay == 0 else math.inf
    if 0 < decay < 1:
        tau = -timestep_us / math.log(decay)
    names = [INPUT, *(f"hidden{k}" for k in range(1, len(sizes) - 1)), "output"]
    neuron = LIF(tau_mem_us=tau, v_threshold=v_threshold)
    return Model(
        timestep_us,
        input_shape,
        tuple(Population(n, (s,), neuron) for n, s in zip(names[1:], sizes[1:], strict=True)),
        tuple(
            Dense(names[k], names[k + 1], np.zeros((sizes[k + 1], sizes[k]), np.float32))
            for k in range(len(sizes) - 1)
        ),
        "output",
    )
