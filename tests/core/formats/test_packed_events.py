"""Packed events are unpacked without loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import SpikeTrain, SpikeTrains
from neuroasync.core.formats.packed_events import pack, unpack

EVENTS = st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 23)), max_size=20).map(sorted)


def trains(samples, unit=1):
    """Return trains from lists of (time, index) pairs, with times in multiples of ``unit`` µs."""
    return SpikeTrains.from_trains(
        [
            SpikeTrain(
                np.array([t * unit for t, _ in sample], np.int64),
                np.array([i for _, i in sample], np.int64),
            )
            for sample in samples
        ],
        (2, 12),
        np.arange(len(samples)),
    )


@given(samples=st.lists(EVENTS, max_size=5), unit=st.integers(1, 10_000))
def test_unpacking_restores_the_packed_samples(samples, unit):
    spikes = trains(samples, unit)
    assert unpack(pack(spikes)) == spikes


def test_times_are_counted_in_the_largest_unit_that_divides_them():
    packed = pack(trains([[(0, 1), (3, 5), (600, 23)]], unit=2000))
    assert packed["unit_us"] == 6000
    assert packed["low"].tolist() == [0, 1, 199]
    assert packed["high"].tolist() == [0, 0, 0]
    assert packed["coordinates"].tolist() == [[0, 0, 1], [1, 5, 11]]


def test_spikes_that_the_form_cannot_hold_are_rejected():
    with pytest.raises(ValueError, match="at most 65535 units of 1 µs apart, got 65536"):
        pack(trains([[(1, 0), (65_537, 0)]]))
    with pytest.raises(ValueError, match="must have labels below 256"):
        pack(SpikeTrains.from_trains([], (2,)))
