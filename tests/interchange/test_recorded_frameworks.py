"""Networks of frameworks fire as the frameworks do: recorded spikes, and live runs.

The recorded cases need no framework. The live ones are skipped where a framework is missing.
"""

import numpy as np
import pytest

import neuroasync as na
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
    assert (recording.passes == TIMESTEPS).all()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore")  # of the frameworks
def test_imported_network_agrees_with_its_framework_on_random_samples(case):
    pytest.importorskip(case.package, reason="needs the framework")
    recorded = na.read_bundle(case.recorded()["bundle"].tobytes())
    imported = importer(case.package)(case.module(), timestep_us=1000, reference=case.frames(MANY))
    report = imported.agreement
    assert report.exact == report.samples == MANY, str(report)
    assert report.spikes.all(), "a silent layer proves nothing"
    np.testing.assert_array_equal(report.votes, report.framework_votes)
    assert imported.bundle.model.connections == recorded.model.connections
    assert imported.bundle.model.populations == recorded.model.populations
