"""A source on a real loopback socket."""

import asyncio
import socket
import struct

import faery
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync import limits
from neuroasync.runtime.clock import ManualClock
from neuroasync.sources import SourceCounts, UdpSource, View, send_udp
from tests.helpers.event_streams import all_of, chunk, each

SHAPE = (2, 4, 4)


def word(x, y, flag=1):
    """Return a SPIF event word as bytes."""
    return struct.pack("<I", flag << 31 | x << 16 | y)


@pytest.fixture
def sender():
    """A UDP socket to send packets from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        yield made


async def take(source, count):
    """Return the next ``count`` events as (t in µs, index), across chunks."""
    found = []
    async with asyncio.timeout(10):
        while len(found) < count:
            received = await anext(source)
            found += zip(received.t_us.tolist(), received.index.tolist(), strict=True)
    return found


async def settled(source, count):
    """Yield to the event loop until the source has handled ``count`` packets."""
    async with asyncio.timeout(10):
        while handled(source) < count:
            await asyncio.sleep(0)


def handled(source):
    """Return the number of handled packets, which have one event each."""
    counts = source.counts
    lost = counts.dropped + counts.refused + counts.malformed
    return counts.accepted + lost + len(source._queue)


async def test_sent_events_arrive_with_their_times(no_leaks):
    async with UdpSource(SHAPE, clock=ManualClock()) as source:
        sent = await send_udp([chunk((0, 3), (5, 31)), chunk((9, 0))], SHAPE, *source.address)
        assert sent == 3
        assert await take(source, 3) == [(0, 3), (5, 31), (9, 0)]
        assert source.counts == SourceCounts(accepted=3)


async def test_packets_without_timestamps_get_their_arrival_time():
    clock = ManualClock()
    async with UdpSource(SHAPE, clock=clock) as source:
        await clock.advance(700)
        await send_udp([chunk((5, 1), (6, 2))], SHAPE, *source.address, timestamps=False)
        assert await take(source, 2) == [(700, 1), (700, 2)]
        await clock.advance(50)
        await send_udp([chunk((0, 3))], SHAPE, *source.address, timestamps=False)
        assert await anext(source) == chunk((750, 3))


async def test_timestamps_count_from_the_arrival_of_the_first():
    clock = ManualClock()
    async with UdpSource(SHAPE, clock=clock) as source:
        await clock.advance(10_000)
        await send_udp(each(chunk((2**32 - 1, 1)), chunk((2**32 + 8, 2))), SHAPE, *source.address)
        assert await take(source, 2) == [(10_000, 1), (10_009, 2)]


async def test_packets_with_and_without_timestamps_may_alternate(sender):
    clock = ManualClock()
    async with UdpSource(SHAPE, clock=clock) as source:
        sender.sendto(word(1, 0, flag=0) + struct.pack("<I", 50), source.address)
        sender.sendto(word(1, 0, flag=0) + struct.pack("<I", 900), source.address)
        assert await take(source, 2) == [(0, 1), (850, 1)]
        await clock.advance(100)
        sender.sendto(word(2, 0), source.address)
        assert await anext(source) == chunk((850, 2))
        assert source.counts == SourceCounts(accepted=3, late=1)


async def test_malformed_packets_are_counted_and_skipped(sender, no_leaks):
    async with UdpSource(SHAPE, clock=ManualClock(), tolerance_us=10) as source:
        stamped = word(1, 0, flag=0)
        for data in (
            b"",
            b"abc",
            word(0, 0) + stamped,
            stamped,
            stamped + struct.pack("<I", 1000),
            stamped + struct.pack("<I", 989),
            b"\xff" * 1400,
            word(3, 3),
        ):
            sender.sendto(data, source.address)
        assert await take(source, 2) == [(0, 1), (0, 15)]
        assert source.counts == SourceCounts(accepted=2, outside=350, malformed=5)


async def test_an_event_outside_costs_only_itself(sender):
    pixels = [(1, 1), (2, 1), (300, 200), (3, 1), (1, 4)]
    async with UdpSource(SHAPE, clock=ManualClock()) as source:
        stamped = (word(x, y, flag=0) + struct.pack("<I", k) for k, (x, y) in enumerate(pixels))
        sender.sendto(b"".join(stamped), source.address)
        sender.sendto(word(9, 9), source.address)
        sender.sendto(word(0, 0), source.address)
        assert await take(source, 4) == [(0, 5), (1, 6), (3, 7), (4, 0)]
        assert source.counts == SourceCounts(accepted=4, late=2, outside=3)


async def test_a_view_selects_the_pixels_that_the_network_sees(sender):
    view = View(x=100, y=50, binning=10)
    async with UdpSource(SHAPE, clock=ManualClock(), view=view) as source:
        pixels = [(99, 50), (100, 50), (109, 59), (110, 60), (139, 89), (140, 89)]
        sender.sendto(b"".join(word(x, y) for x, y in pixels), source.address)
        assert [index for _, index in await take(source, 4)] == [0, 0, 5, 15]
        assert source.counts == SourceCounts(accepted=4, outside=2)


async def test_a_stale_first_packet_does_not_let_the_stream_jump(sender):
    clock = ManualClock()
    async with UdpSource(SHAPE, clock=clock) as source:
        for count, stamp in enumerate((3_000_000_000, 20, 10_020, 20_020, 30_020), 1):
            sender.sendto(word(1, 1, flag=0) + struct.pack("<I", stamp), source.address)
            await settled(source, count)
            await clock.advance(10_000)
        times = [t_us for t_us, _ in await take(source, 4)]
        assert times == [0, 20_000, 30_000, 40_000]
        assert source.counts == SourceCounts(accepted=4, malformed=1, clock_jumps=1)


async def test_timestamps_wrap_around(sender):
    async with UdpSource(SHAPE, clock=ManualClock()) as source:
        for stamps in ((2**32 - 5, 5), (10, 20)):
            data = b"".join(word(1, 1, flag=0) + struct.pack("<I", stamp) for stamp in stamps)
            sender.sendto(data, source.address)
        assert [t_us for t_us, _ in await take(source, 4)] == [0, 10, 15, 25]


# Faery does not close the socket that it sends from.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("packet_format", ["t64_x16_y16_on8", "t32_x16_y15_on1"])
async def test_packets_of_faery_are_read(packet_format):
    events = np.zeros(300, faery.EVENTS_DTYPE)
    times = 2**33 - 150 + np.arange(300)
    events["t"], events["x"], events["y"], events["on"] = times, times % 5, times % 3, times % 2
    async with UdpSource((2, 3, 5), clock=ManualClock(), packet_format=packet_format) as source:
        stream = faery.events_stream_from_array(events, (5, 3))
        stream.to_udp(source.address, format=packet_format)
        found = await take(source, 300)
    index = (times % 2 * 3 + times % 3) * 5 + times % 5
    assert found == list(enumerate(index.tolist()))
    assert source.counts == SourceCounts(accepted=300)


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


async def test_a_port_in_use_is_named_in_the_error():
    async with UdpSource(SHAPE) as first:
        host, port = first.address
        with pytest.raises(na.SourceError, match=rf"^udp {host}:{port}: .*; cannot listen there$"):
            await anext(UdpSource(SHAPE, host, port))


async def test_a_closed_source_cannot_be_reopened():
    async with UdpSource(SHAPE) as source:
        pass
    with pytest.raises(na.ClosedError, match=r"^the source is closed and cannot be reopened; "):
        await source.__aenter__()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (3, 4, 4)}, r"^`shape` must be an input shape .*, got \(3, 4, 4\)$"),
        (
            {"shape": (40_000,)},
            r"^`shape` must have at most 32768 rows and columns, got \(40000,\)$",
        ),
        (
            {"when_full": "block"},
            r"^`when_full` must be one of drop-oldest, drop-newest, error, got 'block'$",
        ),
        (
            {"tolerance_us": -1},
            r"^`tolerance_us` must be an integer of at least 0, got -1$",
        ),
        (
            {"packet_format": "faery"},
            r"^`packet_format` must be one of spif, t64_x16_y16_on8, t32_x16_y15_on1, got 'faery'$",
        ),
        ({"packet_format": []}, r"^`packet_format` must be one of .*, got \[\]$"),
        ({"host": "a\0b"}, r"^`host` must be the name or the address of a host, got 'a"),
        ({"host": 7}, r"^`host` must be the name or the address of a host, got 7$"),
        ({"port": 65_536}, r"^`port` must be an integer from 0 to 65535, got 65536$"),
        ({"capacity": 0}, r"^`capacity` must be .*, got 0$"),
    ],
)
def test_a_source_rejects_invalid_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        UdpSource(**({"shape": SHAPE} | change))


@pytest.mark.parametrize("host", ["256.1.1.1", "no such host", "x" * 64 + ".org", "a..b"])
async def test_an_invalid_host_is_named_in_the_error(host, no_leaks):
    with pytest.raises(na.SourceError, match=rf"^udp {host}:0: .*; cannot listen there$"):
        await anext(UdpSource(SHAPE, host))


async def test_events_that_cannot_be_sent_are_rejected():
    with pytest.raises(na.EventsError, match=r"^`index\[0\]` must be at most 31"):
        await send_udp([chunk((0, 32))], SHAPE, "127.0.0.1", 9)
    with pytest.raises(na.SourceError, match=r"^udp 256\.1\.1\.1:9: .*; cannot send there$"):
        await send_udp([chunk((0, 3))], SHAPE, "256.1.1.1", 9)


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


async def test_a_thousand_packets_arrive_in_order():
    times = np.arange(0, 64_000, 1)
    events = na.SpikeTrain(times, times % 32)
    async with UdpSource(SHAPE, clock=ManualClock(), capacity=2000) as source:
        assert await send_udp([events], SHAPE, *source.address) == 64_000
        found = await take(source, 64_000)
    assert [t_us for t_us, _ in found] == times.tolist()
    assert source.counts == SourceCounts(accepted=64_000)
