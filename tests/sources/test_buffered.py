"""A stream that a separate task reads ahead."""

import asyncio

import pytest

import neuroasync as na
from neuroasync.sources import SourceCounts, buffered
from tests.helpers.event_streams import all_of, chunk, each


class Pushed:
    """A stream of given chunks that shows how far it was read."""

    def __init__(self, *chunks):
        self.left = list(chunks)
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
    """Wait until the background task has read the whole stream."""
    async with asyncio.timeout(10):
        while stream.left:
            await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)


NUMBERED = [chunk((k, k), (k, k)) for k in range(6)]


async def test_buffered_chunks_keep_their_order(no_leaks):
    async with buffered(each(*NUMBERED), 2) as chunks:
        assert [p async for p in chunks] == NUMBERED
    assert chunks.counts == SourceCounts(accepted=12)


@pytest.mark.parametrize(
    ("when_full", "kept"), [("drop-oldest", NUMBERED[4:]), ("drop-newest", NUMBERED[:2])]
)
async def test_a_slow_reader_does_not_delay_the_source(when_full, kept, no_leaks):
    stream = Pushed(*NUMBERED)
    async with buffered(stream, 2, when_full) as chunks:
        await read_out(stream)
        assert [await anext(chunks), await anext(chunks)] == kept
        assert chunks.counts == SourceCounts(accepted=4, dropped=8)
    assert stream.is_closed


async def test_the_source_waits_if_the_full_buffer_blocks(no_leaks):
    stream = Pushed(*NUMBERED)
    async with buffered(stream, 2) as chunks:
        for _ in range(20):
            await asyncio.sleep(0)
        assert stream.left == NUMBERED[3:]  # Two wait, and one is being queued.
        assert await anext(chunks) == NUMBERED[0]
    assert chunks.counts == SourceCounts(accepted=2, dropped=4)


async def test_the_reader_receives_the_error_of_a_full_buffer_last(no_leaks):
    stream = Pushed(*NUMBERED)
    async with buffered(stream, 2, "error") as chunks:
        for _ in range(20):
            await asyncio.sleep(0)
        found = []
        with pytest.raises(na.QueueFullError):
            async for p in chunks:
                found.append(p)  # noqa: PERF401  # The loop ends with an error.
        assert found == NUMBERED[:2]
    assert chunks.counts == SourceCounts(accepted=4, refused=2)


async def test_an_error_of_the_source_follows_its_last_chunk(no_leaks):
    async with buffered(each(*NUMBERED[:2], na.SourceError("broke off"))) as chunks:
        assert [await anext(chunks), await anext(chunks)] == NUMBERED[:2]
        with pytest.raises(na.SourceError, match=r"^broke off$"):
            await anext(chunks)
        assert await all_of(chunks) == []


async def test_an_error_of_the_source_is_raised_at_the_end_of_the_block(no_leaks):
    with pytest.raises(na.SourceError, match=r"^broke off$"):
        async with buffered(each(NUMBERED[0], na.SourceError("broke off"))) as chunks:
            await anext(chunks)
            await asyncio.sleep(0)
    assert chunks.counts == SourceCounts(accepted=2)


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
        async with buffered(stream, 2) as chunks:
            await all_of(chunks)

    reading = asyncio.create_task(read())
    for _ in range(ticks):
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_leaving_waits_for_a_slow_source_even_if_cancelled(no_leaks):
    may_end, is_ending = asyncio.Event(), asyncio.Event()

    async def stubborn():
        try:
            yield chunk((0, 0))
            await asyncio.Event().wait()
        finally:
            is_ending.set()
            await may_end.wait()

    async def read():
        async with buffered(stubborn()) as chunks:
            await anext(chunks)

    reading = asyncio.create_task(read())
    await is_ending.wait()
    may_end.set()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_an_async_generator_is_closed_with_the_block(no_leaks):
    stream = each(*NUMBERED)
    async with buffered(stream, 1) as chunks:
        await anext(chunks)
    assert [p async for p in stream] == []


async def test_chunks_may_be_pairs_of_arrays(no_leaks):
    async with buffered(each(([0, 1], [2, 3]), ([5], [0]))) as chunks:
        assert await all_of(chunks) == [(0, 2), (1, 3), (5, 0)]
    with pytest.raises(na.EventsError, match=r"^`events` must be a SpikeTrain, a pair "):
        async with buffered(each("events")) as chunks:
            await anext(chunks)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), r"^`capacity` must be .*, got 0$"),
        ((1, "drop"), r"^`when_full` must be .*'drop'"),
    ],
)
async def test_invalid_arguments_are_rejected_before_anything_is_read(arguments, message, no_leaks):
    with pytest.raises(ValueError, match=message):
        async with buffered(each(*NUMBERED), *arguments):
            pass
