"""A source on a real loopback socket."""

import asyncio
import socket
import struct

import numpy as np
import pytest
from streams import all_of, each, part

import neuroasync as na
from neuroasync.clock import ManualClock
from neuroasync.sources import SourceCounts, UdpSource, send_udp

SHAPE = (2, 4, 4)


def word(x, y, flag=1):
    return struct.pack("<I", flag << 31 | x << 16 | y)


@pytest.fixture
def sender():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        yield made


async def settled(source, packets):
    """Wait until the source has dealt with so many packets, by handing the loop on to others."""
    async with asyncio.timeout(10):
        while dealt_with(source) < packets:
            await asyncio.sleep(0)


def dealt_with(source):
    """Packets of one event each."""
    counts = source.counts
    lost = counts.dropped + counts.refused + counts.malformed
    return counts.accepted + lost + len(source._queue)


async def test_what_is_sent_arrives_with_its_times(no_leaks):
    async with UdpSource(SHAPE, clock=ManualClock()) as source:
        sent = await send_udp([part((0, 3), (5, 31)), part((9, 0))], SHAPE, *source.address)
        assert sent == 3
        assert await anext(source) == part((0, 3), (5, 31))
        assert await anext(source) == part((9, 0))
        assert source.counts == SourceCounts(accepted=3)


async def test_packets_without_timestamps_have_the_time_of_their_arrival():
    clock = ManualClock()
    async with UdpSource(SHAPE, clock=clock) as source:
        await clock.advance(700)
        await send_udp([part((5, 1), (6, 2))], SHAPE, *source.address, timestamps=False)
        assert await anext(source) == part((700, 1), (700, 2))
        await clock.advance(50)
        await send_udp([part((0, 3))], SHAPE, *source.address, timestamps=False)
        assert await anext(source) == part((750, 3))


async def test_timestamps_count_from_the_arrival_of_the_first():
    clock = ManualClock()
    async with UdpSource(SHAPE, clock=clock) as source:
        await clock.advance(10_000)
        await send_udp(each(part((2**32 - 1, 1)), part((2**32 + 8, 2))), SHAPE, *source.address)
        assert await anext(source) == part((10_000, 1))
        assert await anext(source) == part((10_009, 2))


async def test_packets_with_and_without_timestamps_may_take_turns(sender):
    clock = ManualClock()
    async with UdpSource(SHAPE, clock=clock) as source:
        sender.sendto(word(1, 0, flag=0) + struct.pack("<I", 50), source.address)
        sender.sendto(word(1, 0, flag=0) + struct.pack("<I", 900), source.address)
        assert [(await anext(source)).t_us.tolist() for _ in range(2)] == [[0], [850]]
        await clock.advance(100)
        sender.sendto(word(2, 0), source.address)
        assert await anext(source) == part((850, 2))
        assert source.counts == SourceCounts(accepted=3, late=1)


async def test_malformed_packets_are_counted_and_skipped(sender, no_leaks):
    async with UdpSource(SHAPE, clock=ManualClock(), tolerance_us=10) as source:
        stamped = word(1, 0, flag=0)
        for data in (
            b"",
            b"abc",
            word(4, 0),
            word(0, 0) + stamped,
            stamped,
            stamped + struct.pack("<I", 1000),
            stamped + struct.pack("<I", 989),
            b"\xff" * 1400,
            word(3, 3),
        ):
            sender.sendto(data, source.address)
        assert await anext(source) == part((0, 1))
        assert await anext(source) == part((0, 15))
        assert source.counts == SourceCounts(accepted=2, malformed=7)


@pytest.mark.parametrize(
    ("when_full", "kept"), [("drop-oldest", [7, 8, 9]), ("drop-newest", [0, 1, 2])]
)
async def test_a_slow_reader_loses_what_was_chosen_and_it_is_counted(when_full, kept, sender):
    async with UdpSource((10,), clock=ManualClock(), capacity=3, when_full=when_full) as source:
        for k in range(10):
            sender.sendto(word(k, 0), source.address)
        await settled(source, 10)
        assert [int((await anext(source)).index[0]) for _ in range(3)] == kept
        assert source.counts == SourceCounts(accepted=3, dropped=7)


