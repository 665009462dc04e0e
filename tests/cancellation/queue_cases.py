"""Cases of queues and sinks."""

import asyncio
import io
import json
import tempfile
from pathlib import Path

import neuroasync as na
from neuroasync.sinks import JsonLines, WebsocketSink, pump
from tests.cancellation.suspensions import Cut, case
from tests.cancellation.undisturbed import BUNDLE, SAMPLE


async def soon(call, *args: object) -> None:
    """Call a function in a later turn of the event loop."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call(*args)


@case("BoundedQueue.get", "BoundedQueue.readable", "BoundedQueue.__anext__")
async def get(cut: Cut) -> None:
    queue: na.BoundedQueue[int] = na.BoundedQueue(2)
    pushing = asyncio.create_task(soon(queue.push, 7))
    if not await cut(queue.get()):
        queue.push(cut.value)
    await pushing
    assert not queue.is_awaited
    assert await queue.get() == 7


@case("BoundedQueue.readable")
async def readable(cut: Cut) -> None:
    queue: na.BoundedQueue[int] = na.BoundedQueue(2)
    pushing = asyncio.create_task(soon(queue.push, 7))
    await cut(queue.readable())
    await pushing
    assert await queue.get() == 7


@case("BoundedQueue.__anext__")
async def next_item(cut: Cut) -> None:
    queue: na.BoundedQueue[int] = na.BoundedQueue(2)
    pushing = asyncio.create_task(soon(queue.push, 7))
    taken = [] if await cut(anext(queue)) else [cut.value]
    await pushing
    queue.close()
    assert taken + [item async for item in queue] == [7]


@case("BoundedQueue.put")
async def put(cut: Cut) -> None:
    queue: na.BoundedQueue[int] = na.BoundedQueue(1)
    queue.push(1)
    taking = asyncio.create_task(soon(queue.pop))
    is_cancelled = await cut(queue.put(2))
    await taking
    assert len(queue) == (0 if is_cancelled else 1)
    assert queue.accepted == 1 + (not is_cancelled)
    assert not queue.is_awaited


@case("BoundedQueue.writable")
async def writable(cut: Cut) -> None:
    queue: na.BoundedQueue[int] = na.BoundedQueue(1)
    queue.push(1)
    taking = asyncio.create_task(soon(queue.pop))
    await cut(queue.writable())
    await taking
    queue.push(2)


@case("pump")
async def pump_into_a_slow_sink(cut: Cut) -> None:
    received: list[na.Decision] = []

    async def sink(decision: na.Decision) -> None:
        await asyncio.sleep(0)
        received.append(decision)

    async with na.Network(BUNDLE) as network, network.session() as session:
        stream = session.stream([SAMPLE, SAMPLE, SAMPLE])
        if not await cut(pump(stream, sink, capacity=1)):
            assert cut.value.accepted == len(received) == 3
        assert await anext(stream, None) is None, "the stream is closed"
        await session.decide(SAMPLE)


class Peer:
    """A websocket that takes a message after a while."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, message: str) -> None:
        await asyncio.sleep(0)
        self.sent.append(message)


async def decided() -> na.Decision:
    async with na.Network(BUNDLE) as network:
        return await network.decide(SAMPLE)


@case("WebsocketSink.__call__")
async def send_a_decision(cut: Cut) -> None:
    decision, peer = await decided(), Peer()
    sink = WebsocketSink(peer)
    is_cancelled = await cut(sink(decision))
    await sink(decision)
    samples = [json.loads(message)["sample"] for message in peer.sent]
    assert samples == ([1] if is_cancelled else [0, 1])


@case("JsonLines.__call__")
async def write_a_line(cut: Cut) -> None:
    decision, text = await decided(), io.StringIO()
    async with JsonLines(text) as sink:
        await cut(sink(decision))
        await sink(decision)
    samples = [json.loads(line)["sample"] for line in text.getvalue().splitlines()]
    assert samples in ([0, 1], [1]), "a line is written completely, or its job never began"


@case("JsonLines.__aenter__", "JsonLines.__aexit__")
async def open_a_file(cut: Cut) -> None:
    decision = await decided()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decisions.jsonl"

        async def write() -> None:
            async with JsonLines(path) as sink:
                await sink(decision)

        await cut(write())
        async with JsonLines(path) as sink:
            await sink(decision)
        assert len(path.read_text().splitlines()) == 1
