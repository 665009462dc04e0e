"""The trainer refuses, by name, the features of neurons that it does not support."""

import re
from dataclasses import replace

import pytest

import neuroasync as na
from neuroasync.train import SpikingNetwork


@pytest.mark.parametrize(
    ("neuron", "feature"),
    [
        (na.LI(), "leaky integrators (`LI`)"),
        (na.LIF(reset="subtract", reset_delayed=True), "a delayed reset (`reset_delayed`)"),
        (na.LIF(reset="subtract", reset_amount=0.5), "its own amount to subtract (`reset_amount`)"),
        (na.LIF(reset="none"), "no reset (`reset='none'`)"),
        (na.LIF(tau_syn_us=5.0), "a synaptic current (`tau_syn_us`)"),
        (na.LIF(adaptation=na.Adaptation(5.0, 1.0)), "an adaptive threshold (`adaptation`)"),
    ],
)
def test_neurons_that_cannot_be_trained_are_refused_by_name(neuron, feature):
    model = na.parse_topology("timestep_us=1000; input 3; out d2")
    model = replace(model, populations=(replace(model.populations[0], neuron=neuron),))
    with pytest.raises(ValueError, match=f"^population 'out' has {re.escape(feature)}, which the"):
        SpikingNetwork(model)
