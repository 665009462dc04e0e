"""Labels over time: what they hold, how they are cut, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na

LABELS = na.LabelsOverTime([0, 1, 1, -1, 2], [0, 3, 3, 5], 1000)


def trains(labels=LABELS, t_us=(0, 2999, 500), offsets=(0, 2, 2, 3)):
    return na.SpikeTrains(t_us, [0] * len(t_us), offsets, None, (4,), labels)


def test_each_sample_has_its_labels_and_its_length():
    assert len(LABELS) == 3
    assert [LABELS[k].tolist() for k in range(3)] == [[0, 1, 1], [], [-1, 2]]
    assert LABELS.durations_us.tolist() == [3000, 0, 2000]
    assert repr(LABELS) == "<LabelsOverTime: 3 samples, 5 labels, one every 1000 µs>"
    assert repr(trains()) == (
        "<SpikeTrains: 3 samples of shape (4,), labels every 1000 µs, 3 events>"
    )


def test_samples_keep_their_labels():
    spikes = trains()
    taken = spikes.take([2, 0])
    assert [row.tolist() for row in (taken.labels_over_time[0], taken.labels_over_time[1])] == [
        [-1, 2],
        [0, 1, 1],
    ]
    assert spikes[1:].labels_over_time == na.LabelsOverTime([-1, 2], [0, 0, 2], 1000)
    assert spikes[1:] != trains(na.LabelsOverTime([1, 2], [0, 0, 2], 1000), (500,), (0, 0, 1))


def test_a_cut_keeps_whole_intervals():
    cut = trains().before(1500)
    assert cut.labels_over_time == na.LabelsOverTime([0, -1], [0, 1, 1, 2], 1000)
    assert cut.t_us.tolist() == [0, 500]
    assert trains().before(None) == trains()


@given(st.lists(st.lists(st.integers(-1, 5), max_size=4), max_size=5), st.data())
def test_taking_samples_is_taking_their_rows(rows, data):
    labels = na.LabelsOverTime.from_samples(rows, 10)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=6)) if rows else []
    taken = labels.take(np.array(chosen, np.int64))
    assert [taken[k].tolist() for k in range(len(taken))] == [rows[k] for k in chosen]


def test_an_array_of_labels_has_a_row_for_each_sample():
    labels = na.LabelsOverTime.from_samples(np.array([[0, 1], [1, 0]]), 10)
    assert labels == na.LabelsOverTime([0, 1, 1, 0], [0, 2, 4], 10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: na.LabelsOverTime([0, -2], [0, 2], 1), r"`labels\[1\]` must be at least -1"),
        (lambda: na.LabelsOverTime([0], [0, 2], 1), r"`label_offsets\[1\]` must be 1, the number"),
        (
            lambda: na.LabelsOverTime([0], [0, 1], 0),
            r"`label_every_us` must be an integer of at least 1",
        ),
        (lambda: na.LabelsOverTime([0] * 99, [0, 99], 10**15), r"`label_every_us` must be "),
        (lambda: trains(t_us=(0, 3000, 500)), r"`sample 0` must be labelled until its last event"),
        (lambda: trains(na.LabelsOverTime([0], [0, 1], 9)), "`label_offsets` must be one longer"),
        (
            lambda: na.SpikeTrains([0], [0], [0, 1], [1], (4,), na.LabelsOverTime([0], [0, 1], 9)),
            "`labels` must be None beside `labels_over_time`",
        ),
    ],
)
def test_labels_that_make_no_sense_are_refused(make, message):
    with pytest.raises(na.EventsError, match=message):
        make()
