"""The agreement report: counts, ties, and where the network and the framework first differ."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import neuroasync as na
from neuroasync.interchange.torch_modules.from_module import from_module
from neuroasync.interchange.torch_modules.module_import import import_module
from neuroasync.interchange.torch_modules.reference_run import agreement
from neuroasync.interchange.torch_modules.reference_samples import ReferenceSamples, frames_of
from neuroasync.shipped import shipped_spikes
from tests.helpers.plain_framework import PlainFramework, PlainLI, PlainLIF

FRAMEWORK = PlainFramework()


def two_layers(last=PlainLIF):
    """Return 2 inputs, 2 hidden neurons that copy them, and 2 outputs that copy these."""
    module = nn.Sequential(
        nn.Linear(2, 2, bias=False), PlainLIF(), nn.Linear(2, 2, bias=False), last()
    )
    for k in (0, 2):
        module[k].weight.data = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    return module


FRAMES = np.array(
    [
        [[1, 0], [0, 0], [1, 0]],  # two votes for class 0
        [[0, 1], [1, 0], [0, 0]],  # a tie, in which class 1 votes first
        [[0, 0], [0, 0], [0, 0]],  # no vote
    ]
)


def report(change=None, frames=FRAMES, last=PlainLIF):
    """Compare the module with its network, in which ``change`` may alter connections."""
    module, samples = two_layers(last), ReferenceSamples(frames, 1000)
    imported = import_module(FRAMEWORK, module, 1000, (2,), None)
    bundle = imported.bundle(FRAMEWORK, None, samples.timesteps)
    if change is not None:
        model = bundle.model
        bundle = replace(bundle, model=replace(model, connections=change(*model.connections)))
    return agreement(FRAMEWORK, module, imported, bundle, samples)


def test_equal_spikes_agree_in_every_layer():
    found = report()
    assert (found.samples, found.exact, found.timesteps) == (3, 3, 3)
    assert found.layers == ("layer1", "layer3")
    assert found.spikes.tolist() == [4, 4]
    assert found.votes.tolist() == found.framework_votes.tolist() == [[2, 0], [1, 1], [0, 0]]
    assert found.differences == ()
    assert repr(found) == "<Agreement: 3 of 3 samples in every layer>"


def test_a_tie_goes_to_the_first_class_in_the_network_and_the_lowest_in_the_framework():
    found = report()
    assert found.labels.tolist() == [0, 1, -1]
    assert found.framework_labels.tolist() == [0, 0, -1]
    assert (found.ties, found.same_labels, found.same_votes) == (1, 2, 3)


def test_potentials_of_a_readout_and_the_labels_by_them_agree():
    found = report(last=PlainLI)
    assert (found.exact, found.same_labels, found.largest_error) == (3, 3, 0.0)
    np.testing.assert_array_equal(found.potentials, found.framework_potentials)
    assert found.potentials[0].tolist() == [[2, 0], [2, 0], [4, 0]]
    assert found.labels.tolist() == found.framework_labels.tolist() == [0, 0, 0]
    assert found.spikes.tolist() == [4, 0]
    assert "layer3: 3 of 3 samples, potentials that differ by at most 0" in str(found)
    assert "labels by the last potentials: the same in 3 of 3 (2 ties)" in str(found)


def test_the_first_difference_of_potentials_is_located():
    def weaken(first, second):
        return first, replace(second, weight=np.array([[0.75, 0], [0, 2]], np.float32))

    found = report(weaken, last=PlainLI)
    assert found.agrees.tolist() == [[True, False], [True, False], [True, True]]
    one = found.differences[0]
    assert (one.sample, one.timestep, one.layer, one.neuron) == (0, 0, "layer3", 0)
    assert (one.fired, one.potential, one.framework_potential) == (None, 0.75, 2.0)
    assert "layer3[0] has the potential 0.75 in the network, in the framework 2" in str(found)
    assert found.largest_error == 2.5


def test_the_first_difference_is_located():
    def weaken(first, second):
        return first, replace(second, weight=np.array([[0.75, 0], [0, 2]], np.float32))

    found = report(weaken)
    assert found.exact == 1
    assert found.agrees.tolist() == [[True, False], [True, False], [True, True]]
    one, two = found.differences
    assert (one.sample, one.timestep, one.layer, one.neuron) == (0, 0, "layer3", 0)
    assert (one.fired, one.potential, one.framework_potential, one.threshold) == (False, 0.75, 0, 1)
    assert (two.sample, two.timestep, two.layer, two.neuron) == (1, 1, "layer3", 0)
    assert "sample 0, timestep 0: layer3[0] fired in the framework only" in str(found)


def test_a_difference_in_an_early_layer_comes_first():
    def silence(first, second):
        return replace(first, weight=np.zeros((2, 2), np.float32)), second

    found = report(silence)
    assert {(d.layer, d.fired, d.potential) for d in found.differences} == {("layer1", False, 0.0)}


def test_at_most_ten_differences_are_listed():
    def silence(first, second):
        return replace(first, weight=np.zeros((2, 2), np.float32)), second

    found = report(silence, np.ones((20, 1, 2)))
    assert found.exact == 0
    assert [d.sample for d in found.differences] == list(range(10))


def test_the_bundle_says_where_it_comes_from_and_how_it_agrees():
    bundle, found = from_module(FRAMEWORK, two_layers(), "1ms", None, FRAMES, None, ("a", "b"))
    assert found.exact == bundle.meta["agreement.exact"] == 3
    assert bundle.meta["framework"] == "plain of an unknown version"
    assert (bundle.classes, bundle.duration_us) == (("a", "b"), 3000)
    assert na.read_bundle(na.dump_bundle(bundle)) == bundle


def test_spike_trains_and_frames_are_the_same_reference():
    frames = np.random.default_rng(0).integers(0, 3, (5, 4, 2, 3))
    arrays = ReferenceSamples(frames, 1000)
    trains = ReferenceSamples(arrays.trains, 1000, timesteps=4, shape=(2, 3))
    np.testing.assert_array_equal(arrays.frames(range(5)), frames)
    np.testing.assert_array_equal(trains.frames(range(1, 3)), frames[1:3])
    assert len(trains) == 5


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.full((2, 3, 4), 1e8 + 0.5), "a number from"),
        (np.full((2, 3, 4), np.nan), "must have finite values only"),
        (np.ones((2, 3)), r"an array \[samples, timesteps, \*input_shape\]"),
        (np.ones((0, 3, 4)), "at least one sample"),
        ("text", r"an array \[samples"),
    ],
)
def test_other_references_are_refused(frames, message):
    with pytest.raises(na.EventsError, match=message):
        ReferenceSamples(frames, 1000)


def test_events_after_the_last_timestep_are_refused():
    with pytest.raises(ValueError, match="`timesteps` must be at least 3"):
        ReferenceSamples(FRAMES, 1000, timesteps=2)


def test_a_network_without_samples_has_no_report_and_needs_a_shape():
    assert from_module(FRAMEWORK, two_layers(), 1000, (2,), None, None, None).agreement is None
    with pytest.raises(ValueError, match="`input_shape` must be given"):
        from_module(FRAMEWORK, two_layers(), 1000, None, None, None, None)


def test_a_layer_that_does_not_fire_0_or_1_is_refused():
    module = two_layers()
    module[1].register_forward_hook(lambda part, args, output: output * 2)
    with pytest.raises(na.InterchangeError, match="layer `layer1` must fire 0 or 1, got 2"):
        from_module(FRAMEWORK, module, 1000, None, FRAMES, None, None)


def test_errors_of_frames_name_the_samples():
    with pytest.raises(
        na.EventsError, match=r"^`samples` must have at least one sample, got none$"
    ):
        frames_of(shipped_spikes()[:0], 1000)
