"""What Norse exports, imported as the guide says, is what the module is."""

import numpy as np
import pytest

from neuroasync.interchange import import_nir

STEP_US = 1000


@pytest.mark.filterwarnings("ignore:nirtorch:DeprecationWarning")
@pytest.mark.parametrize("cell", ["LIFBoxCell", "IAFCell", "LIFCell"])
def test_a_file_of_norse_gives_the_network_of_the_module(cell):
    norse = pytest.importorskip("norse.torch", reason="needs the framework")
    torch = pytest.importorskip("torch")
    from neuroasync.interchange import from_norse

    module = norse.SequentialState(torch.nn.Linear(6, 4), getattr(norse, cell)(dt=0.001))
    graph = norse.to_nir(module, torch.zeros(6), dt=1)
    for node in graph.nodes.values():
        if cell == "LIFCell" and hasattr(node, "tau_syn"):
            node.w_in = np.asarray(node.tau_syn) / (STEP_US / 1e6)
    found = import_nir(graph, timestep_us=STEP_US, jump="euler", reset="zero").model
    expected = from_norse(module, timestep_us=STEP_US, input_shape=(6,)).bundle.model
    (one,), (other,) = found.connections, expected.connections
    np.testing.assert_allclose(one.weight, other.weight, rtol=1e-6)
    np.testing.assert_allclose(one.bias, other.bias, rtol=1e-6)
    ours, theirs = found.populations[0].neuron, expected.populations[0].neuron
    for name in ("tau_mem_us", "tau_syn_us"):
        values = [getattr(neuron, name) for neuron in (ours, theirs)]
        assert values == [None, None] or values[0] == pytest.approx(values[1], rel=1e-6)
    assert (ours.reset, ours.v_threshold) == (theirs.reset, theirs.v_threshold)
