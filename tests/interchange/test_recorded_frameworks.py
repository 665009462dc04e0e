"""Networks of frameworks fire as the frameworks do: recorded spikes, and live runs.

The recorded cases need no framework. The live ones are skipped where a framework is missing.
"""

from dataclasses import replace

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.interchange.pass_potentials import decide_with_potentials
from neuroasync.interchange.torch_modules.reference_samples import ReferenceSamples
from tests.helpers.framework_cases import CASES, TIMESTEPS, importer

MANY = 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_network_fires_the_recorded_spikes_in_every_layer(case):
    recorded = case.recorded()
    bundle = na.read_bundle(recorded["bundle"].tobytes())
    assert str(recorded["source"]) == bundle.meta["framework"]
    samples = ReferenceSamples(recorded["frames"], bundle.model.timestep_us)
    async with na.Network(bundle) as network:
        recorder = network.recorder()
        await network.decide_all(samples.trains, recorder=recorder)
    recording = recorder.finish()
    spikes = np.zeros_like(recorded["spikes"])
    spikes[recording.sample, recording.pass_, recording.neuron] = True
    np.testing.assert_array_equal(spikes, recorded["spikes"])
    if "potentials" in recorded:
        check_readout(bundle, samples, recorded["potentials"])
    assert (recording.passes == TIMESTEPS).all()


def check_readout(bundle, samples, expected):
    """Compare the potentials of the output, and the labels that follow from them."""
    simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), RunSettings()))
    for train, theirs in zip(samples.trains, expected, strict=True):
        decision, potentials = decide_with_potentials(simulator, train, 0, TIMESTEPS)
        own = potentials[:, -theirs.shape[1] :]
        np.testing.assert_allclose(own, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
        np.testing.assert_array_equal(decision.potentials, own[-1])
        assert decision.label == own[-1].argmax() == theirs[-1].argmax()


def assert_equal_but_for_rounding(model, expected):
    """Compare networks whose factors torch has computed, with other rounding on each processor."""
    for mine, theirs in zip(model.populations, expected.populations, strict=True):
        tau_mem_us = getattr(theirs.neuron, "tau_mem_us", None)
        if tau_mem_us is None:
            assert mine == theirs
            continue
        np.testing.assert_allclose(mine.neuron.tau_mem_us, tau_mem_us, rtol=1e-6)
        assert replace(mine, neuron=replace(mine.neuron, tau_mem_us=tau_mem_us)) == theirs
    for mine, theirs in zip(model.connections, expected.connections, strict=True):
        np.testing.assert_allclose(mine.weight, theirs.weight, rtol=1e-6)
        assert type(mine) is type(theirs)
        assert (mine.source, mine.target) == (theirs.source, theirs.target)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore")  # of the frameworks
def test_imported_network_agrees_with_its_framework_on_random_samples(case):
    pytest.importorskip(case.package, reason="needs the framework")
    recorded = na.read_bundle(case.recorded()["bundle"].tobytes())
    imported = importer(case.package)(
        case.module(), timestep_us=1000, reference=case.frames(MANY), **case.options
    )
    report = imported.agreement
    assert report.exact == report.samples == MANY, str(report)
    if report.potentials is None:
        assert report.spikes.all(), "a silent layer proves nothing"
    else:
        assert report.spikes[:-1].all()
        assert report.largest_error < 1e-5 * np.abs(report.potentials).max()
        np.testing.assert_array_equal(report.labels, report.framework_labels)
    np.testing.assert_array_equal(report.votes, report.framework_votes)
    assert_equal_but_for_rounding(imported.bundle.model, recorded.model)
