"""Structured arrays as a stream: one array in chunks, and the arrays of a live driver."""

import asyncio
import inspect
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.sources import ArraySource, Paced, SourceCounts, View, array_source, buffered
from tests.helpers.event_streams import all_of
from tests.helpers.small_networks import chain

EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])


def array(*events):
    """Return events (x, y, p, t) as a structured array."""
    return np.array(list(events), EVENT)


def ticks(*times):
    """Return an event of pixel (0, 0) at each time."""
    return array(*((0, 0, 1, t) for t in times))


async def live(*arrays):
    for item in arrays:
        await asyncio.sleep(0)
        yield item


def plain(*arrays):
    yield from arrays


async def times_of(source):
    return [t for t, _ in await all_of(source)]


async def test_an_array_is_read_in_chunks_of_10_ms():
    source = ArraySource(ticks(500, 10_499, 10_500, 10_501, 95_000), (1, 1))
    async with source:
        chunks = [chunk.t_us.tolist() async for chunk in source]
    assert chunks == [[0, 9999], [10_000, 10_001], [94_500]]
    assert source.counts == SourceCounts(accepted=5)


async def test_a_chunk_has_a_bounded_number_of_events():
    events = np.zeros(4097, EVENT)
    events["x"][4096] = 1
    source = ArraySource(events, (1, 1))
    async with source:
        assert len(await anext(source)) == 4096
        with pytest.raises(na.EventsError, match=r"^`events\[4096\]` must be one of the 1 x 1 "):
            await anext(source)


@pytest.mark.parametrize("driver", [live, plain])
async def test_the_arrays_of_a_driver_are_one_stream(driver):
    arrays = [array((3, 2, 0, 1000)), array(), array((3, 2, 1, 1000), (4, 0, -1, 1600))]
    source = ArraySource(driver(*arrays), (2, 3, 5))
    assert await all_of(source) == [(0, 13), (0, 28), (600, 4)]
    assert source.counts == SourceCounts(accepted=3)
    with pytest.raises(na.EventsError, match=r"^`events` must be a structured array"):
        await all_of(ArraySource(driver([1, 2]), (2, 3, 5)))


async def test_a_view_crops_and_counts_what_it_leaves_out():
    events = array(*((x, 3, 1, 0) for x in range(8)))
    source = ArraySource(events, (2, 1, 2), view=View(x=3, y=2, binning=2))
    assert await all_of(source) == [(0, 2), (0, 2), (0, 3), (0, 3)]
    assert source.counts == SourceCounts(accepted=4, outside=4)


async def test_an_array_without_visible_events_is_counted():
    source = ArraySource(array((9, 9, 1, 0), (9, 9, 1, 5)), (1, 1), view=View())
    assert await all_of(source) == []
    assert source.counts == SourceCounts(outside=2)


@pytest.mark.parametrize("driver", [live, plain])
async def test_an_array_that_begins_too_early_is_moved_forward(driver):
    source = ArraySource(driver(ticks(100, 300), ticks(200, 250, 400)), (1, 1))
    assert await times_of(source) == [0, 200, 200, 200, 300]
    assert source.counts == SourceCounts(accepted=5, late=2)


async def test_a_clock_that_restarts_or_jumps_continues_without_a_gap():
    hour = 3_600_000_000
    arrays = (ticks(5 * hour, 5 * hour + 200_000), ticks(7, 9), ticks(hour, hour + 5))
    source = ArraySource(live(*arrays), (1, 1))
    assert await times_of(source) == [0, 200_000, 200_000, 200_002, 200_002, 200_007]
    assert source.counts == SourceCounts(accepted=6, clock_jumps=2)


async def test_silence_within_an_array_and_of_a_minute_between_arrays_is_kept():
    hour, minute = 3_600_000_000, 60_000_000
    source = ArraySource(live(ticks(0, hour), ticks(hour + minute)), (1, 1))
    assert await times_of(source) == [0, hour, hour + minute]
    assert source.counts == SourceCounts(accepted=3)


async def test_events_of_an_array_out_of_order_are_refused():
    with pytest.raises(na.EventsError, match=r"^`events\['t'\]\[1\]` must be at least 5, .*; sort"):
        await all_of(ArraySource(ticks(5, 4), (1, 1)))


async def test_a_pixel_outside_is_refused_without_a_view():
    with pytest.raises(na.EventsError, match=r"got x = 1, y = 0; pass view=View\("):
        await all_of(ArraySource(array((1, 0, 1, 0)), (1, 1)))


