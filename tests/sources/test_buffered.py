"""A stream that a task of its own reads ahead."""

import asyncio

import pytest

import neuroasync as na
from neuroasync.sources import SourceCounts, buffered
from tests.helpers.event_streams import all_of, each, part


class Pushed:
    """A stream that somebody fills, and that knows how far it was read."""

    def __init__(self, *parts):
        self.left = list(parts)
        self.is_closed = False

    async def __aiter__(self):
        try:
            while self.left:
                await asyncio.sleep(0)
                yield self.left.pop(0)
            await asyncio.Event().wait()
        finally:
            self.is_closed = True


async def read_out(stream):
    async with asyncio.timeout(10):
        while stream.left:
            await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)


NUMBERED = [part((k, k), (k, k)) for k in range(6)]


async def test_everything_comes_through_in_order(no_leaks):
    async with buffered(each(*NUMBERED), 2) as parts:
        assert [p async for p in parts] == NUMBERED
    assert parts.counts == SourceCounts(accepted=12)


@pytest.mark.parametrize(
    ("when_full", "kept"), [("drop-oldest", NUMBERED[4:]), ("drop-newest", NUMBERED[:2])]
)
async def test_a_slow_reader_does_not_hold_the_source_up(when_full, kept, no_leaks):
    stream = Pushed(*NUMBERED)
    async with buffered(stream, 2, when_full) as parts:
        await read_out(stream)
        assert [await anext(parts), await anext(parts)] == kept
        assert parts.counts == SourceCounts(accepted=4, dropped=8)
    assert stream.is_closed


async def test_a_source_that_is_to_wait_waits(no_leaks):
    stream = Pushed(*NUMBERED)
    async with buffered(stream, 2) as parts:
        for _ in range(20):
            await asyncio.sleep(0)
        assert stream.left == NUMBERED[3:]  # two wait, one is under way
        assert await anext(parts) == NUMBERED[0]
    assert parts.counts == SourceCounts(accepted=2, dropped=4)


async def test_where_a_full_buffer_is_an_error_the_reader_gets_it_last(no_leaks):
    stream = Pushed(*NUMBERED)
    async with buffered(stream, 2, "error") as parts:
        for _ in range(20):
            await asyncio.sleep(0)
        found = []
        with pytest.raises(na.QueueFullError):
            async for p in parts:
                found.append(p)  # noqa: PERF401  # up to the error
        assert found == NUMBERED[:2]
    assert parts.counts == SourceCounts(accepted=4, refused=2)


async def test_an_error_of_the_source_follows_its_last_chunk(no_leaks):
    async with buffered(each(*NUMBERED[:2], na.SourceError("broke off"))) as parts:
        assert [await anext(parts), await anext(parts)] == NUMBERED[:2]
        with pytest.raises(na.SourceError, match=r"^broke off$"):
            await anext(parts)
        assert await all_of(parts) == []


async def test_an_error_of_the_source_is_raised_at_the_end_of_the_block(no_leaks):
    with pytest.raises(na.SourceError, match=r"^broke off$"):
        async with buffered(each(NUMBERED[0], na.SourceError("broke off"))) as parts:
            await anext(parts)
            await asyncio.sleep(0)
    assert parts.counts == SourceCounts(accepted=2)


async def test_an_error_of_the_block_takes_precedence_over_one_of_the_source(no_leaks):
    with pytest.raises(KeyError):
        async with buffered(each(na.SourceError("broke off"))):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            raise KeyError


@pytest.mark.parametrize("ticks", range(8))
async def test_a_cancelled_block_leaves_no_task_behind(ticks, no_leaks):
    stream = Pushed(*NUMBERED)

    async def read():
        async with buffered(stream, 2) as parts:
            await all_of(parts)

    reading = asyncio.create_task(read())
    for _ in range(ticks):
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_leaving_waits_for_a_source_that_takes_its_time_even_if_cancelled(no_leaks):
    may_end, is_ending = asyncio.Event(), asyncio.Event()

    async def stubborn():
        try:
            yield part((0, 0))
            await asyncio.Event().wait()
        finally:
            is_ending.set()
            await may_end.wait()

    async def read():
        async with buffered(stubborn()) as parts:
            await anext(parts)

    reading = asyncio.create_task(read())
    await is_ending.wait()
    may_end.set()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_an_async_generator_is_closed_with_the_block(no_leaks):
    stream = each(*NUMBERED)
    async with buffered(stream, 1) as parts:
        await anext(parts)
    assert [p async for p in stream] == []


async def test_parts_may_be_pairs_of_arrays(no_leaks):
    async with buffered(each(([0, 1], [2, 3]), ([5], [0]))) as parts:
        assert await all_of(parts) == [(0, 2), (1, 3), (5, 0)]
    with pytest.raises(na.SpikeFileError, match=r"^events: str, expected a SpikeTrain or \(t_us, "):
        async with buffered(each("events")) as parts:
            await anext(parts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), r"^capacity\b.*\b0\b"),
        ((1, "drop"), r"^when_full\b.*'drop'"),
    ],
)
async def test_invalid_arguments_are_rejected_before_anything_is_read(arguments, message, no_leaks):
    with pytest.raises(ValueError, match=message):
        async with buffered(each(*NUMBERED), *arguments):
            pass
