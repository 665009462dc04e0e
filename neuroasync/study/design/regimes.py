"""The regimes: a family of cases that shows where training for an ordering policy matters.

All cases use MNIST in a latency code with one spike per pixel within 10 ms. They vary how the input
is delivered (prioritised or queued), the number of timesteps, the activity and the network. The
cases form a table: add a :class:`Case` to it, and ``neuroasync study --regimes`` runs it.

In a single timestep a refractory output neuron has one vote, so the first output spike decides.
Therefore the output neurons here may fire more than once, and their reset subtracts the threshold.
Every hidden population, except the first convolution, also has a direct connection to the output,
so that the gradient does not vanish in deep networks. The *plain* networks have neither, so they
differ in two ways at once.

In ``queued-1-sparse``, ``queued-1-dense``, ``queued-1-dense-shallow`` and ``queued-1-dense-direct``
the hidden neurons may fire more than once, too. Their single timestep is a single forward pass in
which the input arrives in pieces. A hidden neuron that fires only once could not react to input
after its spike. So these cases also differ in this respect from ``first-1-...``, ``queued-5-...``,
``queued-1-dense-plain``, ``queued-1-dense-deep`` and ``queued-1-convolutional``, whose hidden
neurons fire at most once per pass. Compared with those, a gain may come from either difference.

With five timesteps, the training samples are shifted at random; with one, they are not. The page
of results lists the recipes that were tried.
"""

from dataclasses import replace
from typing import Final

from neuroasync.core.engine.run_settings import InputMode
from neuroasync.study.design.case import Case, Grid
from neuroasync.train.config import TrainConfig
from neuroasync.train.recipes import VOTING, Recipe, Training, recipes_of

__all__ = ["REGIMES"]

_ONE: Final = 10_000
"""µs per timestep so that the whole sample is one timestep."""
_FIVE: Final = 2_000
"""µs per timestep so that a sample has five timesteps."""
_DENSE: Final = TrainConfig(
    epochs=24,
    policy="layer-sync",
    layered_epochs=0,
    surrogate_slope=3.0,
    vote_scale=2.0,
    penalty=0.0,
    penalty_target=8.0,
)
_SPARSE: Final = replace(_DENSE, penalty=0.001)
_SHIFTS: Final = {_ONE: 0, _FIVE: 1}
"""Largest random shift of training samples in pixels, by timestep. With a single timestep, shifts
made ``layered`` less accurate, even under layer-sync, in two of three regimes; in the plain one,
they made it less accurate in other orders."""
_LAYER_SYNC_WEIGHT: Final = {_ONE: 16, _FIVE: 4}
"""Weight of layer-sync for ``unlayered-any``, by timestep; each other run mode has weight 1. On
validation samples, ``queued-1-convolutional`` is less accurate under layer-sync with a weight of 8,
``queued-1-dense-plain`` is less accurate in all modes with it, and ``queued-5-sparse`` is less
accurate in 12 of 13 modes with a weight of 16."""
_ANY_ORDER: Final = "layer-sync x{}; random,momentum,fifo F=1,8 prioritised,queued"
"""Run modes of ``unlayered-any``."""
_ANY_EPOCHS: Final = 96
"""Epochs of ``unlayered-any``. The page of results also compares it with networks for one order
that were trained for 48."""
_MODE_FOCUS: Final = 30.0
_REPEATED: Final = "refractory=false"
"""Neuron option with which a neuron may fire more than once per pass."""


def _stack(populations: int, neuron: str = "") -> str:
    """Return a chain of populations of 64 neurons, each also connected to the output."""
    hidden = [f"hidden{k} d64 {neuron}" for k in range(1, populations + 1)]
    skips = [f"hidden{k} -> output" for k in range(1, populations)]
    return "; ".join([*hidden, f"output d10 {VOTING}", *skips])


def _plain(populations: int) -> str:
    hidden = [f"hidden{k} d64" for k in range(1, populations + 1)]
    return "; ".join([*hidden, "output d10"])


_DIRECT: Final = "input -> output"
"""Direct connection of the input. In random order, hidden spikes wait among all queued input; an
output that also receives the input directly does not depend on them alone."""
_RECURRENT: Final = "hidden3 -> hidden3"
_CONVOLUTIONAL: Final = (
    f"conv1 c6k5s2p2; conv2 c12k3s2p1; hidden d64; output d10 {VOTING}; conv2 -> output"
)


def _mnist(name: str, mode: InputMode, timestep_us: int, layers: str, config: TrainConfig) -> Case:
    image = "1x28x28" if layers.startswith("conv") else "28x28"
    common = f"timestep_us={timestep_us} decay={{}} v_threshold={{}}; input {image}; {layers}"
    config = replace(config, shift=_SHIFTS[timestep_us])
    recipes = recipes_of(common.format(0.0, 0.3), common.format(0.9, 1.0), config)
    # The question is what a policy adds to the same recipe, so the paper's recipe is left out.
    compared: dict[Training, Recipe] = {
        training: recipe for training, recipe in recipes.items() if training != "layered-paper"
    }
    compared["unlayered-fifo"] = recipes["layered"].with_training(policy="fifo")
    compared["unlayered-any"] = recipes["unlayered-any"].with_training(
        epochs=_ANY_EPOCHS,
        modes=_ANY_ORDER.format(_LAYER_SYNC_WEIGHT[timestep_us]),
        mode_focus=_MODE_FOCUS,
    )
    return Case(
        name=name,
        dataset="mnist",
        recipes=compared,
        input=mode,
        coding="latency",
        max_train=8_000,
        max_measured=600,
        grid=Grid(group_sizes=(1, 8), inputs=tuple(dict.fromkeys((mode, "prioritised")))),
    )


REGIMES: Final = (
    _mnist("first-5-sparse", "prioritised", _FIVE, _stack(3), _SPARSE),
    _mnist("first-1-sparse", "prioritised", _ONE, _stack(3), _SPARSE),
    _mnist("first-1-dense", "prioritised", _ONE, _stack(3), _DENSE),
    _mnist("first-1-dense-plain", "prioritised", _ONE, _plain(3), _DENSE),
    _mnist("first-1-dense-deep", "prioritised", _ONE, _stack(6), _DENSE),
    _mnist("first-1-dense-deep-plain", "prioritised", _ONE, _plain(6), _DENSE),
    _mnist("queued-1-sparse", "queued", _ONE, _stack(3, _REPEATED), _SPARSE),
    _mnist("queued-1-dense", "queued", _ONE, _stack(3, _REPEATED), _DENSE),
    _mnist("queued-1-dense-shallow", "queued", _ONE, _stack(1, _REPEATED), _DENSE),
    _mnist("queued-1-dense-direct", "queued", _ONE, f"{_stack(3, _REPEATED)}; {_DIRECT}", _DENSE),
    _mnist("queued-1-dense-plain", "queued", _ONE, _plain(3), _DENSE),
    _mnist("queued-1-dense-deep", "queued", _ONE, _stack(6), _DENSE),
    _mnist("queued-5-sparse", "queued", _FIVE, _stack(3), _SPARSE),
    _mnist("queued-5-dense", "queued", _FIVE, _stack(3), _DENSE),
    _mnist("queued-5-recurrent", "queued", _FIVE, f"{_stack(3)}; {_RECURRENT}", _DENSE),
    _mnist("queued-1-convolutional", "queued", _ONE, _CONVOLUTIONAL, _DENSE),
)
"""The cases, in the order in which they are reported."""
