"""Cases of sources: each is opened, read and closed; and of what sends and buffers their chunks."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from websockets.asyncio.server import serve

import neuroasync as na
from neuroasync.messages import EventMessage, format_events
from neuroasync.sources import (
    ArraySource,
    Buffered,
    CameraFileSource,
    Paced,
    Source,
    SpikeFileSource,
    UdpSource,
    WebsocketSource,
    buffered,
    send_udp,
)
from neuroasync.sources.udp.spif_packets import format_packets
from tests.cancellation.suspensions import Cut, case

INPUTS: Final = 8
CHUNKS: Final = [na.SpikeTrain([0, 10, 20], [1, 2, 3]), na.SpikeTrain([30, 40], [4, 5])]
EXPECTED: Final = [1, 2, 3, 4, 5]
"""The indices of all events, in order of time."""


class Stage(NamedTuple):
    """A source that can be opened, and a function that sends its events once it is open."""

    source: Source
    feed: Callable[[], None] = lambda: None


class Slow:
    """An async iterable that suspends before each item, and does not lose one."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items
        self.taken = 0

    def __aiter__(self) -> "Slow":
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        if self.taken == len(self._items):
            raise StopAsyncIteration
        self.taken += 1
        return self._items[self.taken - 1]


def arrays(polarity: str = "p") -> list[np.ndarray]:
    """Return the chunks as arrays of camera events, with this name for the polarity."""
    dtype = [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (polarity, "?")]
    found = []
    for chunk in CHUNKS:
        array = np.zeros(len(chunk), dtype)
        array["t"], array["x"], array[polarity] = chunk.t_us, chunk.index, True
        found.append(array)
    return found


class Recording:
    """A recording in the form of Faery."""

    def dimensions(self) -> tuple[int, int]:
        return INPUTS, 1

    def __iter__(self):
        yield from arrays("on")


@contextlib.asynccontextmanager
async def array() -> AsyncIterator[Stage]:
    yield Stage(ArraySource(arrays(), (INPUTS,)))


@contextlib.asynccontextmanager
async def async_arrays() -> AsyncIterator[Stage]:
    yield Stage(ArraySource(Slow(arrays()), (INPUTS,)))


@contextlib.asynccontextmanager
async def spike_file() -> AsyncIterator[Stage]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.npz"
        na.write_spikes(na.SpikeTrains.from_trains(CHUNKS, (INPUTS,)), path)
        yield Stage(SpikeFileSource(path, period_us=100))


@contextlib.asynccontextmanager
async def camera_file() -> AsyncIterator[Stage]:
    yield Stage(CameraFileSource(Recording(), (1, INPUTS)))


@contextlib.asynccontextmanager
async def paced() -> AsyncIterator[Stage]:
    yield Stage(Paced(Slow(CHUNKS), na.RealTimeClock(speed=0.01), every_us=20))


@contextlib.asynccontextmanager
async def udp() -> AsyncIterator[Stage]:
    source = UdpSource((INPUTS,))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def feed() -> None:
            for chunk in CHUNKS:
                for packet, _ in format_packets(chunk.index, None, source._grid):
                    sender.sendto(packet, source.address)

        yield Stage(source, feed)


@contextlib.asynccontextmanager
async def websocket() -> AsyncIterator[Stage]:
    messages = [format_events(EventMessage(chunk, chunk is CHUNKS[-1])) for chunk in CHUNKS]

    async def handler(connection) -> None:
        for message in messages:
            await asyncio.sleep(0.002)  # the reader has to wait for each message
            await connection.send(message)
        await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()[:2]
        yield Stage(WebsocketSource(f"ws://{host}:{port}", INPUTS))


async def rest(source: Source, received: list[int]) -> list[int]:
    """Return the indices of the events received so far and of those that are still to come."""
    async with asyncio.timeout(20):
        while len(received) < len(EXPECTED):
            if (chunk := await anext(source, None)) is None:
                break
            received = received + chunk.index.tolist()
    return received


def _add_cases(name: str, kind: str, stage: Callable[[], Any]) -> None:
    async def opening(cut: Cut) -> None:
        async with stage() as (source, feed):
            if await cut(source.__aenter__()):
                await source.__aenter__()  # it was not open
            feed()
            assert await rest(source, []) == EXPECTED
            await source.aclose()

    async def reading(cut: Cut) -> None:
        async with stage() as (source, feed), source:
            feed()
            received = [] if await cut(anext(source)) else cut.value.index.tolist()
            assert await rest(source, received) == EXPECTED
            assert source.counts.accepted == len(EXPECTED)

    async def closing(cut: Cut) -> None:
        async with stage() as (source, feed):
            await source.__aenter__()
            feed()
            await anext(source)
            await cut(source.aclose())
            assert await anext(source, None) is None

    for action, method, also in (
        (opening, "__aenter__", ()),
        (reading, "__anext__", ()),
        (closing, "aclose", ("__aexit__",)),
    ):
        action.__name__ = f"{action.__name__}_{name}"
        methods = (method, *also)
        case(*(f"{owner}.{m}" for owner in (kind, "Source") for m in methods))(action)


for stage, source_type in (
    (array, ArraySource), (async_arrays, ArraySource), (spike_file, SpikeFileSource),
    (camera_file, CameraFileSource), (paced, Paced), (udp, UdpSource), (websocket, WebsocketSource),
):  # fmt: skip
    _add_cases(stage.__name__, source_type.__name__, stage)


@case("buffered", "Buffered.__anext__")
async def read_ahead(cut: Cut) -> None:
    source = Slow(CHUNKS)

    async def read() -> list[int]:
        async with buffered(source, 1) as chunks:
            return [i async for chunk in chunks for i in chunk.index.tolist()]

    if not await cut(read()):
        assert cut.value == EXPECTED


@case("Buffered.__anext__")
async def read_from_a_buffer(cut: Cut) -> None:
    async with buffered(Slow(CHUNKS), 1) as chunks:
        first = [] if await cut(anext(chunks)) else [cut.value]
        found = first + [chunk async for chunk in chunks]
        assert [i for chunk in found for i in chunk.index.tolist()] == EXPECTED
        assert chunks.counts.accepted == len(EXPECTED)


@case("Buffered.read")
async def fill_a_buffer(cut: Cut) -> None:
    source, queue = Slow(CHUNKS), na.BoundedQueue[na.SpikeTrain](1)
    chunks = Buffered(queue, len)
    reading = asyncio.create_task(_first(chunks))
    await cut(chunks.read(source))
    received = await reading + [chunk async for chunk in chunks]
    taken = sum(len(chunk) for chunk in CHUNKS[: source.taken])
    assert sum(map(len, received)) + chunks.counts.dropped == taken


async def _first(chunks: Buffered[na.SpikeTrain]) -> list[na.SpikeTrain]:
    await asyncio.sleep(0.002)
    chunk = await anext(chunks, None)
    return [] if chunk is None else [chunk]


@case("send_udp")
async def send_packets(cut: Cut) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        host, port = receiver.getsockname()
        if not await cut(send_udp(Slow(CHUNKS), (INPUTS,), host, port)):
            assert cut.value == len(EXPECTED)
