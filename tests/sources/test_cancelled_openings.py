"""Sources and sinks that are cancelled or closed while they open or close release everything."""

import asyncio
import io
import json
import os
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from websockets.asyncio.server import serve

import neuroasync as na
from neuroasync.core.engine.decision import Decision
from neuroasync.sinks import JsonLines
from neuroasync.sources import Source, SpikeFileSource, UdpSource, WebsocketSource, send_udp
from tests.helpers.small_networks import chain, sample

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="uses /proc or /dev/full")


def open_files():
    return len(os.listdir("/proc/self/fd"))


async def cancelled_after(turns, work):
    """Cancel the coroutine ``work`` after some turns of the event loop."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def entered(source):
    """Open the source and wait in its block."""
    async with source:
        await asyncio.Event().wait()


async def settled():
    """Let closed transports release their sockets."""
    for _ in range(5):
        await asyncio.sleep(0)


@on_linux
async def test_cancelling_a_udp_source_or_sender_while_it_opens_leaves_no_socket(no_leaks):
    async with UdpSource((64,)) as warm:
        await send_udp([sample()], (64,), *warm.address)
        await settled()
        before = open_files()
        for turns in range(12):
            await cancelled_after(turns, entered(UdpSource((64,))))
            await cancelled_after(turns, send_udp([sample()], (64,), *warm.address))
        await settled()
        assert open_files() == before


class Slow(Source):
    """A source that is open after some turns of the event loop."""

    is_open = False

    async def _open(self):
        for _ in range(3):
            await asyncio.sleep(0)
        self.is_open = True

    async def _next(self):
        await asyncio.Event().wait()

    async def _close(self):
        self.is_open = False


async def test_a_source_that_is_closed_while_it_opens_ends(no_leaks):
    source = Slow()
    reading = asyncio.ensure_future(anext(source, None))
    await asyncio.sleep(0)
    await source.aclose()
    assert await reading is None
    assert not source.is_open
    source = Slow()
    entering = asyncio.ensure_future(source.__aenter__())
    await asyncio.sleep(0)
    await source.aclose()
    with pytest.raises(na.ClosedError, match=r"^the source was closed while it was being opened$"):
        await entering
    assert not source.is_open


async def a_decision() -> Decision:
    async with na.Network(chain()) as network:
        return await network.decide(sample())


async def no_free_thread(released):
    """Occupy the only thread of the loop's executor until ``released`` is set."""
    executor, started = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(executor)
    executor.submit(lambda: (started.set(), released.wait(10)))
    started.wait(10)
    return executor


async def test_a_sink_is_closed_and_has_its_lines_although_no_thread_was_free(tmp_path, no_leaks):
    decision, released = await a_decision(), threading.Event()
    sink = await JsonLines(tmp_path / "lines.jsonl").__aenter__()
    executor = await no_free_thread(released)
    await cancelled_after(1, sink(decision))
    await cancelled_after(1, sink.__aexit__())
    released.set()
    executor.shutdown()
    assert len((tmp_path / "lines.jsonl").read_text().splitlines()) == 1
    assert sink._file is None


async def test_lines_of_cancelled_calls_are_written_in_order_before_the_file_is_closed(no_leaks):
    decision, text, jobs = await a_decision(), io.StringIO(), []

    class Backwards(ThreadPoolExecutor):
        def submit(self, work):  # the jobs wait here
            jobs.append((work, Future()))
            return jobs[-1][1]

    sink = await JsonLines(text).__aenter__()
    asyncio.get_running_loop().set_default_executor(Backwards(1))
    for _ in range(3):
        await cancelled_after(1, sink(decision))
    closing = asyncio.ensure_future(sink.__aexit__())
    await asyncio.sleep(0)
    while jobs:
        work, future = jobs.pop()
        future.set_result(work())
    await closing
    assert [json.loads(line)["sample"] for line in text.getvalue().splitlines()] == [0, 1, 2]


@on_linux
async def test_a_sink_whose_last_line_cannot_be_written_is_closed(tmp_path, no_leaks):
    decision, released = await a_decision(), threading.Event()
    sink = await JsonLines("/dev/full").__aenter__()
    executor = await no_free_thread(released)
    closing = asyncio.ensure_future(sink.__aexit__())
    await asyncio.sleep(0)
    await cancelled_after(1, sink(decision))
    released.set()
    with pytest.raises(OSError, match="No space left"):
        await closing
    executor.shutdown()
    with pytest.raises(na.ClosedError):
        await sink(decision)


async def test_a_sink_whose_opening_was_cancelled_is_not_open(tmp_path, no_leaks):
    decision, released = await a_decision(), threading.Event()
    sink = JsonLines(tmp_path / "lines.jsonl")
    executor = await no_free_thread(released)
    entering = asyncio.ensure_future(sink.__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    await asyncio.sleep(0)
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await entering
    with pytest.raises(na.ClosedError, match=r"^the file is not open; "):
        await sink(decision)
    executor.shutdown()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    async with sink:  # it can be opened again
        await sink(decision)
    assert len((tmp_path / "lines.jsonl").read_text().splitlines()) == 1


async def test_a_file_source_is_closed_although_no_thread_was_free(tmp_path, no_leaks):
    na.write_spikes(na.SpikeTrains.from_trains([sample()], (12,)), tmp_path / "spikes.npz")
    source, released = SpikeFileSource(tmp_path / "spikes.npz"), threading.Event()
    await anext(source)
    executor = await no_free_thread(released)
    await cancelled_after(1, source._chunks.close())
    released.set()
    executor.shutdown()
    assert source._chunks._items.gi_frame is None


async def test_a_websocket_whose_closing_was_cancelled_is_aborted(no_leaks):
    async with serve(lambda connection: connection.wait_closed(), "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()[:2]
        source = await WebsocketSource(f"ws://{host}:{port}", 4).__aenter__()
        transport = source._connection.transport
        source._connection.close = asyncio.Event().wait  # as if the server did not respond
        await cancelled_after(1, source.aclose())
        assert transport.is_closing()
