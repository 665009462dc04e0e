"""Errors of events in memory: they say how to get from what was given to what is needed."""

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.events.spike_train import as_train

PAIRS = [[0, 3], [5, 1], [9, 2]]
SECONDS = np.array([0.0, 0.0005, 0.25])


class Frame:
    """A stand-in for a data frame of pandas."""

    def to_records(self):
        raise AssertionError


@pytest.mark.parametrize(
    ("events", "hint"),
    [
        (np.array(PAIRS), r"got an array of int64 of shape \(3, 2\); if each row is \(t_us, index\)"
                          r", pass \(events\[:, 0\], events\[:, 1\]\)$"),
        (PAIRS, r"got list; if each row is \(t_us, index\), pass tuple\(zip\(\*events\)\)$"),
        (tuple(PAIRS), r"got tuple; if each row is \(t_us, index\), pass tuple\(zip"),
        ([(0, 3), (5, 1)], r"; pass tuple\(events\) for \[t_us, index\], or tuple\(zip\(\*events"),
        ([[0, 5, 9], [3, 1, 2]], r"; if it is \[t_us, index\], pass tuple\(events\)$"),
        (np.zeros((9, 4), int), r"; if the columns are, for example, t, x, y and p, pass SpikeTrain"
                                r"\.from_events\(np\.rec\.fromarrays\(np\.transpose\(events\), "),
        (np.zeros((9, 64)), r"; for a raster \[timesteps, inputs\], let timestep, index = "
                            r"np\.nonzero\(events\) and pass \(timestep \* timestep_us, index\)$"),
        ({"t_us": [0], "index": [1]}, r"got dict; pass \(events\['t_us'\], events\['index'\]\)$"),
        (np.zeros(3, [("x", int), ("t", int)]), r"; SpikeTrain\.from_events\(events, shape\) re"),
        (np.zeros(3, [("x", int)])[0], r"; to stream a structured array, use .*ArraySource\(even"),
        (Frame(), r"; SpikeTrain\.from_events\(events\.to_records\(index=False\), shape\) reads"),
        (na.SpikeTrains([0], [0], [0, 1], None, (1,)), r"got SpikeTrains; pass one of its samples"),
        ([[0], [1, 2]], r"got list$"),
        (np.zeros((2, 2, 2)), r"got an array of float64 of shape \(2, 2, 2\)$"),
        ("spikes.npz", r"got str$"),
        (None, r"got NoneType$"),
    ],
)  # fmt: skip
def test_other_things_than_a_pair_are_refused_with_a_remedy(events, hint):
    with pytest.raises(na.EventsError, match=hint) as caught:
        as_train(events)
    assert str(caught.value).startswith("`events` must be a SpikeTrain, a pair (t_us, index) or ")


def test_the_remedies_for_pairs_work():
    expected = na.SpikeTrain([0, 5, 9], [3, 1, 2])
    table = np.array(PAIRS)
    assert as_train((table[:, 0], table[:, 1])) == expected
    assert as_train(tuple(zip(*PAIRS, strict=True))) == expected
    rows = np.transpose(PAIRS).tolist()
    assert as_train(tuple(rows)) == expected


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((SECONDS, [0, 0, 0]), r"^`t_us` must be one-dimensional integers, got float64 of shape "
                               r"\(3,\); if they are seconds, pass np\.rint\(np\.multiply\(t_us, "
                               r"1e6\)\)\.astype\(int\)$"),
        (([0.0, 5.0], [0, 0]), r"; np\.asarray\(t_us\)\.astype\(int\) makes integers of them$"),
        (([0, 5], [1.0, 2.0]), r"; np\.asarray\(index\)\.astype\(int\) makes integers of them$"),
        (([0, 5], [1.5, 2.0]), r"got float64 of shape \(2,\)$"),
        (([np.nan], [0]), r"got float64 of shape \(1,\)$"),
        (([0], [True]), r"; np\.flatnonzero\(index\) returns the positions that are true$"),
        (([0, 5], [[1, 2], [0, 0]]), r"; np\.ravel_multi_index\(tuple\(np\.transpose\(index\)\), "),
        ((np.array([0, 5], "m8[ms]"), [0, 0]), r"; pass t_us\.astype\('timedelta64\[us\]'\)\.as"),
        ((np.array([0, 5], "M8[ms]"), [0, 0]), r"; pass \(t_us - t_us\[0\]\)\.astype\('timedel"),
        ((np.zeros(2, [("t", int)]), [0, 0]), r"; SpikeTrain\.from_events\(events, shape\) re"),
        (([3, 1, 7], [0, 5, 9]), r"^`t_us\[1\]` must be at least 3, .*, got 1; the indices ascend: "
                                 r"is the pair \(index, t_us\) instead of \(t_us, index\)\?$"),
        (([5, 1, 7], [3, 0, 9]), r"got 1; sort the events by time$"),
        (([1_732_780_000_000_000_000], [0]), r"got 1732780\d+; if the times are ns, divide them b"),
    ],
)  # fmt: skip
def test_invalid_arrays_are_refused_with_a_remedy(pair, message):
    with pytest.raises(na.EventsError, match=message):
        as_train(pair)


def test_the_remedies_for_times_work():
    assert np.rint(np.multiply(SECONDS, 1e6)).astype(int).tolist() == [0, 500, 250_000]
    moments = np.array([3, 5], "M8[ms]")
    assert (moments - moments[0]).astype("timedelta64[us]").astype(int).tolist() == [0, 2000]


def test_swapped_arrays_in_order_are_noticed_by_their_indices():
    with pytest.raises(na.EventsError, match=r"got 500; is the pair \(index, t_us\) instead of"):
        na.SpikeTrain([1, 3], [0, 500]).check_indices(4)
    with pytest.raises(na.EventsError, match=r"got 5$"):
        na.SpikeTrain([100, 300], [0, 5]).check_indices(4)
