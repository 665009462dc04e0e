"""Windows and the segmenter, alone and in a session's stream."""

import re
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.events.segmenter import NEVER, Segmenter
from neuroasync.core.events.waiting_events import PlacedChunk
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()


def segments(window, times, timestep_us=1000, limit_us=NEVER, end=True):
    """Return (times of the events, duration or None, whether it ends) of each segment."""
    segmenter = Segmenter(na.parse_window(window), timestep_us)
    segmenter.feed(
        PlacedChunk(na.SpikeTrain(np.array(times, np.int64), np.zeros(len(times), np.int64)))
    )
    found = []
    while (segment := segmenter.next(limit_us, False)) is not None:
        found.append((segment.events.t_us.tolist(), segment.duration_us, segment.ends))
    if end and (segment := segmenter.close()) is not None:
        found.append((segment.events.t_us.tolist(), segment.duration_us, segment.ends))
    return found


def test_time_windows_follow_each_other_even_without_events():
    assert segments("time(5000)", [7000, 8000, 10_000, 21_000]) == [
        ([2000, 3000], 5000, True),
        ([0], 5000, True),
        ([], 5000, True),
        ([1000], None, False),
        ([], 5000, True),
    ]


def test_event_windows_start_with_a_timestep():
    assert segments("events(2)", [1500, 1600, 1700, 9900, 9950]) == [
        ([500, 600], None, True),
        ([700, 8900], None, True),
        ([950], None, False),
        ([], None, True),
    ]


def test_silence_windows_include_the_silence():
    assert segments("silence(3000)", [0, 2999, 5998, 8998, 8999]) == [
        ([0, 2999, 5998], 8998, True),
        ([998, 999], None, False),
        ([], 3999, True),
    ]


def test_silence_window_ends_by_the_clock():
    segmenter = Segmenter(na.parse_window("silence(3000)"), 1000)
    segmenter.feed(PlacedChunk(na.SpikeTrain(np.array([500]), np.array([0]))))
    assert segmenter.next(1000, False).events.t_us.tolist() == [500]
    assert segmenter.next(3000, False) is None
    segment = segmenter.next(3500, False)
    assert (segment.ends, segment.duration_us) == (True, 3500)
    assert segmenter.is_idle


@pytest.mark.parametrize("window", ["time(5000)", "silence(4500)"])
def test_window_ends_by_the_clock_even_if_the_next_event_is_known(window):
    segmenter = Segmenter(na.parse_window(window), 1000)
    segmenter.feed(PlacedChunk(na.SpikeTrain(np.array([500, 20_000]), np.array([0, 0]))))
    assert segmenter.next(1000, False).events.t_us.tolist() == [500]
    assert segmenter.next(4000, False) is None
    assert segmenter.next(5000, False).ends


def test_events_ahead_of_the_clock_wait():
    assert segments("time(5000)", [100, 900, 1000], limit_us=1000, end=False) == [
        ([100, 900], None, False)
    ]


@pytest.mark.parametrize(
    "window", ["", "time", "time()", "time(0)", "time(-1)", "time(1.5)", "decided(1)", "events(x)",
               3, None, "time(1)\n"],
)  # fmt: skip
def test_invalid_window_is_rejected_with_the_valid_forms(window):
    with pytest.raises(
        ValueError,
        match=r"^`window` must be time\(t\) or silence\(t\) with a time of at least 1 µs such",
    ):
        na.parse_window(window)


@pytest.mark.parametrize("text", ["time(5)", "events(3)", "silence(7)", "decided"])
def test_window_text_is_parsed_to_an_equal_window(text):
    assert str(na.parse_window(text)) == text
    assert na.parse_window(na.parse_window(text)) == na.parse_window(text)


def test_event_after_too_many_silent_windows_is_rejected():
    with pytest.raises(
        na.LimitError,
        match=r"^the next event, at 1000000000 µs, is more than 10000000 windows of 10 µs",
    ):
        segments("time(10)", [0, 10**9])


def test_stream_rejects_decreasing_times():
    segmenter = Segmenter(na.parse_window("decided"), 1000)
    segmenter.feed(PlacedChunk(na.SpikeTrain(np.array([500]), np.array([0]))))
    with pytest.raises(
        na.EventsError,
        match=r"^`t_us\[0\]` must be at least 500, the time of the stream's last event, got 499; ",
    ):
        segmenter.feed(PlacedChunk(na.SpikeTrain(np.array([499]), np.array([0]))))


