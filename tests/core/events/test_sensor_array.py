"""Spike trains from structured arrays of cameras and libraries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.sources import View

SHAPE = (2, 3, 5)
EVENTS = [(1000, 4, 2, 1), (1000, 0, 0, 0), (1007, 1, 2, 1)]  # t, x, y, polarity
T_US, INDEX = [0, 0, 7], [29, 0, 26]

METAVISION = [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]
DV_PROCESSING = [("timestamp", "<i8"), ("x", "<i2"), ("y", "<i2"), ("polarity", "<i1")]
TONIC = [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")]
TONIC_BOOL = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]
FAERY = [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")]
OTHER = [("ts", ">u4"), ("x", "u1"), ("y", "i1"), ("polarity", "<u8")]


def array(dtype=METAVISION, events=EVENTS, off=0):
    """Return events (t, x, y, polarity) as a structured array."""
    result = np.zeros(len(events), dtype)
    names = {"timestamp": 0, "ts": 0, "t": 0, "x": 1, "y": 2, "p": 3, "polarity": 3, "on": 3}
    for name in result.dtype.names:
        column = [event[names[name]] for event in events]
        result[name] = [p or off for p in column] if names[name] == 3 else column
    return result


@pytest.mark.parametrize("dtype", [METAVISION, DV_PROCESSING, TONIC, TONIC_BOOL, FAERY, OTHER])
def test_arrays_of_common_software_are_read(dtype):
    train = na.SpikeTrain.from_events(array(dtype), SHAPE)
    assert (train.t_us.tolist(), train.index.tolist()) == (T_US, INDEX)


@pytest.mark.parametrize("dtype", [METAVISION, DV_PROCESSING, TONIC])
def test_polarities_of_minus_one_and_one_are_read(dtype):
    train = na.SpikeTrain.from_events(array(dtype, off=-1), SHAPE)
    assert train.index.tolist() == INDEX


def test_a_record_array_is_read():
    t, x, y, p = np.transpose(EVENTS)
    train = na.SpikeTrain.from_events(np.rec.fromarrays([t, x, y, p], names="t,x,y,p"), SHAPE)
    assert train.index.tolist() == INDEX


def test_an_array_without_events_is_an_empty_train():
    assert len(na.SpikeTrain.from_events(array(events=[]), SHAPE)) == 0


def test_the_polarity_is_ignored_by_a_shape_with_one_channel():
    without = array([("t", "<i8"), ("x", "<u2"), ("y", "<u2")])
    for events, shape in ((without, (3, 5)), (without, (1, 3, 5)), (array(off=7), (3, 5))):
        assert na.SpikeTrain.from_events(events, shape).index.tolist() == [14, 0, 11]


def test_a_row_of_inputs_needs_no_y():
    channels = array([("t", "<i8"), ("x", "<u2"), ("p", "<i1")])
    assert na.SpikeTrain.from_events(channels, (5,)).index.tolist() == [4, 0, 1]


def test_a_view_crops_and_bins():
    events = array(events=[(5, 3, 2, 1), (6, 2, 9, 1), (7, 12, 11, 0), (9, 13, 4, 0), (9, 3, 3, 0)])
    train = na.SpikeTrain.from_events(events, SHAPE, View(x=3, y=2, binning=2))
    # Pixels (0, 0), outside, (4, 4) outside, outside, (0, 0) of the network.
    assert (train.t_us.tolist(), train.index.tolist()) == ([0, 4], [15, 0])


pixels = st.tuples(st.integers(0, 9), st.integers(0, 70), st.integers(0, 70), st.booleans())


@given(
    st.lists(pixels, max_size=30),
    st.sampled_from([METAVISION, DV_PROCESSING, TONIC_BOOL, FAERY]),
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9)),
)
def test_any_view_keeps_the_events_that_it_shows(steps, dtype, corner):
    x0, y0, binning = corner
    times = np.cumsum([step for step, *_ in steps]).tolist()
    events = [(t, x, y, int(on)) for t, (_, x, y, on) in zip(times, steps, strict=True)]
    expected = [
        (t - times[0], (on * 3 + (y - y0) // binning) * 5 + (x - x0) // binning)
        for t, x, y, on in events
        if x0 <= x < x0 + 5 * binning and y0 <= y < y0 + 3 * binning
    ]
    train = na.SpikeTrain.from_events(array(dtype, events), SHAPE, View(x0, y0, binning))
    assert list(zip(train.t_us.tolist(), train.index.tolist(), strict=True)) == expected


PLAIN = np.array(EVENTS)
FRAMES = np.zeros((2, 2), METAVISION)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (PLAIN, r"^`events` must be a structured array \[events\] with the fields x, y, t and p, "
                r"got an array of int64 of shape \(3, 4\); if the columns are, for example, t, x, "
                r"y and p, pass np\.rec\.fromarrays\(np\.transpose\(events\), names='t,x,y,p'\)$"),
        (PLAIN.tolist(), r"got list; if the columns are"),
        ([[1, 2], [3]], r"got list$"),
        (None, r"got NoneType$"),
        (FRAMES, r"of shape \(2, 2\); pass events\.ravel\(\)$"),
        (array([("x", "<u2"), ("y", "<u2"), ("p", "?")]),
         r"^`events` must be an array with the field t, timestamp or ts, got the fields x, y, p"),
        (array([("t", "<i8"), ("x", "<u2"), ("p", "?")]), r"the field y, got the fields t, x, p$"),
        (array([("t", "<i8"), ("x", "<u2"), ("y", "<u2")]), r"the field p, polarity or on, got"),
        (array([("t", "<f8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")]),
         r"^`events\['t'\]` must be integers, got float64; pass np\.rec\.fromarrays\(\[np\.rint\("
         r"events\['t'\] \* 1e6\)\.astype\(int\), events\['x'\], events\['y'\], events\['p'\]\], "
         r"names='t,x,y,p'\) \(for times in seconds\)$"),
        (array([("t", "<i8"), ("x", "<f4"), ("y", "<u2"), ("p", "?")]),
         r"^`events\['x'\]` must be integers, got float32; .*np\.rint\(events\['x'\]\)\.astype"),
        (array([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "U3")]),
         r"^`events\['p'\]` must be integers, got <U3$"),
        (array(off=2), r"^`events\['p'\]\[1\]` must be 0 or 1, or -1 or 1, got 2$"),
        (array(events=[(0, 0, 0, -1), (0, 0, 0, 1), (0, 0, 0, 0)]),
         r"^`events\['p'\]\[2\]` must be -1 or 1, as in the events with -1, got 0$"),
        (array(FAERY, EVENTS[::-1]),
         r"^`events\['t'\]\[1\]` must be at least 1007, the time of the event before it, got 1000; "
         r"sort them: events\[np\.argsort\(events\['t'\], kind='stable'\)\]$"),
        (array(events=[(1_732_780_000_000_000_000, 0, 0, 0)]),
         r"^`events\['t'\]\[0\]` must be at most \d+ µs, got 173278\d+; if the times are ns, div"),
        (array(FAERY, events=[(2**64 - 1, 0, 0, 0)]), r"^`events\['t'\]\[0\]` must be at most"),
        (array(events=[(0, 4, 2, 1), (0, 5, 1, 1)]),
         r"^`events\[1\]` must be one of the 5 x 3 pixels of the network, got x = 5, y = 1; pass "
         r"view=View\(x, y, binning\) to crop or bin the picture$"),
    ],
)  # fmt: skip
def test_other_arrays_are_refused_with_a_remedy(events, message):
    with pytest.raises(na.EventsError, match=message):
        na.SpikeTrain.from_events(events, SHAPE)


def test_the_remedies_work():
    seconds = array([("t", "<f8"), ("x", "<f4"), ("y", "<u2"), ("p", "?")])
    seconds["t"] /= 1e6
    for remedy in ("t", "x"):
        factor = 1e6 if remedy == "t" else 1
        others = [name for name in seconds.dtype.names if name != remedy]
        seconds = np.rec.fromarrays(
            [np.rint(seconds[remedy] * factor).astype(int), *(seconds[name] for name in others)],
            names=",".join([remedy, *others]),
        )
    assert na.SpikeTrain.from_events(seconds, SHAPE).index.tolist() == INDEX
    plain = np.rec.fromarrays(np.transpose(PLAIN), names="t,x,y,p")
    assert na.SpikeTrain.from_events(plain, SHAPE).t_us.tolist() == T_US
    descending = array(events=EVENTS[::-1])
    ordered = descending[np.argsort(descending["t"], kind="stable")]
    assert na.SpikeTrain.from_events(ordered, SHAPE).t_us.tolist() == T_US


def test_an_invalid_shape_is_refused():
    with pytest.raises(ValueError, match=r"^`shape` must be an input shape \(2, H, W\)"):
        na.SpikeTrain.from_events(array(), (3, 4, 5))
