"""Networks of one to five neurons, small enough to work out by hand."""

import numpy as np
import pytest

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.model.connections import INPUT, Dense, Sparse
from neuroasync.core.model.model import LIF, Model, Population
from tests.helpers import reference_simulator as oracle
from tests.helpers.engine_runners import compiled, stepwise

in_every_engine = pytest.mark.parametrize(
    "run", [oracle.run, stepwise, compiled], ids=["oracle", "stepwise", "compiled"]
)
"""The test holds for the oracle and for both engines."""

by_step = pytest.mark.parametrize("run", [oracle.run, stepwise], ids=["oracle", "stepwise"])
"""What calls Python while a sample runs: not for the compiled loop."""

MS = 1000


def population(name, size=1, **neuron):
    return Population(name, (size,), LIF(**neuron))


def dense(source, target, weight, bias=None, delay_us=0):
    """``weight[target][source]``; one number for one neuron each."""
    bias = None if bias is None else np.array(bias, np.float32)
    return Dense(source, target, np.atleast_2d(np.array(weight, np.float32)), bias, delay_us)


def sparse(source, target, sources, synapses):
    """``synapses`` are (source, target, weight), ascending."""
    indptr = np.searchsorted([s for s, _, _ in synapses], np.arange(sources + 1))
    indices = np.array([t for _, t, _ in synapses], np.int64)
    return Sparse(source, target, indptr, indices, np.array([w for *_, w in synapses], np.float32))


def network(populations, connections, inputs=1, output=None, timestep_us=MS):
    """The last population is the output, if none is named."""
    output = output or populations[-1].name
    return Model(timestep_us, (inputs,), tuple(populations), tuple(connections), output)


def one_neuron(weight=1.5, *, inputs=1, bias=None, timestep_us=MS, **neuron):
    """Input -> a."""
    return network(
        [population("a", **neuron)],
        [dense(INPUT, "a", weight, bias)],
        inputs=inputs,
        timestep_us=timestep_us,
    )


def events(*pairs):
    """Events (t in µs, index)."""
    return SpikeTrain(
        np.array([t for t, _ in pairs], np.int64), np.array([i for _, i in pairs], np.int64)
    )


def fired(result):
    """(pass, step, neuron) of each spike."""
    return [(at, step, neuron) for at, step, _, neuron in result.rows]


def delivered(result, at=0):
    """Keys of each group of a pass but that of step 0, in slot order."""
    return [[key for key, *_ in slots] for p, step, slots in result.groups if p == at and step > 0]


def opening(result, at=0):
    """(origin, count, via) of each slot of a pass's step 0."""
    return [slot[1:] for p, step, slots in result.groups if (p, step) == (at, 0) for slot in slots]
