"""A source reads the packets of a loopback socket: times, formats, pixels and errors."""

import struct

import faery
import numpy as np
import pytest

import neuroasync as na
from neuroasync.runtime.clock import ManualClock
from neuroasync.sources import SourceCounts, UdpSource, View, send_udp
from tests.helpers.event_streams import chunk, each
from tests.helpers.udp_packets import SHAPE, settled, take, word


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


async def test_a_thousand_packets_arrive_in_order():
    times = np.arange(0, 64_000, 1)
    events = na.SpikeTrain(times, times % 32)
    async with UdpSource(SHAPE, clock=ManualClock(), capacity=2000) as source:
        assert await send_udp([events], SHAPE, *source.address) == 64_000
        found = await take(source, 64_000)
    assert [t_us for t_us, _ in found] == times.tolist()
    assert source.counts == SourceCounts(accepted=64_000)