@settings(deadline=None)
@given(
    gaps=st.lists(st.integers(0, 5000), min_size=1, max_size=30),
    pieces=st.lists(st.integers(0, 10), max_size=10),
    window=st.sampled_from(["time(4000)", "time(500)", "events(1)", "events(4)", "silence(2500)"]),
    timestep=st.sampled_from([0, 1, 1000]),
)
def test_every_event_is_in_one_window_for_any_chunks(gaps, pieces, window, timestep):
    times = np.cumsum(gaps)
    index = np.arange(times.size)
    edges = np.clip(np.cumsum([0, *pieces]), 0, times.size).tolist()

    def seen(edges):
        segmenter, windows, current = Segmenter(na.parse_window(window), timestep), [], []
        for first, stop in zip(edges, [*edges[1:], times.size], strict=True):
            segmenter.feed(PlacedChunk(na.SpikeTrain(times[first:stop], index[first:stop])))
            while (segment := segmenter.next(NEVER, False)) is not None:
                current += segment.events.index.tolist()
                if segment.ends:
                    windows.append((current, segment.duration_us))
                    current = []
        if (segment := segmenter.close()) is not None:
            windows.append((current, segment.duration_us))
        return windows

    whole = seen([0])
    assert seen(edges) == whole
    assert [i for members, _ in whole for i in members] == index.tolist()


async def endless(train, at=7):
    """Yield a spike train in chunks of ``at`` events."""
    for k in range(0, len(train), at):
        yield train.t_us[k : k + at], train.index[k : k + at]


@pytest.mark.parametrize("at", [1, 7, 100])
async def test_window_gives_the_decision_of_an_equal_sample(at, no_leaks):
    train = sample(events=200, duration_us=40_000)
    async with na.Network(BUNDLE) as network:
        async with network.session(seed=5) as session:
            found = [d async for d in session.stream(endless(train, at), window="time(10000)")]
            assert session.counts == na.Counts(events=200, decisions=4)
        async with network.session(seed=5) as session:
            expected = []
            for start in range(0, 40_000, 10_000):
                first, stop = np.searchsorted(train.t_us, [start, start + 10_000])
                events = train.t_us[first:stop] - start, train.index[first:stop]
                expected.append(await session.decide(events, duration_us=10_000))
    assert found == expected


async def test_event_after_a_decided_window_starts_another_window(no_leaks):
    train = sample(events=200, duration_us=40_000)
    async with na.Network(BUNDLE, until="votes(2)") as network, network.session() as session:
        found = [d async for d in session.stream(endless(train), window="decided")]
    assert len(found) > 2
    assert all(d.stopped and d.votes.max() == 2 for d in found[:-1])
    assert sum(d.input_events for d in found) == 200  # each is read by one sample


async def test_an_early_decision_does_not_wait_for_the_end_of_its_window(no_leaks):
    train = sample(events=400, duration_us=40_000)
    taken = []

    async def watched():
        async for chunk in endless(train, 1):
            taken.append(int(chunk[0][0]))
            yield chunk

    async with na.Network(BUNDLE, until="first-spike") as network, network.session() as session:
        stream = session.stream(watched(), window="time(20000)")
        decisions = [(decision.stopped, taken[-1]) async for decision in stream]
    assert [stopped for stopped, _ in decisions] == [True, True]
    assert decisions[0][1] < 20_000 <= decisions[1][1] < 40_000


async def test_leaving_a_stream_early_resets_the_session(no_leaks):
    train = sample(events=200, duration_us=40_000)
    async with na.Network(BUNDLE) as network:
        async with network.session() as session:
            expected = await session.decide(train)
        async with network.session() as session:
            stream = session.stream(endless(train), window="events(50)")
            await anext(stream)
            await stream.aclose()
            session.skip()
        async with network.session() as session:
            stream = session.stream(endless(train), window="events(500)")
            with pytest.raises(StopAsyncIteration):
                for _ in range(3):
                    await anext(stream)
        async with network.session() as session:
            assert await session.decide(train) == expected


@pytest.mark.parametrize(
    ("window", "proposal"),
    [
        ("50ms", "time(50ms)"),
        (timedelta(milliseconds=50), "time(50000)"),
        ("tme(50ms)", "time"),
    ],
)
def test_error_of_an_invalid_window_proposes_a_valid_one(window, proposal):
    with pytest.raises(ValueError, match=re.escape(f"; did you mean {proposal!r}?")):
        na.parse_window(window)
