"""Neurons as the numbers that kernels read: columns of a population, and rows of ``dynamics``."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.kernels.layout import Dynamics, Populations
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import LIF, Neuron, Parameter

__all__ = [
    "NeuronArrays",
    "can_be_above",
    "decay_factors",
    "describe_neuron",
    "is_homogeneous",
    "neuron_arrays",
    "per_neuron",
]

_NEVER: Final = math.inf
"""Time constant of a variable that a population does not have."""


class NeuronArrays(NamedTuple):
    """Arrays of a packed network that hold parameters of neurons; ``kernels.layout`` has them."""

    thresholds: NDArray[np.float32]
    factors: NDArray[np.float32]
    taus: NDArray[np.float64]
    uniform: NDArray[np.float32]
    dynamics: NDArray[np.float64]


def neuron_arrays(model: Model, neurons: Sequence[Neuron]) -> NeuronArrays:
    """Return the arrays for a model with other neurons.

    Args:
        model: the network.
        neurons: parameters of the neurons of each population. Parameters that are one number in
            the model must be one number here.
    """
    is_all_homogeneous = all(is_homogeneous(neuron) for neuron in neurons)
    factors = decay_factors(model, [n.tau_mem_us for n in neurons], model.timestep_us)
    thresholds = per_neuron(model, [n.v_threshold for n in neurons])
    starts = np.array(model.starts[:-1])
    return NeuronArrays(
        thresholds=thresholds,
        factors=np.zeros(0, np.float32) if is_all_homogeneous else factors,
        taus=_taus(model, neurons, is_all_homogeneous),
        uniform=np.stack([thresholds[starts], factors[starts]], axis=1),
        dynamics=_dynamics(model, neurons),
    )


def _taus(model: Model, neurons: Sequence[Neuron], is_homogeneous: bool) -> NDArray[np.float64]:
    """Return the time constant of each population's first neuron, then all if they differ."""
    each = [
        np.broadcast_to(np.asarray(neuron.tau_mem_us, np.float64).ravel(), p.size)
        for p, neuron in zip(model.populations, neurons, strict=True)
    ]
    return np.concatenate([[tau[0] for tau in each], *([] if is_homogeneous else each)])


def per_neuron(model: Model, values: Sequence[Parameter]) -> NDArray[np.float32]:
    """Return a parameter of each neuron, f32[N], given that of each population."""
    parts = [
        np.broadcast_to(np.asarray(value, np.float32).ravel(), p.size)
        for p, value in zip(model.populations, values, strict=True)
    ]
    return np.concatenate(parts)


def decay_factors(
    model: Model, taus_us: Sequence[Parameter], interval_us: int
) -> NDArray[np.float32]:
    """Return exp(-interval / tau) of each neuron: f32[N].

    It is computed in float64 by ``math.exp`` and rounded once. The bits of numpy's ``exp`` differ
    between processors.

    Args:
        model: the network.
        taus_us: time constants of each population, µs.
        interval_us: time between two passes, µs.
    """
    parts = []
    for population, tau in zip(model.populations, taus_us, strict=True):
        if isinstance(tau, float):
            factor = np.float32(math.exp(-interval_us / tau))
            parts.append(np.full(population.size, factor, np.float32))
        else:
            distinct, inverse = np.unique(tau.ravel(), return_inverse=True)
            factors = [math.exp(-interval_us / float(t)) for t in distinct]
            parts.append(np.array(factors).astype(np.float32)[inverse])
    return np.concatenate(parts)


def is_homogeneous(neuron: Neuron) -> bool:
    """Return whether all neurons of a population always have the same threshold and leak."""
    is_uniform = isinstance(neuron.v_threshold, float) and isinstance(neuron.tau_mem_us, float)
    return is_uniform and neuron.adaptation is None


def can_be_above(neuron: Neuron, is_biased: bool) -> bool:
    """Return whether a neuron can be above threshold in a pass in which nothing reached it.

    Args:
        neuron: parameters of the neuron.
        is_biased: whether it has a bias.
    """
    if not isinstance(neuron, LIF) or neuron.sync_threshold:
        return False
    may_rise = is_biased or neuron.tau_syn_us is not None or neuron.adaptation is not None
    return may_rise or _stays_above(neuron)


def _stays_above(neuron: Neuron) -> bool:
    return neuron.reset != "zero" or neuron.reset_delayed


def describe_neuron(row: NDArray[np.int64], neuron: Neuron) -> None:
    """Write the columns of a population that depend on its neurons alone to ``row``."""
    adapts, has_current = neuron.adaptation is not None, neuron.tau_syn_us is not None
    row[Populations.SUBTRACTS] = neuron.reset == "subtract"
    row[Populations.KEEPS] = neuron.reset == "none"
    row[Populations.DELAYED] = neuron.reset_delayed
    row[Populations.HAS_AMOUNT] = neuron.reset_amount is not None
    row[Populations.STAYS_ABOVE] = _stays_above(neuron)
    row[Populations.REFRACTORY] = neuron.refractory
    row[Populations.SYNC_THRESHOLD] = neuron.sync_threshold
    row[Populations.HOMOGENEOUS] = is_homogeneous(neuron)
    row[Populations.HAS_CURRENT], row[Populations.ADAPTS] = has_current, adapts
    row[Populations.HAS_EXTRAS] = adapts or has_current or neuron.reset_delayed
    row[Populations.IS_SPECIAL] = (
        adapts or neuron.reset_delayed or neuron.reset_amount is not None or neuron.reset == "none"
    )


def _has_dynamics(neuron: Neuron) -> bool:
    features = neuron.tau_syn_us, neuron.adaptation, neuron.reset_amount
    return neuron.reset_delayed or any(feature is not None for feature in features)


def _dynamics(model: Model, neurons: Sequence[Neuron]) -> NDArray[np.float64]:
    """Return the table ``Dynamics``, f64[6, N]; without columns if no population needs it."""
    if not any(_has_dynamics(neuron) for neuron in neurons):
        return np.zeros((len(Dynamics), 0))
    table = np.zeros((len(Dynamics), model.size), np.float64)
    for tau, factor, taus in (
        (Dynamics.TAU_CURRENT, Dynamics.CURRENT_FACTOR, [n.tau_syn_us for n in neurons]),
        (
            Dynamics.TAU_ADAPTATION,
            Dynamics.ADAPTATION_FACTOR,
            [None if n.adaptation is None else n.adaptation.tau_us for n in neurons],
        ),
    ):
        given = [_NEVER if value is None else value for value in taus]
        table[tau] = np.concatenate([
            np.broadcast_to(np.asarray(value, np.float64).ravel(), p.size)
            for p, value in zip(model.populations, given, strict=True)
        ])  # fmt: skip
        table[factor] = decay_factors(model, given, model.timestep_us)
    amounts = [n.reset_amount for n in neurons]
    increments = [None if n.adaptation is None else n.adaptation.increment for n in neurons]
    for row, values in ((Dynamics.AMOUNT, amounts), (Dynamics.INCREMENT, increments)):
        table[row] = per_neuron(model, [0.0 if value is None else value for value in values])
    return table
