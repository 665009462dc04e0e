"""Reference samples that are values: images and signals as a current."""

import numpy as np
import pytest
import torch
from torch import nn

import neuroasync as na
from neuroasync.interchange.torch_modules.from_module import from_module
from neuroasync.interchange.torch_modules.reference_samples import ReferenceSamples
from tests.helpers.plain_framework import PlainFramework, PlainLIF

SHAPE = (2, 6, 6)


class Skip(nn.Module):
    """A convolution, a dense layer with a bias, and a skip connection from the input."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.first = PlainLIF()
        self.linear = nn.Linear(3 * 6 * 6, 10)
        self.skip = nn.Linear(2 * 6 * 6, 10)
        self.last = PlainLIF()

    def forward(self, frame):
        z = self.first(self.conv(frame))
        return self.last(self.linear(z.flatten(1)) + self.skip(frame.flatten(1)))


def imported(samples, timesteps, dyadic):
    """Return the agreement of a module on an array of values."""
    torch.manual_seed(3)
    module = Skip()
    if dyadic:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.round(parameter * 64) / 64)
    return from_module(PlainFramework(), module, 1000, SHAPE, samples, timesteps, None)


@pytest.mark.parametrize("dyadic", [True, False])
def test_images_as_a_current_give_the_same_spikes_in_every_layer(dyadic):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 16, (300, *SHAPE)) / 16
    if not dyadic:
        images = rng.random((300, *SHAPE), np.float32)
    report = imported(images, 8, dyadic).agreement
    assert report.samples == 300
    assert report.exact >= (300 if dyadic else 299), str(report)
    assert report.spikes.all()
    frames = np.repeat(images[:, None], 8, axis=1)
    assert str(imported(frames, None, dyadic).agreement) == str(report)


def test_an_array_of_values_becomes_events_and_frames_again():
    array = np.array([[[0.5, 0.0], [-1.0, 2.0]], [[0.0, 0.0], [0.25, 0.0]]])
    samples = ReferenceSamples(array, 100)
    assert samples.trains.t_us.tolist() == [0, 100, 100, 100]
    assert samples.trains.value.tolist() == [0.5, -1.0, 2.0, 0.25]
    assert samples.frames(range(2)).tolist() == array.tolist()


def test_numbers_of_spikes_stay_spikes():
    samples = ReferenceSamples(np.array([[[2.0, 0.0], [0.0, 1.0]]]), 100)
    assert samples.trains.value is None
    assert samples.trains.index.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[[np.nan, 1.0]]]), "`reference` must have finite values only"),
        (np.array([[0.5, 1.0]]), "`reference` must be SpikeTrains, an array .samples, timesteps"),
        (np.array([[[3e7 + 0.5]]]), "must be a number from"),
        (np.array([[[1e30, 0.0]]]), "`reference` must have at most 134217728 spikes, got 1000000"),
        (np.full((1, 3, 2), 2**25), "`reference` must have at most 134217728 spikes, got 20132659"),
        (
            na.SpikeTrains([10**9], [0], [0, 1], None, (2,)),
            "`reference` must have at most 10000000 timesteps, got an event in timestep 10000001",
        ),
    ],
)
def test_arrays_that_are_no_samples_are_refused(array, message):
    with pytest.raises(na.EventsError, match=message):
        ReferenceSamples(array, 100)


@pytest.mark.parametrize("shape", [4, (), (0,), (-4,), (4.0,), "4", (2**24 + 1,)])
def test_a_shape_that_is_none_is_refused(shape):
    with pytest.raises(na.InterchangeError, match=r"^`input_shape"):
        from_module(PlainFramework(), PlainLIF(), 1000, shape, None, None, None)


@pytest.mark.parametrize("shape", [[4], (np.int64(4),), torch.Size([4])])
def test_a_shape_may_have_integers_of_any_type(shape):
    bundle, _ = from_module(PlainFramework(), PlainLIF(), 1000, shape, None, None, None)
    assert bundle.model.input_shape == (4,)
