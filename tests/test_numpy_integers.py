"""Integers of numpy are integers wherever a public function takes one; bools and floats are not."""

import numpy as np
import pytest

import neuroasync as na
from neuroasync import limits, sources
from neuroasync.core.model.checks import as_integer, as_number
from neuroasync.serve.limits import ServerLimits
from neuroasync.train import TrainConfig
from tests.helpers.small_networks import chain

WEIGHT = np.ones((1, 1, 1, 1), np.float32)


def model(**changes):
    conv = {"stride": (1, 1), "padding": (0, 0), "delay_us": 0} | {
        name: changes.pop(name) for name in ("stride", "padding", "delay_us") if name in changes
    }
    neuron = na.LIF(sync_threshold=changes.pop("sync_threshold", 0))
    size = changes.pop("size", 1)
    fields = {
        "timestep_us": 2,
        "input_shape": (1, 1, 1),
        "populations": (na.Population("out", (1, size, size), neuron),),
        "connections": (na.Conv2d("input", "out", WEIGHT, **conv),),
        "output": "out",
    }
    return na.Model(**(fields | changes))


def stored(value):
    """Return the integers in a value, to compare their types."""
    return value if isinstance(value, tuple) else (value,)


PLACES = {
    "timestep_us": (lambda n: model(timestep_us=n).timestep_us, 2),
    "input_shape": (lambda n: model(input_shape=(n, 1, 1)).input_shape, 1),
    "size": (lambda n: model(size=n).populations[0].shape, 1),
    "sync_threshold": (lambda n: model(sync_threshold=n).populations[0].neuron.sync_threshold, 3),
    "delay_us": (lambda n: model(delay_us=n).connections[0].delay_us, 4),
    "stride": (lambda n: model(stride=(n, n)).connections[0].stride, 1),
    "padding": (lambda n: model(padding=(n, n)).connections[0].padding, 0),
    "group_size": (lambda n: na.PolicySpec(group_size=n).group_size, 5),
    "seed of a golden sample": (lambda n: na.GoldenSample(na.SpikeTrain([], []), seed=n).seed, 5),
    "label": (lambda n: na.GoldenSample(na.SpikeTrain([], []), label=n).label, 5),
    "seed": (lambda n: na.Network(chain(), seed=n).seed, 5),
    "shape of spikes": (lambda n: na.SpikeTrains([], [], [0], None, (n,)).shape, 5),
    "capacity": (lambda n: na.BoundedQueue(n).capacity, 5),
    "order_key": (lambda n: na.order_key(n, n, n, n), 5),
    "sample_seed": (lambda n: na.sample_seed(n, n), 5),
    "grid": (lambda n: sources.PixelGrid.of((n, n)).height, 5),
    "view": (lambda n: sources.View(n, n, n).binning, 5),
    "port": (lambda n: sources.UdpSource((4,), port=n).address[1], 5),
    "max_sessions": (lambda n: ServerLimits(max_sessions=n).max_sessions, 5),
    "epochs": (lambda n: TrainConfig(epochs=n).epochs, 5),
    "layered_epochs": (lambda n: TrainConfig(layered_epochs=n).layered_epochs, 5),
    "seed of a training": (lambda n: TrainConfig(seed=n).seed, 5),
    "group_size of a training": (lambda n: TrainConfig(group_size=n).group_size, 5),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_an_integer_of_numpy_is_taken_as_the_int(place, dtype):
    call, value = PLACES[place]
    found = call(dtype(value))
    assert found == call(value)
    assert all(type(number) is int for number in stored(found))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("convert", [float, np.float64, np.bool_, bool, str])
def test_a_bool_a_float_or_a_text_is_no_integer(place, convert):
    call, value = PLACES[place]
    if convert is bool and place in ("order_key", "sample_seed"):
        return  # They convert by operator.index, because the engine calls them for each sample.
    with pytest.raises((ValueError, TypeError)):
        call(convert(value))


@pytest.mark.parametrize(
    ("value", "integer", "number"),
    [
        (3, 3, 3),
        (np.uint8(3), 3, 3),
        (np.array(3), 3, 3),
        (2.5, None, 2.5),
        (np.float32(2.5), None, 2.5),
        (3.0, None, 3.0),
        (True, None, None),
        (np.bool_(True), None, None),
        (np.array(True), None, None),
        (np.array([3]), None, None),
        ("3", None, None),
        (None, None, None),
        (1j, None, None),
    ],
)
def test_integers_and_numbers_are_recognised(value, integer, number):
    assert (as_integer(value), as_number(value)) == (integer, number)


async def test_a_network_takes_integers_of_numpy_everywhere():
    async with na.Network(chain(), seed=np.uint8(3)) as network:
        events = (np.array([0, 5], np.uint16), np.array([0, 1], np.int8))
        given = await network.decide(
            events, seed=np.int64(4), duration_us=np.int32(9000), group_size=np.uint8(2)
        )
        expected = await network.decide(([0, 5], [0, 1]), seed=4, duration_us=9000, group_size=2)
        assert given == expected
        many = await network.decide_all([events], first=np.int64(0), workers=np.uint8(1))
        assert many == await network.decide_all([events])


@pytest.mark.parametrize("noise", [2, np.uint8(2), np.float32(2.0)])
def test_noise_of_any_number_type_is_a_float(noise):
    found = na.Momentum(noise).noise
    assert (found, type(found)) == (2.0, float)


@pytest.mark.parametrize("noise", [True, "2", None, -1, float("nan"), np.inf])
def test_noise_that_is_no_number_is_refused(noise):
    with pytest.raises(
        na.PolicyError, match=r"^`noise` must be a finite number of at least 0, got"
    ):
        na.Momentum(noise)


def test_limits_name_the_range_of_an_integer():
    with pytest.raises(ValueError, match=rf"^`inputs` must be an integer from 1 to {2**24}, got 0"):
        sources.WebsocketSource("ws://x", np.int64(0))
    assert limits.MAX_INPUTS == 2**24
