"""Layers of the frameworks that have no exact counterpart are refused by name."""

import re

import numpy as np
import pytest
from torch import nn

import neuroasync as na
from neuroasync.interchange import from_norse, from_sinabs, from_snntorch

pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks
FRAMES = np.ones((1, 2, 4), np.int64)


def refusal(function, layer, **options):
    """Import one layer, which must be refused, and return the message."""
    module = nn.Sequential(nn.Linear(4, 3), layer)
    with pytest.raises(na.InterchangeError) as caught:
        function(module, timestep_us=1000, **({"input_shape": (4,)} | options))
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("Leaky", {"inhibition": True}, "must not have inhibition=True"),
        ("Leaky", {"graded_spikes_factor": 2.0}, "must have graded_spikes_factor=1"),
        ("Leaky", {"state_quant": lambda v: v}, "must not have state_quant"),
        ("Leaky", {"threshold": -1.0}, "must have threshold above 0, got -1.0"),
        ("Leaky", {"spike_grad": lambda v: (v > -0.5).float()}, "its spike_grad does something"),
        ("Synaptic", {"alpha": 0.5, "reset_mechanism": "zero"}, "loses the input of the timestep"),
        ("Lapicque", {"reset_mechanism": "zero"}, "loses the input of the timestep"),
        ("RSynaptic", {"alpha": 0.5, "linear_features": 3, "reset_delay": False},
         "must have reset_delay=True"),
        ("Alpha", {"alpha": 0.9, "beta": 0.8}, r"\(snn.Alpha\) cannot be imported"),
    ],
)  # fmt: skip
def test_layers_of_snntorch(kind, options, message):
    snn = pytest.importorskip("snntorch", reason="needs the framework")
    layer = getattr(snn, kind)(**{"beta": 0.5, "init_hidden": True} | options)
    found = refusal(from_snntorch, layer)
    assert found.startswith("layer `1` (snn.")
    assert re.search(message, found), found


def test_a_reset_at_once_by_subtraction_needs_reference_samples():
    snn = pytest.importorskip("snntorch", reason="needs the framework")
    options = {"beta": 0.5, "init_hidden": True, "reset_delay": False}
    found = refusal(from_snntorch, snn.Leaky(**options))
    assert "pass `reference` to measure how often that happens" in found
    module = nn.Sequential(nn.Linear(4, 3), snn.Leaky(**options))
    imported = from_snntorch(module, timestep_us=1000, reference=FRAMES)
    assert "subtracts it once more" in imported.agreement.notes[0]
    assert "subtracts it once more" in imported.bundle.meta["import"]


def test_parameters_of_another_shape():
    torch = pytest.importorskip("torch")
    snn = pytest.importorskip("snntorch", reason="needs the framework")
    layer = snn.Leaky(beta=torch.full((1, 1, 3), 0.5), init_hidden=True)
    assert "beta of shape (1, 1, 3)" in refusal(from_snntorch, layer)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("LIFBoxCell", {"v_leak": 0.5}, "must have v_leak=0, got 0.5"),
        ("LIFCell", {"v_reset": -0.5}, "must have v_reset=0, got -0.5"),
        ("LIFCell", {"method": "logistic"}, "must not have method='logistic', which is random"),
        ("LIFCell", {"tau_mem_inv": 2000.0}, r"must have 1 - dt \* tau_mem_inv from 0 to 1"),
        ("LICell", {"v_leak": 0.5}, "must have v_leak=0, got 0.5"),
        ("LIFAdExCell", {}, r"\(LIFAdExCell\) cannot be imported"),
    ],
)
def test_layers_of_norse(kind, options, message):
    torch = pytest.importorskip("torch")
    norse = pytest.importorskip("norse.torch", reason="needs the framework")
    parameters = {
        "LIFBoxCell": "LIFBoxParameters",
        "LICell": "LIParameters",
        "LIFAdExCell": "LIFAdExParameters",
    }
    values = {k: v if isinstance(v, str) else torch.tensor(v) for k, v in options.items()}
    p = getattr(norse, parameters.get(kind, "LIFParameters"))(**values)
    module = norse.SequentialState(nn.Linear(4, 3), getattr(norse, kind)(p))
    with pytest.raises(na.InterchangeError, match=message):
        from_norse(module, timestep_us=1000, input_shape=(4,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spike_fn": "MultiSpike"}, "must have spike_fn=SingleSpike.*got MultiSpike"),
        ({"min_v_mem": -1.0}, "must have min_v_mem=None"),
        ({"reset_value": 0.5}, r"must have reset_fn=MembraneReset\(\) or MembraneSubtract\(\)"),
        ({"recurrent_bias": True}, "must have a rec_connect without a bias"),
    ],
)
def test_layers_of_sinabs(change, message):
    pytest.importorskip("sinabs", reason="needs the framework")
    from sinabs import activation, layers

    options = {
        "tau_mem": 5.0,
        "spike_fn": getattr(activation, change.get("spike_fn", "SingleSpike")),
        "reset_fn": activation.MembraneReset(change.get("reset_value", 0.0)),
        "min_v_mem": change.get("min_v_mem"),
    }
    bias = change.get("recurrent_bias", False)
    layer = layers.LIFRecurrent(rec_connect=nn.Linear(3, 3, bias=bias), **options)
    module = nn.Sequential(nn.Linear(4, 3), layer)
    with pytest.raises(na.InterchangeError, match=message):
        from_sinabs(module, timestep_us=1000, input_shape=(4,))


def test_a_readout_must_be_the_last_layer():
    pytest.importorskip("torch")
    norse = pytest.importorskip("norse.torch", reason="needs the framework")
    module = norse.SequentialState(
        nn.Linear(4, 3), norse.LICell(), nn.Linear(3, 2), norse.LIFBoxCell()
    )
    with pytest.raises(na.InterchangeError, match="layer `1` sends its potentials, so it must be"):
        from_norse(module, timestep_us=1000, input_shape=(4,))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("Leaky", {}, "must have reset_mechanism='none', because its output is its potential, got"),
        ("RLeaky", {"linear_features": 3, "reset_mechanism": "none"}, "must not be recurrent"),
    ],
)
def test_layers_of_snntorch_whose_potential_cannot_be_the_output(kind, options, message):
    snn = pytest.importorskip("snntorch", reason="needs the framework")
    layer = getattr(snn, kind)(beta=0.5, init_hidden=True, **options)
    assert message in refusal(from_snntorch, layer, readout="potential")


def test_an_unknown_readout():
    with pytest.raises(ValueError, match="`readout` must be one of"):
        from_snntorch(nn.Linear(1, 1), timestep_us=1000, input_shape=(1,), readout="votes")
