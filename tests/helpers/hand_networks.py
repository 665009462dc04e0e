"""Networks of one to five neurons, whose results can be computed by hand."""

import numpy as np
import pytest

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.model.connections import INPUT, Dense, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from tests.helpers.engine_runners import compiled, stepwise
from tests.helpers.reference.simulator import run as run_reference

in_every_engine = pytest.mark.parametrize(
    "run", [run_reference, stepwise, compiled], ids=["reference", "stepwise", "compiled"]
)
"""Run the test with the reference simulator and with both engines."""

by_step = pytest.mark.parametrize("run", [run_reference, stepwise], ids=["reference", "stepwise"])
"""As ``in_every_engine``, but without the compiled loop.

These tests use a policy or a stop rule that is a Python function.
"""

MS = 1000


def population(name, size=1, **neuron):
    """Return a population of LIF neurons with the given parameters."""
    return Population(name, (size,), LIF(**neuron))


def dense(source, target, weight, bias=None, delay_us=0):
    """Return a dense connection.

    ``weight[target][source]`` are the weights. A number connects two populations of one neuron.
    """
    bias = None if bias is None else np.array(bias, np.float32)
    return Dense(source, target, np.atleast_2d(np.array(weight, np.float32)), bias, delay_us)


def sparse(source, target, sources, synapses):
    """Return a sparse connection with the given synapses (source, target, weight), ascending."""
    indptr = np.searchsorted([s for s, _, _ in synapses], np.arange(sources + 1))
    indices = np.array([t for _, t, _ in synapses], np.int64)
    return Sparse(source, target, indptr, indices, np.array([w for *_, w in synapses], np.float32))


def network(populations, connections, inputs=1, output=None, timestep_us=MS):
    """Return a network. The last population is the output unless ``output`` names another one."""
    output = output or populations[-1].name
    return Model(timestep_us, (inputs,), tuple(populations), tuple(connections), output)


def one_neuron(weight=1.5, *, inputs=1, bias=None, timestep_us=MS, **neuron):
    """Return a network with one neuron: input -> a."""
    return network(
        [population("a", **neuron)],
        [dense(INPUT, "a", weight, bias)],
        inputs=inputs,
        timestep_us=timestep_us,
    )


def events(*pairs):
    """Return a spike train of pairs (time in µs, index)."""
    return SpikeTrain(
        np.array([t for t, _ in pairs], np.int64), np.array([i for _, i in pairs], np.int64)
    )


def fired(result):
    """Return (pass, step, neuron) of each spike."""
    return [(at, step, neuron) for at, step, _, neuron in result.rows]


def delivered(result, at=0):
    """Return the keys of each group of a pass, in slot order, without the group of step 0."""
    return [[key for key, *_ in slots] for p, step, slots in result.groups if p == at and step > 0]


def opening(result, at=0):
    """Return (origin, count, via) of each slot in step 0 of a pass."""
    return [slot[1:] for p, step, slots in result.groups if (p, step) == (at, 0) for slot in slots]