@given(st.lists(st.lists(st.integers(0, 30_000), max_size=6), max_size=4))
def test_chunks_of_consecutive_arrays_have_all_events_in_order(steps):
    parts = np.split(np.cumsum(np.concatenate([[0], *steps])), np.cumsum(list(map(len, steps))))
    arrays = [ticks(*part.tolist()) for part in parts]

    async def run():
        source = ArraySource(live(*arrays), (1, 1))
        async with source:
            return [chunk.t_us.tolist() async for chunk in source]

    chunks = asyncio.run(run())
    times = np.concatenate(parts)
    assert [t for chunk in chunks for t in chunk] == (times - times[0]).tolist()
    assert all(chunk[-1] - chunk[0] < 10_000 for chunk in chunks if chunk)


async def test_wrong_units_are_warned_of_once():
    events = np.zeros(600, EVENT)
    parts = []
    for k in range(6):
        events["t"] = 60 * k + np.arange(600) // 10
        parts.append(events.copy())
    with pytest.warns(na.TimeUnitWarning, match="look like ms") as warned:
        await all_of(ArraySource(live(*parts), (1, 1)))
    assert len(warned) == 1


@pytest.mark.parametrize("arrays", [live, plain, np.concatenate])
async def test_the_warning_points_to_the_line_that_creates_the_source(arrays):
    events = np.zeros(2000, EVENT)
    events["t"] = np.arange(2000) // 10
    parts = np.split(events, 2)
    line = inspect.currentframe().f_lineno + 1
    source = ArraySource(arrays(parts) if arrays is np.concatenate else arrays(*parts), (1, 1))
    async with na.Network(chain((1, 4))) as network, network.session() as session:
        with pytest.warns(na.TimeUnitWarning) as warned:
            assert [d async for d in session.stream(source, window="time(1s)")]
    assert [(w.filename, w.lineno) for w in warned] == [(__file__, line)]


async def test_a_unit_that_becomes_clear_later_is_warned_of():
    # Each of 1000 pixels fires once in the first 100 ms, and 9 times in 900 ms; times are ms.
    events = np.zeros(9000, EVENT)
    events["x"], events["t"] = np.arange(9000) % 1000, np.arange(9000) // 10
    parts = np.split(events, 9)
    with pytest.warns(na.TimeUnitWarning, match="look like ms"):
        await all_of(ArraySource(live(*parts), (1, 1000)))


async def test_a_plain_driver_is_read_in_a_thread_and_closed_there():
    threads = []

    def driver():
        try:
            for t in range(100):
                threads.append(threading.current_thread())
                yield ticks(t)
        finally:
            threads.append("closed")

    async with ArraySource(driver(), (1, 1)) as source:
        await anext(source)
    assert threading.main_thread() not in threads
    assert threads[-1] == "closed"
    assert await anext(source, None) is None


async def test_an_async_generator_is_closed_with_the_source():
    closed = []

    async def driver():
        try:
            while True:
                yield ticks(5)
        finally:
            closed.append(True)

    async with ArraySource(driver(), (1, 1)) as source:
        await anext(source)
    assert closed == [True]


@pytest.mark.parametrize("events", [None, 5])
def test_what_is_no_array_and_no_iterable_is_refused(events):
    with pytest.raises(TypeError, match=r"^`events` must be a structured array, or an iterable"):
        ArraySource(events, (1, 1))


async def test_decisions_from_arrays_equal_those_from_the_train():
    bundle = chain()
    inputs = bundle.model.input_size
    events = np.zeros(60, [("t", "<i8"), ("x", "<u2")])
    events["t"], events["x"] = np.arange(60) * 700, np.arange(60) % inputs
    shape = (inputs,)
    async with na.Network(bundle, seed=3) as network, network.session() as session:
        train = na.SpikeTrain.from_events(events, shape)
        expected = [d async for d in session.stream([train], window="time(9000)")]
    async with na.Network(bundle, seed=3) as network, network.session() as session:
        source = ArraySource([events[:31], events[31:]], shape)
        found = [d async for d in session.stream(source, window="time(9000)")]
    assert len(expected) == 5
    assert [d.votes.tolist() for d in found] == [d.votes.tolist() for d in expected]


async def test_an_array_can_be_paced_and_buffered():
    clock = na.VirtualClock()
    paced = Paced(ArraySource(ticks(0, 400, 5000), (1, 1)), clock)
    async with buffered(paced, 4) as source:
        assert await times_of(source) == [0, 400, 5000]


async def test_arrays_of_an_async_driver_are_checked_in_a_thread(monkeypatch):
    threads = set()
    check = array_source.sensor_times

    def checked(events):
        threads.add(threading.current_thread())
        return check(events)

    monkeypatch.setattr(array_source, "sensor_times", checked)
    times = [range(0, 10**6, 100), range(10**6, 2 * 10**6, 100)]
    async with ArraySource(live(*(ticks(*part) for part in times)), (1,)) as source:
        assert await times_of(source) == [*range(0, 2 * 10**6, 100)]
    assert threads
    assert threading.main_thread() not in threads
