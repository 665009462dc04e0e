"""The networks of NIR's paper run here as in a plain loop over their graphs."""

import nir
import numpy as np

from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.model.connections import Conv2d, Dense, Sparse
from neuroasync.interchange import import_nir
from tests.helpers.engine_runners import compiled
from tests.helpers.nir_graphs import run_graph
from tests.helpers.paths import DATA

CNN = DATA / "nir" / "cnn_sinabs.nir"
BRAILLE = DATA / "nir" / "braille_noDelay_bias_zero.nir"


def test_convolutional_network_of_sinabs():
    bundle = import_nir(CNN, timestep_us=1000, reset="subtract")
    kinds = [type(c) for c in bundle.model.connections]
    assert kinds == [Conv2d, Conv2d, Sparse, Dense, Dense]
    inputs = np.random.default_rng(2).random((6, 2, 34, 34)) < 0.05
    how = {"jump": "unit", "decay": "exact", "reset": "subtract"}
    assert spikes(bundle.model, inputs) == graph_spikes(CNN, bundle, inputs, 1e-3, how)


def test_recurrent_network_of_snntorch():
    how = {"jump": "euler", "decay": "euler", "reset": "zero"}
    bundle = import_nir(BRAILLE, timestep_us=100, **how)
    inputs = np.random.default_rng(3).random((60, 12)) < 0.2
    assert spikes(bundle.model, inputs) == graph_spikes(BRAILLE, bundle, inputs, 1e-4, how)


def graph_spikes(path, bundle, inputs, step_s, how):
    """Return (step, neuron) of each spike by the plain loop over the graph."""
    names = [p.name for p in bundle.model.populations]
    rows = run_graph(nir.read(path), inputs, names, step_s=step_s, **how)
    assert rows[names[-2]].any()
    table = np.hstack([rows[name].reshape(len(inputs), -1) for name in names])
    return set(zip(*(part.tolist() for part in np.nonzero(table)), strict=True))


def spikes(model, inputs):
    """Return (step, neuron) of each spike under layer synchronization."""
    step, index = np.nonzero(inputs.reshape(len(inputs), -1))
    train = SpikeTrain(step * model.timestep_us, index)
    duration_us = len(inputs) * model.timestep_us
    result = compiled(model, train, LayerSync(), duration_us=duration_us)
    return {(time_us // model.timestep_us, neuron) for _, _, time_us, neuron in result.rows}
