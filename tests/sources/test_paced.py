"""Chunks are delayed until they are due."""

import asyncio

import pytest

import neuroasync as na
from neuroasync.runtime.clock import ManualClock, VirtualClock
from neuroasync.sources import Paced, Source, SourceCounts
from tests.helpers.event_streams import all_of, chunk, each


class Listed(Source):
    """The chunks of a list."""

    def __init__(self, *chunks):
        super().__init__()
        self.chunks = list(chunks)

    async def _next(self):
        await asyncio.sleep(0)
        return self.chunks.pop(0) if self.chunks else None


async def collect(source, into):
    """Append each chunk of a source to a list."""
    async for found in source:
        into.append(found)  # Appended one by one, because the reader is cancelled.


async def test_each_chunk_is_passed_on_at_the_time_of_its_last_event(no_leaks):
    clock, found = ManualClock(), []
    source = Paced(each(chunk((0, 1), (999, 2), (1000, 3), (1400, 4)), chunk((5000, 5))), clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(collect(source, found))
        await clock.advance(998)
        assert found == []
        await clock.advance(1)
        assert found == [chunk((0, 1), (999, 2))]
        await clock.advance(401)
        assert found[1:] == [chunk((1000, 3), (1400, 4))]
        await clock.advance(3599)
        assert len(found) == 2
        await clock.advance(1)
    assert found[2:] == [chunk((5000, 5))]
    assert source.counts == SourceCounts(accepted=5)


async def test_with_a_virtual_clock_nothing_waits_and_nothing_is_lost():
    chunks = [chunk((0, 1), (10**9, 2)), chunk(), chunk((10**12, 3))]
    source = Paced(each(*chunks), VirtualClock())
    assert await all_of(source) == [(0, 1), (10**9, 2), (10**12, 3)]


async def test_late_events_of_a_slow_reader_are_counted():
    clock = ManualClock()
    source = Paced(each(chunk((0, 1), (10, 2), (2000, 3), (2100, 4), (9000, 5))), clock)
    assert len(await anext(source, None) if not await clock.advance(10) else chunk()) == 2
    await clock.advance(3090)
    assert await anext(source) == chunk((2000, 3), (2100, 4))
    assert source.counts == SourceCounts(accepted=4)
    await clock.advance(6901)
    assert await anext(source) == chunk((9000, 5))
    assert source.counts == SourceCounts(accepted=5, late=1)


async def test_chunks_are_split_at_multiples_of_every_us():
    source = Paced(each(chunk(*((t, t) for t in range(0, 100, 10)))), VirtualClock(), every_us=50)
    assert [len(p) async for p in source] == [5, 5]


@pytest.mark.parametrize("ticks", range(6))
async def test_a_cancelled_reader_loses_no_event(ticks, no_leaks):
    clock, found = ManualClock(), []
    source = Paced(Listed(chunk((0, 1), (1500, 2)), chunk((3000, 3))), clock)
    reader = asyncio.create_task(collect(source, found))
    for _ in range(ticks):
        await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(collect(source, found))
        await clock.advance(3000)
    assert found == [chunk((0, 1)), chunk((1500, 2)), chunk((3000, 3))]


async def test_a_paced_source_opens_and_closes_its_source():
    inner = Listed(chunk((0, 1)), chunk((1, 1)))
    async with Paced(inner, VirtualClock()) as source:
        assert inner._is_open
        await anext(source)
    assert await all_of(inner) == []
    assert inner.chunks == [chunk((1, 1))]


async def test_errors_of_the_source_are_raised():
    source = Paced(each(chunk((0, 1)), na.SourceError("broke off")), VirtualClock())
    assert await anext(source) == chunk((0, 1))
    with pytest.raises(na.SourceError, match=r"^broke off$"):
        await anext(source)


@pytest.mark.parametrize("every_us", [0, -1, 1.5, True, None, "0ms"])
def test_every_us_out_of_range_is_rejected(every_us):
    with pytest.raises(ValueError, match=r"^`every_us` must be (an integer|at least 1 µs)"):
        Paced(each(), VirtualClock(), every_us=every_us)
