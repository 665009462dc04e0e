"""The regimes: cases around one another, to find where training for an order matters.

MNIST in a latency code, a spike a pixel within 10 ms: how the input comes (first, queued), in how
many timesteps, how much fires, and through what network. A table: add a :class:`Case` to it, and
``neuroasync study --regimes`` runs it.

In a single timestep a refractory output has one vote, and whoever fires first decides. So the
outputs here may fire again and their reset subtracts. Populations are connected to the output past
those behind them, so that depth does not cost the gradient; *plain* networks have neither, which
is two differences at once.

The hidden neurons of ``queued-1-sparse`` and ``queued-1-dense``, ``-shallow`` and ``-direct`` may
fire again, too: there is a single timestep, in whose only pass input comes bit by bit, and a hidden
neuron that fires once cannot take back what it said of the first of it. So these differ in that,
too, from ``first-1-...``, ``queued-5-...``, ``queued-1-dense-plain`` and ``queued-1-dense-deep``,
whose hidden neurons fire once a pass; beside those, what an order adds may come of either.
"""

from dataclasses import replace
from typing import Final

from neuroasync.core.engine.run_settings import InputMode
from neuroasync.study.design.case import Case, Grid
from neuroasync.train.config import TrainConfig
from neuroasync.train.recipes import VOTING, Recipe, Training, recipes_of

__all__ = ["REGIMES"]

_ONE: Final = 10_000
"""µs of a timestep: one for the whole sample."""
_FIVE: Final = 2_000
_DENSE: Final = TrainConfig(
    epochs=12,
    policy="layer-sync",
    layered_epochs=0,
    surrogate_slope=3.0,
    vote_scale=2.0,
    penalty=0.0,
    penalty_target=8.0,
)
_SPARSE: Final = replace(_DENSE, penalty=0.001)
_AGAIN: Final = "refractory=false"


def _stack(populations: int, neuron: str = "") -> str:
    """Populations of 64 in a row, each of which also reaches the output."""
    hidden = [f"hidden{k} d64 {neuron}" for k in range(1, populations + 1)]
    skips = [f"hidden{k} -> output" for k in range(1, populations)]
    return "; ".join([*hidden, f"output d10 {VOTING}", *skips])


def _plain(populations: int) -> str:
    hidden = [f"hidden{k} d64" for k in range(1, populations + 1)]
    return "; ".join([*hidden, "output d10"])


_DIRECT: Final = "input -> output"
"""In random order a hidden spike waits among all the input that waits: an output that the input
reaches, too, need not wait for it."""
_RECURRENT: Final = "hidden3 -> hidden3"
_CONVOLUTIONAL: Final = (
    f"conv1 c6k5s2p2; conv2 c12k3s2p1; hidden d64; output d10 {VOTING}; conv2 -> output"
)


_WITH_FIFO: Final = ("first-5-sparse", "first-1-dense", "queued-5-sparse", "queued-1-dense")
"""Regimes that a network is trained for in fifo order, too."""


def _mnist(name: str, mode: InputMode, timestep_us: int, layers: str, config: TrainConfig) -> Case:
    image = "1x28x28" if layers.startswith("conv") else "28x28"
    common = f"timestep_us={timestep_us} decay={{}} v_threshold={{}}; input {image}; {layers}"
    recipes = recipes_of(common.format(0.0, 0.3), common.format(0.9, 1.0), config)
    # The question is what an order adds to the same recipe.
    compared: dict[Training, Recipe] = {
        training: recipe for training, recipe in recipes.items() if training != "layered-paper"
    }
    if name in _WITH_FIFO:
        ours = compared["layered"]
        compared["unlayered-fifo"] = replace(ours, config=replace(config, policy="fifo"))
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
    _mnist("queued-1-sparse", "queued", _ONE, _stack(3, _AGAIN), _SPARSE),
    _mnist("queued-1-dense", "queued", _ONE, _stack(3, _AGAIN), _DENSE),
    _mnist("queued-1-dense-shallow", "queued", _ONE, _stack(1, _AGAIN), _DENSE),
    _mnist("queued-1-dense-direct", "queued", _ONE, f"{_stack(3, _AGAIN)}; {_DIRECT}", _DENSE),
    _mnist("queued-1-dense-plain", "queued", _ONE, _plain(3), _DENSE),
    _mnist("queued-1-dense-deep", "queued", _ONE, _stack(6), _DENSE),
    _mnist("queued-5-sparse", "queued", _FIVE, _stack(3), _SPARSE),
    _mnist("queued-5-dense", "queued", _FIVE, _stack(3), _DENSE),
    _mnist("queued-5-recurrent", "queued", _FIVE, f"{_stack(3)}; {_RECURRENT}", _DENSE),
    _mnist("queued-1-convolutional", "queued", _ONE, _CONVOLUTIONAL, _DENSE),
)
"""Cases in the order in which they are reported."""
