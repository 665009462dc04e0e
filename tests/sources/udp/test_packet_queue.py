"""Packets wait for their reader in a bounded queue, and each is counted."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync import limits
from neuroasync.runtime.clock import ManualClock
from neuroasync.sources import SourceCounts, UdpSource
from tests.helpers.event_streams import all_of, chunk
from tests.helpers.udp_packets import SHAPE, settled, take, word


@pytest.mark.parametrize(
    ("when_full", "kept"), [("drop-oldest", [7, 8, 9]), ("drop-newest", [0, 1, 2])]
)
async def test_a_slow_reader_loses_the_chosen_packets_and_they_are_counted(when_full, kept, sender):
    async with UdpSource((10,), clock=ManualClock(), capacity=3, when_full=when_full) as source:
        for k in range(10):
            sender.sendto(word(k, 0), source.address)
        await settled(source, 10)
        assert [index for _, index in await take(source, 3)] == kept
        assert source.counts == SourceCounts(accepted=3, dropped=7)


async def test_a_slow_reader_gets_the_error_after_the_accepted_packets(sender):
    async with UdpSource((10,), clock=ManualClock(), capacity=3, when_full="error") as source:
        for k in range(10):
            sender.sendto(word(k, 0), source.address)
        await settled(source, 10)
        assert [index for _, index in await take(source, 3)] == [0, 1, 2]
        with pytest.raises(na.QueueFullError):
            await anext(source)
        assert source.counts == SourceCounts(accepted=3, refused=7)


async def test_waiting_packets_are_dropped_when_the_source_closes(sender):
    async with UdpSource(SHAPE, clock=ManualClock()) as source:
        for k in range(3):
            sender.sendto(word(k, 0), source.address)
        await settled(source, 3)
    assert source.counts == SourceCounts(dropped=3)
    assert await all_of(source) == []


async def test_arrived_packets_form_one_chunk_up_to_a_limit(sender, monkeypatch):
    monkeypatch.setattr(limits, "MAX_CHUNK_EVENTS", 4)
    async with UdpSource(SHAPE, clock=ManualClock()) as source:
        for k in range(10):
            sender.sendto(word(k % 4, 0), source.address)
        await settled(source, 10)
        assert [len(await anext(source)) for _ in range(3)] == [4, 4, 2]


async def test_closing_ends_a_waiting_reader(no_leaks):
    source = UdpSource(SHAPE)
    async with source, asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(all_of(source))
        await asyncio.sleep(0)
        await source.aclose()
    assert reader.result() == []


@pytest.mark.parametrize("ticks", range(4))
async def test_a_cancelled_reader_loses_no_event(ticks, sender, no_leaks):
    async with UdpSource(SHAPE, clock=ManualClock()) as source:
        reader = asyncio.create_task(anext(source))
        sender.sendto(word(1, 0), source.address)
        for _ in range(ticks):
            await asyncio.sleep(0)
        reader.cancel()
        try:
            found = await reader
        except asyncio.CancelledError:
            found = await anext(source)
        assert found == chunk((0, 1))


async def test_packets_that_arrive_while_the_loop_is_busy_are_read_and_counted(sender):
    async with UdpSource((10,), clock=ManualClock(), capacity=3) as source:
        for k in range(200):
            sender.sendto(word(k % 10, 0), source.address)
        for _ in range(20):
            await asyncio.sleep(0)
        assert [index for _, index in await take(source, 3)] == [7, 8, 9]
        assert source.counts == SourceCounts(accepted=3, dropped=197)


near_packets = st.lists(
    st.sampled_from([word(0, 0), word(3, 3, flag=0), word(4, 0), b"\0\0\0\1", b"\xff" * 4, b"x"]),
    max_size=6,
).map(b"".join)


@given(
    st.lists(st.tuples(st.binary(max_size=40) | near_packets, st.integers(0, 10**6)), max_size=20),
    st.sampled_from(["drop-oldest", "drop-newest", "error"]),
)
def test_arriving_events_are_all_counted_and_accepted_times_ascend(packets, when_full):
    clock = Ticking()
    source = UdpSource(SHAPE, clock=clock, capacity=3, when_full=when_full)
    for data, us in packets:
        clock.t_us += us
        source._receive(data)
    held = [source._queue.pop() for _ in range(len(source._queue))]
    t_us = [t for p in held for t in p.t_us.tolist()]
    assert t_us == sorted(t_us)
    assert all(p.index.max() < 32 for p in held)
    lost = source.counts.dropped + source.counts.refused
    assert len(held) + lost + source.counts.malformed + source.counts.outside >= len(packets)
    assert (source.counts.refused == 0) or when_full == "error"


class Ticking:
    """A clock that stands still until it is set."""

    t_us = 0

    def now_us(self):
        return self.t_us


async def test_two_tasks_cannot_read_one_source_at_the_same_time(no_leaks):
    async with UdpSource(SHAPE) as source, asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(all_of(source))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match=r"^another task is reading this source; "):
            await anext(source)
        await source.aclose()
    assert reader.result() == []
