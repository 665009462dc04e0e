"""Populations as neuron nodes of NIR."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.checks import printable
from neuroasync.core.model.model import Population
from neuroasync.core.model.neurons import LI, LIF, Neuron
from neuroasync.errors import InterchangeError
from neuroasync.interchange.nir.discretisation import Discretisation
from neuroasync.interchange.nir.neurons import AN_ARRAY
from neuroasync.interchange.nir.nodes import Shape

if TYPE_CHECKING:
    import nir

__all__ = ["neuron_metadata", "neuron_node", "refusal"]

Floats = NDArray[np.float64]


def neuron_node(
    population: Population, shape: Shape, how: Discretisation, metadata: dict[str, str]
) -> "nir.NIRNode":
    """Return the node of a population.

    Args:
        population: the population.
        shape: shape of the node, which may be flat.
        how: how the reader solves the equations.
        metadata: metadata of the node.

    Raises:
        InterchangeError: NIR has no node for these neurons.
    """
    import nir

    neuron = population.neuron
    _check_features(population, how)

    def spread(key: str) -> Floats:
        values = np.ravel(np.asarray(getattr(neuron, key), np.float64))
        return np.broadcast_to(values, population.size).reshape(shape).copy()

    zeros = np.zeros(shape)
    step_s = how.step_us / 1e6
    tau_us = spread("tau_mem_us")
    fields: dict[str, Any] = {"metadata": metadata}
    if isinstance(neuron, LIF):
        fields |= {"v_threshold": spread("v_threshold"), "v_reset": zeros}
    if np.isinf(tau_us).all():
        kind = nir.I if isinstance(neuron, LI) else nir.IF
        return kind(r=1 + zeros, **fields)
    tau_s = how.tau_s(tau_us)
    fields |= {"r": tau_s / step_s, "v_leak": zeros}
    if neuron.tau_syn_us is None:
        kind = nir.LI if isinstance(neuron, LI) else nir.LIF
        return kind(tau=tau_s, **fields)
    tau_syn_s = how.tau_s(spread("tau_syn_us"))
    kind = nir.CubaLI if isinstance(neuron, LI) else nir.CubaLIF
    return kind(tau_mem=tau_s, tau_syn=tau_syn_s, w_in=tau_syn_s / step_s, **fields)


def neuron_metadata(neuron: Neuron) -> Mapping[str, Any]:
    """Return what NIR has no field for, as metadata of a node."""
    keys = ("tau_mem_us", "tau_syn_us", *(("v_threshold",) if isinstance(neuron, LIF) else ()))
    metadata: dict[str, Any] = {}
    for key in keys:
        value = getattr(neuron, key)
        # JSON has no infinity; a node of another type says the same.
        if isinstance(value, np.ndarray):
            metadata[key] = AN_ARRAY
        elif value is not None and value != math.inf:
            metadata[key] = value
    if isinstance(neuron, LIF):
        metadata |= {"reset": neuron.reset, "refractory": neuron.refractory}
        metadata |= {"reset_delayed": True} if neuron.reset_delayed else {}
    return metadata


def refusal(name: str, reason: str) -> InterchangeError:
    """Return an error that names a population."""
    return InterchangeError(f"population {printable(name)!r}: {reason}")


def _check_features(population: Population, how: Discretisation) -> None:
    """Raise InterchangeError if NIR has no counterpart of a feature."""
    neuron, name = population.neuron, population.name
    missing = {
        "sync_threshold": neuron.sync_threshold != 0,
        "adaptation": neuron.adaptation is not None,
        "reset_amount": neuron.reset_amount is not None,
        "reset 'none'": isinstance(neuron, LIF) and neuron.reset == "none",
        "tau_syn_us with a timestep of 0": neuron.tau_syn_us is not None and not how.timestep_us,
    }
    for feature, is_used in missing.items():
        if is_used:
            raise refusal(name, f"NIR has no counterpart of its {feature}")
    for key in ("tau_mem_us", "tau_syn_us"):
        value = getattr(neuron, key)
        infinite = np.zeros(1, bool) if value is None else np.isinf(value)
        if infinite.any() and (neuron.tau_syn_us is not None or not infinite.all()):
            raise refusal(
                name,
                f"NIR cannot express a `{key}` of inf together with finite ones, or with a "
                "synaptic current",
            )