async def test_a_slow_reader_that_is_to_get_an_error_gets_it_after_what_was_accepted(sender):
    async with UdpSource((10,), clock=ManualClock(), capacity=3, when_full="error") as source:
        for k in range(10):
            sender.sendto(word(k, 0), source.address)
        await settled(source, 10)
        assert [int((await anext(source)).index[0]) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(na.QueueFullError):
            await anext(source)
        assert source.counts == SourceCounts(accepted=3, refused=7)


async def test_what_waits_when_a_source_is_closed_is_dropped(sender):
    async with UdpSource(SHAPE, clock=ManualClock()) as source:
        for k in range(3):
            sender.sendto(word(k, 0), source.address)
        await settled(source, 3)
    assert source.counts == SourceCounts(dropped=3)
    assert await all_of(source) == []


async def test_closing_ends_a_reader_that_waits(no_leaks):
    source = UdpSource(SHAPE)
    async with source, asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(all_of(source))
        await asyncio.sleep(0)
        await source.aclose()
    assert reader.result() == []


@pytest.mark.parametrize("ticks", range(4))
async def test_a_cancelled_reader_loses_nothing(ticks, sender, no_leaks):
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
        assert found == part((0, 1))


async def test_what_piled_up_behind_a_busy_loop_is_taken_at_once_and_counted(sender):
    async with UdpSource((10,), clock=ManualClock(), capacity=3) as source:
        for k in range(200):
            sender.sendto(word(k % 10, 0), source.address)
        for _ in range(20):
            await asyncio.sleep(0)
        assert [int((await anext(source)).index[0]) for _ in range(3)] == [7, 8, 9]
        assert source.counts == SourceCounts(accepted=3, dropped=197)


async def test_a_port_that_is_taken_is_named():
    async with UdpSource(SHAPE) as first:
        host, port = first.address
        with pytest.raises(na.SourceError, match=rf"^udp {host}:{port}: .*; cannot listen there$"):
            await anext(UdpSource(SHAPE, host, port))


async def test_a_source_that_was_closed_is_not_opened_again():
    async with UdpSource(SHAPE) as source:
        pass
    with pytest.raises(na.ClosedError, match=r"^the source is closed; make another$"):
        await source.__aenter__()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (3, 4, 4)}, r"^shape: \(3, 4, 4\), expected that of the network's input"),
        ({"shape": (40_000,)}, r"^shape: \(40000,\), expected at most 32768 rows and columns$"),
        (
            {"when_full": "block"},
            r"^when_full: 'block', expected one of drop-oldest, drop-newest, er",
        ),
        ({"tolerance_us": -1}, r"^tolerance_us: -1, expected 0 to 2\*\*31 - 1$"),
        ({"capacity": 0}, r"^capacity: 0, expected an integer from 1$"),
    ],
)
def test_a_source_says_what_it_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        UdpSource(**({"shape": SHAPE} | change))


async def test_what_cannot_be_sent_is_refused():
    with pytest.raises(na.SpikeFileError, match=r"^index\[0\]: 32, expected 0 to 31"):
        await send_udp([part((0, 32))], SHAPE, "127.0.0.1", 9)
    with pytest.raises(na.SourceError, match=r"^udp 256\.1\.1\.1:9: .*; cannot send there$"):
        await send_udp([part((0, 3))], SHAPE, "256.1.1.1", 9)


async def test_a_thousand_packets_all_arrive_and_in_order():
    times = np.arange(0, 64_000, 1)
    events = na.SpikeTrain(times, times % 32)
    async with UdpSource(SHAPE, clock=ManualClock(), capacity=2000) as source:
        assert await send_udp([events], SHAPE, *source.address) == 64_000
        found = [await anext(source) for _ in range(1000)]
    assert np.array_equal(np.concatenate([p.t_us for p in found]), times)
    assert source.counts == SourceCounts(accepted=64_000)
