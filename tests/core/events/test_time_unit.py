"""The guess that times are ms or ns: it finds them, and it does not suspect ordinary recordings."""

import linecache
import warnings

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.events.time_unit import unlikely_unit
from neuroasync.core.formats.packed_events import PACKED_FIELDS, unpack
from neuroasync.datasets.files import shipped_arrays

PIXELS = 34 * 34


@pytest.fixture(scope="module")
def recordings():
    return list(unpack(shipped_arrays("nmnist-small-test.npz", PACKED_FIELDS)))


def suspected(recordings, convert):
    return {unlikely_unit(convert(r.t_us), r.index % PIXELS) for r in recordings}


def test_recordings_in_microseconds_are_not_suspected(recordings):
    assert suspected(recordings, lambda t_us: t_us) == {None}
    # A clock with a resolution of 1 ms also gives µs.
    assert suspected(recordings, lambda t_us: t_us // 1000 * 1000) == {None}


def test_parts_of_recordings_are_not_suspected(recordings):
    for r in recordings:
        for start in range(0, len(r), 1000):
            part = slice(start, start + 1000)
            assert unlikely_unit(r.t_us[part], r.index[part] % PIXELS) is None


def test_recordings_in_ms_and_ns_are_found(recordings):
    busy = [r for r in recordings if len(r) > 2000]
    assert suspected(busy, lambda t_us: t_us // 1000) == {"ms"}
    assert suspected(busy, lambda t_us: t_us * 1000) == {"ns"}


def test_a_burst_of_a_whole_sensor_is_not_suspected():
    # Each of 10,000 pixels fires 5 times in 2 ms: 25 events per µs.
    t_us = np.sort(np.random.default_rng(0).integers(0, 2000, 50_000))
    assert unlikely_unit(t_us, np.tile(np.arange(10_000), 5)) is None


def test_a_quiet_scene_with_noise_is_not_suspected():
    # 1000 pixels fire every 5 s on average, at whole milliseconds.
    t_us = np.sort(np.random.default_rng(0).integers(0, 60_000, 12_000)) * 1000
    assert unlikely_unit(t_us, np.tile(np.arange(1000), 12)) is None


@pytest.mark.parametrize("events", [0, 1, 999])
def test_few_events_allow_no_guess(events):
    assert unlikely_unit(np.arange(events) // 100, np.zeros(events, np.int64)) is None


@pytest.mark.parametrize(("unit", "factor"), [("ms", 1), ("ns", 100_000_000)])
def test_a_train_from_such_an_array_warns_its_caller_and_is_made(unit, factor):
    events = np.zeros(2000, [("t", "<i8"), ("x", "<u2")])
    events["t"], events["x"] = np.arange(2000) // 10 * factor, np.arange(2000) % 7
    with pytest.warns(na.TimeUnitWarning, match=rf"look like {unit}, but they have to be µs") as w:
        train = na.SpikeTrain.from_events(events, (7,))
    assert len(train) == 2000
    assert w[0].filename == __file__
    assert "train = " in linecache.getline(__file__, w[0].lineno)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", na.TimeUnitWarning)
        assert na.SpikeTrain.from_events(events, (7,)) == train
