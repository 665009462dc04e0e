"""Waiting events are the events that came, at their times, and no step copies a whole chunk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.events import segmenter as segmenters
from neuroasync.core.events import waiting_events
from neuroasync.core.events.segmenter import NEVER, Segmenter
from neuroasync.core.events.waiting_events import PlacedChunk, WaitingEvents
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.streams.late_events import LateEvents


def chunk_of(t_us, first_index=0):
    return na.SpikeTrain(t_us, np.arange(first_index, first_index + len(t_us)))


def test_events_are_taken_in_order_across_chunks():
    waiting = WaitingEvents()
    waiting.append(PlacedChunk(chunk_of([1, 1, 5])))
    waiting.append(PlacedChunk(chunk_of([5, 7], 3), start=1, shift_us=10))
    waiting.append(PlacedChunk(chunk_of([2, 30], 5), earliest_us=18))
    assert len(waiting) == 6
    assert waiting.all() == na.SpikeTrain([1, 1, 5, 17, 18, 30], [0, 1, 2, 4, 5, 6])
    assert [waiting.before(t_us, 100) for t_us in (0, 1, 2, 5, 6, 17, 18, 19, NEVER)] == [
        0, 0, 2, 2, 3, 3, 4, 5, 6,
    ]  # fmt: skip
    assert waiting.before(NEVER, 4) == 4
    assert waiting.times_us(4).tolist() == [1, 1, 5, 17]
    assert waiting.take(2, 0) == na.SpikeTrain([1, 1], [0, 1])
    assert waiting.first_us == 5
    assert waiting.take(3, 4) == na.SpikeTrain([1, 13, 14], [2, 4, 5])
    assert waiting.take(1, 30) == na.SpikeTrain([0], [6])
    assert not waiting
    assert waiting.all() == na.SpikeTrain([], [])


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=20).map(sorted),
    st.integers(0, 80),
    st.sampled_from(["drop", "merge", "shift"]),
    st.integers(0, 30),
)
def test_late_events_are_placed_as_if_all_times_were_computed(t_us, done_us, late, shift_us):
    late_events = LateEvents(late, counts := Counts())
    late_events.shift_us = shift_us
    placed = late_events.place(chunk_of(t_us), done_us)
    waiting = WaitingEvents()
    waiting.append(placed)

    times = [t + shift_us for t in t_us]
    indices = list(range(len(t_us)))
    late_ones = sum(t < done_us for t in times)
    if late == "drop":
        times, indices = times[late_ones:], indices[late_ones:]
    elif late == "shift":
        times = [t + max(done_us - times[0], 0) for t in times]
    else:
        times = [max(t, done_us) if late_ones else t for t in times]
    assert waiting.all() == na.SpikeTrain(times, indices)
    assert (counts.late, counts.dropped) == (late_ones, late_ones if late == "drop" else 0)


@pytest.mark.parametrize("window", ["time(50000)", "events(100000)", "silence(9000)", "decided"])
@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("limit_us", [NEVER, 300_000])
def test_no_step_handles_more_events_than_fit_a_segment(window, carry_state, limit_us, monkeypatch):
    monkeypatch.setattr(segmenters, "_MAX_EVENTS", 1000)
    handled = 0
    times_us = PlacedChunk.times_us

    def counted(self, start, stop):
        nonlocal handled
        handled += stop - start
        return times_us(self, start, stop)

    monkeypatch.setattr(waiting_events.PlacedChunk, "times_us", counted)
    segmenter = Segmenter(na.parse_window(window), 1000, carry_state)
    t_us = np.arange(300_000) // 5000 * 5000 if carry_state else np.arange(300_000)
    train = na.SpikeTrain(t_us, np.zeros(300_000, np.int64))
    handled = events = steps = 0
    segmenter.feed(PlacedChunk(train))
    while (segment := segmenter.next(limit_us, False)) is not None:
        assert handled <= 3000  # examined for the window, taken, and examined for the next event
        assert len(segment.events) <= 1000
        handled, events, steps = 0, events + len(segment.events), steps + 1
    assert events == 300_000
    assert steps >= 300


@settings(max_examples=150)
@given(st.data())
def test_segments_of_any_size_give_the_same_windows(data):
    """Windows do not depend on how many events a segment can have, nor on the chunks."""
    steps = data.draw(st.lists(st.integers(0, 3000), min_size=1, max_size=60))
    train = chunk_of(np.cumsum(steps))
    edges = sorted(data.draw(st.sets(st.integers(1, len(steps)), max_size=5)) | {len(steps)})
    window = data.draw(st.sampled_from(["time(2000)", "events(7)", "silence(2000)"]))
    carry_state = data.draw(st.booleans())
    found = []
    for max_events, stops in ((10**6, [len(steps)]), (data.draw(st.integers(1, 20)), edges)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(segmenters, "_MAX_EVENTS", max_events)
            segmenter = Segmenter(na.parse_window(window), 1000, carry_state)
            windows, current = [], []
            for start, stop in zip([0, *stops], stops, strict=False):
                segmenter.feed(PlacedChunk(chunk_of(train.t_us[start:stop], start)))
                while (segment := segmenter.next(NEVER, False)) is not None:
                    current += [*zip(segment.events.t_us, segment.events.index, strict=True)]
                    if segment.ends:
                        windows.append((segment.start_us, segment.duration_us, current))
                        current = []
            if (segment := segmenter.close()) is not None:
                windows.append((segment.start_us, segment.duration_us, current))
            found.append(windows)
    assert found[0] == found[1]
