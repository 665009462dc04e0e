"""Networks, sessions, bundles, models and recordings state what they are in one line."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np

import neuroasync as na
from neuroasync.core.recording.raster_svg import raster_svg
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample()


async def recorded(count=1, **options):
    """Return a recording of samples of the small network."""
    async with na.Network(BUNDLE, **options) as network:
        recorder = network.recorder()
        samples = [sample(seed=k) for k in range(count)]
        await network.decide_all(samples, recorder=recorder)
    return recorder.finish()


async def test_a_network_shows_its_sizes_options_and_state(no_leaks):
    network = na.Network(BUNDLE, until="margin(4,4,3,3,2)")
    options = "policy='random', group_size=2, input='prioritised', until='margin(4,..,2)'"
    assert repr(network) == f"<Network 12-8-8-4, {options}, not open>"
    async with network, network.session() as session:
        assert repr(network) == f"<Network 12-8-8-4, {options}, open, 1 session>"
        await session.decide(SAMPLE)
        assert repr(session) == "<Session open, sample 1, 60 events, 1 decision>"
    assert repr(session).startswith("<Session closed, sample 1, ")


def test_a_network_with_a_custom_policy_and_rule_is_one_line():
    class Newest:
        def order(self, pending, group_size):
            return np.arange(len(pending.neuron))

    shown = repr(na.Network(BUNDLE, policy=Newest(), until=lambda progress: True))
    assert "policy='Newest'" in shown
    assert "until=<function" in shown
    assert "\n" not in shown


def test_bundles_and_models_are_one_line():
    assert repr(BUNDLE) == (
        "<Bundle 12-8-8-4, policy='random', group_size=2, input='prioritised', 0 golden samples, "
        "0 calibrations>"
    )
    assert repr(BUNDLE.model) == (
        "<Model 12-8-8-4, timestep_us=1000, 3 connections, output='output'>"
    )


def test_sizes_of_many_populations_are_shortened():
    deep = chain(sizes=(12, *[8] * 20, 4)).model
    assert deep.sizes == "12-8-8-8-8-8-8-..-4"


async def test_a_recording_draws_its_first_sample(no_leaks):
    recording = await recorded(3)
    assert repr(recording).startswith("<Recording of 3 samples, ")
    root = ElementTree.fromstring(recording._repr_html_())
    svg = "{http://www.w3.org/2000/svg}"
    title = root.find(f"{svg}title").text
    spikes = recording.rows_of(0).stop
    assert title.startswith("sample 0 (1 of 3): label ")
    assert f"{spikes} spikes in {recording.passes[0]} passes, random, group_size=2" in title
    texts = [element.text for element in root.iter(f"{svg}text")]
    assert {"hidden1", "hidden2", "output"} <= set(texts)
    marks = sum(len(re.findall(r"h5\b", path.get("d"))) for path in root.iter(f"{svg}path"))
    assert 0 < marks <= spikes


def test_the_raster_is_bounded_and_escaped():
    random = np.random.default_rng(0)
    step, neuron = random.integers(0, 5000, 200_000), random.integers(0, 3005, 200_000)
    html = raster_svg(step, 5000, neuron, (("<b>a", 3000), ("b", 5)), "b", "<i>")
    assert len(html) < 100_000
    assert "<b>" not in html
    assert "<i>" not in html
    ElementTree.fromstring(html)


async def test_an_empty_recording_shows_its_line(no_leaks):
    assert (await recorded(0))._repr_html_().startswith("<code>&lt;Recording of 0 samples")


async def test_confidence_of_a_calibrated_network_follows_its_settings(no_leaks):
    spec = na.PolicySpec("random", 2)
    calibration = na.Calibration(0.9, 0.05, 0.95, 100, (1,), spec)
    bundle = replace(BUNDLE, calibration=(calibration,))
    async with na.Network(bundle) as network, network.session() as session:
        stopped = await network.decide(SAMPLE, until="confidence(0.9)")
        assert stopped.stopped
        assert stopped.confidence == 0.9
        (in_batch,) = await network.decide_all([SAMPLE], until="confidence(0.9)")
        assert in_batch.confidence == 0.9
        assert (await session.decide(SAMPLE)).calibrations == (calibration,)
        for other in ({"group_size": 3}, {"policy": "fifo"}, {"input": "queued"}):
            assert (await network.decide(SAMPLE, **other)).confidence is None


async def test_custom_populations_make_calibrations_invalid(no_leaks):
    async def silent(inbox, fired, population):
        async for _ in inbox:
            await fired.put([])

    calibration = na.Calibration(0.9, 0.05, 0.95, 100, (1,), na.PolicySpec("random", 2))
    bundle = replace(BUNDLE, calibration=(calibration,))
    async with na.Network(bundle, populations={"hidden1": silent}) as network:
        assert (await network.decide(SAMPLE)).calibrations == ()
