"""The case of NIR's paper: one neuron, as every back-end of both families runs it."""

import json

import numpy as np
import pytest

from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.interchange import import_nir
from tests.helpers.engine_runners import compiled, stepwise
from tests.helpers.paths import DATA

FILE = DATA / "nir" / "lif_norse.nir"
CASE = json.loads((DATA / "nir" / "lif_case.json").read_text("utf-8"))
STEP_US = 100
FAMILIES = {
    "norse, snntorch, spinnaker2, nengo": {"jump": "euler", "reset": "zero"},
    "sinabs, rockpool": {"jump": "euler", "decay": "exact", "reset": "subtract"},
    "exact": {"jump": "exact", "reset": "subtract"},
}


def test_case_and_families_are_complete():
    assert set(CASE["update_rules"]) == set(FAMILIES)
    assert CASE["dt_s"] == STEP_US / 1e6


@pytest.mark.parametrize("engine", [compiled, stepwise])
@pytest.mark.parametrize("timestep_us", [STEP_US, 0], ids=["on the grid", "event by event"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_neuron_fires_when_the_back_ends_of_its_family_fire(family, timestep_us, engine):
    bundle = import_nir(FILE, timestep_us=timestep_us, step_us=STEP_US, **FAMILIES[family])
    t_us = np.array(CASE["input_spike_rows"], np.int64) * STEP_US
    result = engine(bundle.model, SpikeTrain(t_us, np.zeros_like(t_us)), LayerSync())
    rows = [time_us // STEP_US for _, _, time_us, _ in result.rows]
    for name in family.split(", "):
        assert rows == CASE["output_spike_rows"][name]
