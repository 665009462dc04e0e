"""How the networks of each data set are trained: a table.

A *recipe* is a network's text and a training. Each data set has four of the *trainings* of the
study; some of its regimes have the fifth, ``unlayered-fifo``, too. ``layered-paper`` follows the
kind of recipe of Koopman et al., arXiv 2408.05098, for layered training: no memory between
timesteps, a low threshold, a loss for each timestep, nothing that keeps firing sparse. The others
share one recipe of ours and differ in the order that the part of the training that is not layered
(half, unless a recipe says otherwise) runs in: layer-sync throughout (``layered``), random,
momentum or fifo order.

In ours, membrane potentials last from timestep to timestep; a penalty keeps firing sparse; every
population reaches the output, past those behind it; and an output neuron may fire again within a
pass, so that its votes say how sure it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from neuroasync.core.engine.run_settings import InputMode
from neuroasync.train.config import TrainConfig

__all__ = [
    "ENCODINGS_PER_IMAGE",
    "RECIPES",
    "TRAININGS",
    "VOTING",
    "Recipe",
    "Recipes",
    "Training",
    "for_input",
    "recipes_for_topology",
    "recipes_of",
]

Training: TypeAlias = Literal[
    "layered-paper", "layered", "unlayered-random", "unlayered-momentum", "unlayered-fifo"
]

TRAININGS: Final[tuple[Training, ...]] = (
    "layered-paper",
    "layered",
    "unlayered-random",
    "unlayered-momentum",
    "unlayered-fifo",
)

_PAPER: Final = "decay=0.0 v_threshold=0.3"
"""Neurons of the paper's kind: without memory between timesteps, easily excited."""
_OURS: Final = "decay=0.9 v_threshold=1.0"

VOTING: Final = "refractory=false reset=subtract"
"""An output whose neurons may vote more than once in a pass."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is made.

    Attributes:
        topology: of the network; see ``neuroasync.core.model.topology``.
        config: the training.
    """

    topology: str
    config: TrainConfig


Recipes: TypeAlias = Mapping[Training, Recipe]
"""The four recipes of a data set."""


def recipes_of(paper: str, ours: str, config: TrainConfig) -> Recipes:
    """Four recipes of one training.

    Args:
        paper: text of the network of ``layered-paper``.
        ours: text of that of the others.
        config: training of ``layered``; its order is layer-sync.
    """
    as_paper = replace(
        config, loss="timestep", vote_scale=1.0, penalty=0.0, input_dropout=0.0, surrogate_slope=1.5
    )
    return {
        "layered-paper": Recipe(paper, as_paper),
        "layered": Recipe(ours, config),
        "unlayered-random": Recipe(ours, replace(config, policy="random")),
        "unlayered-momentum": Recipe(ours, replace(config, policy="momentum")),
    }


def recipes_for_topology(topology: str) -> Recipes:
    """Recipes for a network of one's own.

    Args:
        topology: its text; what it says of neurons, it says of single populations, not of all.
    """
    return recipes_of(f"{_PAPER}; {topology}", f"{_OURS}; {topology}", _OWN)


def for_input(recipe: Recipe, mode: InputMode) -> Recipe:
    """The recipe for a network that will run with its input so; a layered one stays as it is."""
    if recipe.config.policy == "layer-sync":
        return recipe
    return replace(recipe, config=replace(recipe.config, input=mode))


def _stack(
    timestep_us: int, inputs: str, classes: int, config: TrainConfig, family: str = _OURS
) -> Recipes:
    """Recipes for three populations of 64 and an output; ``family`` is our kind of neurons."""
    layers = f"input {inputs}; hidden1 d64; hidden2 d64; hidden3 d64; output d{classes}"
    ours = f"{layers} {VOTING}; hidden1 -> output; hidden2 -> output"
    settings = f"timestep_us={timestep_us}"
    return recipes_of(f"{settings} {_PAPER}; {layers}", f"{settings} {family}; {ours}", config)


_OWN: Final = TrainConfig(
    epochs=60,
    policy="layer-sync",
    penalty_target=5.0,
    init_rate=0.1,
    surrogate_slope=3.0,
    input_dropout=0.1,
)
_DIGITS: Final = replace(_OWN, epochs=24, loss="final", penalty_target=7.0)
_EVENTS: Final = replace(_OWN, epochs=20, batch_size=32, input_dropout=0.2)
_LARGE: Final = replace(_EVENTS, epochs=12, batch_size=64)

RECIPES: Final[Mapping[str, Recipes]] = {
    "digits": _stack(1_000, "8x8", 10, _DIGITS, "decay=0.95 v_threshold=1.0"),
    "mnist": _stack(1_000, "28x28", 10, _LARGE),
    "nmnist-small": _stack(20_000, "2x34x34", 10, _EVENTS),
    "spoken-digits": _stack(10_000, "2x32", 10, replace(_EVENTS, penalty_target=4.0)),
    "braille": _stack(25_000, "2x12", 27, _EVENTS),
    "nmnist": _stack(20_000, "2x34x34", 10, _LARGE),
    "shd": _stack(10_000, "700", 20, _LARGE),
    "dvs-gesture": _stack(20_000, "2x128x128", 11, _EVENTS),
}
"""Recipes by data set."""

ENCODINGS_PER_IMAGE: Final[Mapping[str, int]] = {"digits": 8}
"""Encodings of each training image, where it is more than one."""
