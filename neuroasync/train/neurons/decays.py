"""Decay factors of neurons, and their derivatives, for the intervals between the passes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.packed_neurons import decay_factors
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import Neuron, Parameter
from neuroasync.train.batch import Batch, pass_intervals

__all__ = ["DecayTables", "decay_slopes", "decays_of"]

_NEVER = float("inf")
"""Time constant of a variable that a population does not have."""


class DecayTables:
    """Decay factors for the passes of batches. They are kept if they are the same for all batches.

    Args:
        model: The network.
        learns: Whether time constants or thresholds are learned.
    """

    def __init__(self, model: Model, *, learns: bool) -> None:
        self._model, self._learns = model, learns
        self._kept: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def tables(
        self, neurons: Sequence[Neuron], batch: Batch
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """Return decay factors f32[D, 3, N] and their derivatives f32[D, 2, N].

        The derivatives have no elements if nothing is learned. The third result is the row of both,
        i64[B, T], for the time before each pass.
        """
        model = self._model
        intervals, rows = pass_intervals(model, batch)
        if self._kept is not None:
            return *self._kept, rows
        decays = np.stack([np.stack(decays_of(model, neurons, us)) for us in intervals])
        slopes = np.zeros((len(intervals), 2, 0), np.float32)
        if self._learns:
            slopes = np.stack([np.stack(decay_slopes(model, neurons, us)) for us in intervals])
        elif model.timestep_us:
            self._kept = decays, slopes
        return decays, slopes, rows


def decays_of(
    model: Model, neurons: Sequence[Neuron], interval_us: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the decay factors f32[N] over an interval in µs.

    They are those of membrane potential, synaptic current and adaptation; 1 where a neuron does
    not have the variable.
    """
    membrane, current, adaptation = (
        decay_factors(model, taus, interval_us) for taus in _time_constants(neurons)
    )
    return membrane, current, adaptation


def decay_slopes(
    model: Model, neurons: Sequence[Neuron], interval_us: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the derivatives f32[N] of the first two factors of :func:`decays_of`.

    They are with respect to the logarithm of the time constant; see :mod:`.learned`.
    """
    membrane, current = (
        np.concatenate([_slopes(tau, p.size, interval_us) for tau, p in pairs])
        for pairs in (
            list(zip(taus, model.populations, strict=True)) for taus in _time_constants(neurons)[:2]
        )
    )
    return membrane, current


def _slopes(tau_us: Parameter, size: int, interval_us: int) -> NDArray[np.float32]:
    ratio = interval_us / np.broadcast_to(np.asarray(tau_us, np.float64).ravel(), size)
    return (np.exp(-ratio) * ratio).astype(np.float32)


def _time_constants(neurons: Sequence[Neuron]) -> tuple[list[Parameter], ...]:
    return (
        [n.tau_mem_us for n in neurons],
        [_NEVER if n.tau_syn_us is None else n.tau_syn_us for n in neurons],
        [_NEVER if n.adaptation is None else n.adaptation.tau_us for n in neurons],
    )
