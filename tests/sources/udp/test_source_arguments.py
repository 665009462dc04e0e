"""A source checks its arguments, and names the address that it cannot use."""

import pytest

import neuroasync as na
from neuroasync.sources import UdpSource, send_udp
from tests.helpers.event_streams import chunk
from tests.helpers.udp_packets import SHAPE


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
