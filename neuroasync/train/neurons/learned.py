"""Time constants and thresholds that are learned.

A time constant and a threshold must be above 0. What is learned is therefore the logarithm w of a
factor, which is 0 at the start:

    tau = tau_0 * exp(w),    v_threshold = v_threshold_0 * exp(w)

Every w is valid, and a step of the optimiser changes a parameter by a fraction of itself. With
alpha = exp(-interval / tau), the derivative of a decay factor is

    d alpha / d w = alpha * interval / tau

Source: Fang et al., Incorporating learnable membrane time constant to enhance learning of spiking
neural networks, ICCV 2021, arXiv 2007.05785, learn time constants through a function whose values
are all valid; there, it is a sigmoid of the decay per timestep. The logarithm of tau does the same
for intervals of any length.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.checks import must_be
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import LIF, Neuron, Parameter

__all__ = ["LEARNABLE", "LearnPer", "LearnedParameters", "check_learn_per", "parse_learn"]

LearnPer = Literal["population", "neuron"]
"""Whether all neurons of a population share a learned factor, or each has its own."""

LEARNABLE: Final = ("tau_mem", "tau_syn", "threshold")
"""What can be learned besides weights: membrane time constants, time constants of synaptic
currents, and thresholds."""
_FIELDS: Final = ("tau_mem_us", "tau_syn_us", "v_threshold")
_MAX_LOG: Final = 20.0
"""Beyond this, w has no effect, so that no parameter can become 0 or infinite."""


def parse_learn(learn: object) -> tuple[str, ...]:
    """Return the names in a text such as ``"tau_mem,threshold"``, in the order of ``LEARNABLE``.

    Raises:
        ValueError: A name is unknown or occurs twice, or there is none.
    """
    names = [name.strip() for name in learn.split(",")] if isinstance(learn, str) else []
    if not names or not set(names) <= set(LEARNABLE) or len(set(names)) < len(names):
        raise ValueError(
            f"`learn` must be one or several of {', '.join(LEARNABLE)}, separated by commas, "
            f"got {learn!r:.80}"
        )
    return tuple(name for name in LEARNABLE if name in names)


def check_learn_per(learn_per: object, learn: str | None) -> None:
    """Raise ValueError if ``learn_per`` is unknown, or has no effect because nothing is learned."""
    if learn_per not in ("population", "neuron"):
        raise ValueError(f"`learn_per` must be 'population' or 'neuron', got {learn_per!r:.80}")
    if learn_per != "population" and learn is None:
        raise ValueError(must_be("learn_per", "'population' unless `learn` is given", "'neuron'"))


class LearnedParameters:
    """The learned parameters of a network's neurons, as one array of logarithms.

    Args:
        model: The network. Its parameters are those at the start.
        learn: What is learned: names of ``LEARNABLE``.
        per: ``"population"`` or ``"neuron"``.

    Attributes:
        model: The network, with an array instead of a number for each parameter that is learned
            per neuron.
        size: Number of learned parameters.
        index: i64[3, N], position of the logarithm that each neuron's tau_mem, tau_syn and
            threshold depend on; ``size`` for parameters that are not learned.

    Raises:
        ValueError: No population has a parameter of a name in ``learn``.
    """

    def __init__(self, model: Model, learn: Sequence[str], per: LearnPer) -> None:
        neurons = [p.neuron for p in model.populations]
        self.index = np.full((len(LEARNABLE), model.size), -1)
        self.size = 0
        self._at: dict[tuple[int, str], slice] = {}
        for row, (name, key) in enumerate(zip(LEARNABLE, _FIELDS, strict=True)):
            if name not in learn:
                continue
            learned = [p for p, neuron in enumerate(neurons) if _can_be_learned(neuron, key)]
            if not learned:
                raise ValueError(
                    f"`learn` has {name!r}, but no population has a finite `{key}` to start from"
                )
            for p in learned:
                population = model.populations[p]
                count = population.size if per == "neuron" else 1
                self._at[p, key] = slice(self.size, self.size + count)
                self.index[row, model.starts[p] : model.starts[p + 1]] = np.arange(
                    self.size, self.size + count
                )
                self.size += count
                if per == "neuron":
                    value = np.asarray(getattr(neurons[p], key), np.float32)
                    each = np.broadcast_to(value, population.shape)
                    neurons[p] = replace(neurons[p], **{key: each})  # type: ignore[arg-type]
        self.index[self.index < 0] = self.size
        self.model = with_neurons(model, neurons) if self.size else model

    def neurons(self, logs: NDArray[np.float32]) -> list[Neuron]:
        """Return the neurons of each population, given the logarithms f32[size]."""
        neurons = [p.neuron for p in self.model.populations]
        for (p, key), at in self._at.items():
            value = _scaled(getattr(neurons[p], key), logs[at])
            neurons[p] = replace(neurons[p], **{key: value})  # type: ignore[arg-type]
        return neurons

    def gathered(self, gradients: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the gradient of each logarithm, f32[size], given those by neuron, f32[3, N]."""
        total = np.zeros(self.size + 1, np.float64)
        np.add.at(total, self.index.ravel(), gradients.ravel())
        return total[:-1].astype(np.float32)


def with_neurons(model: Model, neurons: Sequence[Neuron]) -> Model:
    """Return the model with other neurons."""
    populations = zip(model.populations, neurons, strict=True)
    return replace(model, populations=tuple(replace(p, neuron=n) for p, n in populations))


def _can_be_learned(neuron: Neuron, key: str) -> bool:
    if key == "v_threshold" and not isinstance(neuron, LIF):
        return False
    value = getattr(neuron, key)
    return value is not None and bool(np.isfinite(value).any())


def _scaled(start: Parameter, logs: NDArray[np.float32]) -> Parameter:
    """Return a parameter of a population, multiplied by the exponential of ``logs``, f32[1 or n].

    It stays one number if it was one. All values stay within float32, and infinite ones infinite.
    """
    low, high = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    factors = [math.exp(min(max(w, -_MAX_LOG), _MAX_LOG)) for w in logs.tolist()]
    if isinstance(start, float):
        return min(max(start * factors[0], low), high) if math.isfinite(start) else start
    scaled = start.astype(np.float64).ravel() * np.array(factors)
    scaled = np.where(np.isinf(start.ravel()), np.inf, np.clip(scaled, low, high))
    return scaled.astype(np.float32).reshape(start.shape)
