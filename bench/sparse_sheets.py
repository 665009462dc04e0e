"""Square sheets of neurons of any size with equal activity and bounded fan-out.

Each population is a sheet. A spike makes the neuron at the same position of the next sheet fire and
weakly inhibits others, so that the same events cause the same spikes in sheets of every size.
Ten output neurons read the last sheet.
"""

from itertools import pairwise
from typing import Final, Literal

import numpy as np

from bench.reference_networks import TIMESTEP_US, TIMESTEPS
from neuroasync import LIF, Conv2d, Model, Population, Sparse, SpikeTrain

__all__ = ["EVENTS", "LAYERS", "PATCH", "conv_sheets", "sheet_samples", "sparse_sheets"]

LAYERS: Final = 4
PATCH: Final = 16
"""Side of the smallest sheet, and of the patch that contains clustered events."""
EVENTS: Final = 32
"""Distinct input events per timestep."""
_FAN_OUT: Final = 16
_STRONG: Final = 3.0
_WEAK: Final = -1 / 64


def conv_sheets(side: int) -> Model:
    """Return ``LAYERS`` sheets of ``side`` x ``side`` neurons, connected by 3 x 3 kernels."""
    weight = np.full((1, 1, 3, 3), _WEAK, np.float32)
    weight[0, 0, 1, 1] = _STRONG
    names = _names()
    connections = tuple(Conv2d(a, b, weight, padding=(1, 1)) for a, b in pairwise(names))
    return _model((1, side, side), connections)


def sparse_sheets(side: int) -> Model:
    """Return sheets in which each neuron has 16 targets: at its own position and 15 random ones."""
    rng, size, names = np.random.default_rng(5), side * side, _names()
    connections = []
    for a, b in pairwise(names):
        # A random step from one target to the next keeps them distinct and ascending.
        steps = rng.integers(1, size // _FAN_OUT + 1, (size, _FAN_OUT))
        own = np.arange(size)[:, None]
        targets = (own + np.cumsum(steps, axis=1) - steps[:, :1]) % size
        weight = np.where(targets == own, _STRONG, _WEAK).astype(np.float32)
        order = np.argsort(targets, axis=1)
        targets = np.take_along_axis(targets, order, axis=1)
        weight = np.take_along_axis(weight, order, axis=1)
        indptr = np.arange(size + 1) * _FAN_OUT
        connections.append(Sparse(a, b, indptr, targets.ravel(), weight.ravel()))
    return _model((1, side, side), tuple(connections))


def sheet_samples(side: int, where: Literal["clustered", "spread"], count: int) -> list[SpikeTrain]:
    """Return events in one patch (the same for every ``side``), or anywhere in the sheet."""
    rng, trains = np.random.default_rng(11), []
    for _ in range(count):
        index = []
        for _ in range(TIMESTEPS):
            if where == "clustered":
                place = rng.choice(PATCH * PATCH, EVENTS, replace=False)
                index.append(place // PATCH * side + place % PATCH)
            else:
                index.append(rng.choice(side * side, EVENTS, replace=False))
        t_us = np.repeat(np.arange(TIMESTEPS) * TIMESTEP_US, EVENTS)
        trains.append(SpikeTrain(t_us, np.concatenate(index).astype(np.int64)))
    return trains


def _names() -> list[str]:
    return ["input", *(f"sheet{k}" for k in range(1, LAYERS + 1))]


def _model(shape: tuple[int, ...], connections: tuple[Conv2d, ...] | tuple[Sparse, ...]) -> Model:
    neuron = LIF(tau_mem_us=float(TIMESTEP_US), v_threshold=1.0)
    sheets = tuple(Population(name, shape, neuron) for name in _names()[1:])
    size = shape[1] * shape[2]
    ones, classes = np.ones(size, np.float32), np.arange(size) % 10
    readout = Sparse(_names()[-1], "output", np.arange(size + 1), classes, ones)
    populations = (*sheets, Population("output", (10,), neuron))
    return Model(TIMESTEP_US, shape, populations, (*connections, readout), "output")
