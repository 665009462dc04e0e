"""Sinks of decisions and the pump that feeds them."""

import asyncio
import io
import json
import threading
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

import neuroasync as na
from neuroasync.shipped import shipped_bundle, shipped_spikes
from neuroasync.sinks import JsonLines, WebsocketSink, pump
from neuroasync.sources import SourceCounts
from tests.helpers.event_streams import each

BASE = na.Decision(
    label=0,
    class_name=None,
    votes=np.array([1, 0]),
    stopped=False,
    t_us=0,
    passes=1,
    steps=1,
    rounds=1,
    spikes={"output": 1},
    input_events=1,
    synops=1,
    first_spike=None,
    first_led={},
    undelivered=0,
    wall_s=0.5,
)


def decision(label, **changes):
    """Return a decision with the label, with some fields replaced."""
    return replace(BASE, label=label, **changes)


FIVE = [decision(k) for k in range(5)]


async def test_a_function_receives_each_decision_in_order(no_leaks):
    received = []
    assert await pump(each(*FIVE), received.append) == SourceCounts(accepted=5)
    assert received == FIVE


async def test_an_async_function_is_awaited(no_leaks):
    received = []

    async def sink(decision):
        await asyncio.sleep(0)
        received.append(decision)

    assert await pump(each(*FIVE), sink) == SourceCounts(accepted=5)
    assert received == FIVE


async def test_a_queue_accepts_items_up_to_its_capacity(no_leaks):
    queue = na.BoundedQueue(2, "drop-oldest")
    await pump(each(*FIVE), queue.put)
    queue.close()
    assert [d async for d in queue] == FIVE[3:]
    assert queue.dropped == 3


class Slow:
    """A sink that waits until the test releases it."""

    def __init__(self):
        self.received = []
        self.released = asyncio.Event()

    async def __call__(self, decision):
        await self.released.wait()
        self.received.append(decision.label)


async def then_release(decisions, sink):
    """Yield all decisions, then release the sink."""
    for item in decisions:
        yield item
        await asyncio.sleep(0)
    sink.released.set()


@pytest.mark.parametrize(
    ("when_full", "received"), [("drop-oldest", [0, 3, 4]), ("drop-newest", [0, 1, 2])]
)
async def test_a_slow_sink_loses_the_chosen_decisions_and_they_are_counted(
    when_full, received, no_leaks
):
    sink = Slow()
    counts = await pump(then_release(FIVE, sink), sink, capacity=2, when_full=when_full)
    assert sink.received == received
    assert counts == SourceCounts(accepted=3, dropped=2)


async def test_decisions_wait_for_a_slow_sink_by_default(no_leaks):
    sink, made = Slow(), []

    async def source():
        for one in FIVE:
            made.append(one)
            yield one

    async with asyncio.TaskGroup() as tasks:
        pumping = tasks.create_task(pump(source(), sink, capacity=1))
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(made) == 3  # One is in the sink, one waits, and one is being queued.
        sink.released.set()
    assert pumping.result() == SourceCounts(accepted=5)
    assert sink.received == [0, 1, 2, 3, 4]


async def test_a_slow_sink_can_end_the_pump_with_an_error(no_leaks):
    sink = Slow()

    async def source():
        for one in FIVE:
            if one.label == 2:  # One is in the sink, and one waits.
                sink.released.set()
            yield one
            await asyncio.sleep(0)

    with pytest.raises(na.QueueFullError):
        await pump(source(), sink, capacity=1, when_full="error")
    assert sink.received == [0, 1]


async def test_an_error_of_the_sink_ends_the_pump(no_leaks):
    def sink(decision):
        if decision.label == 2:
            raise OSError("disk full")

    with pytest.raises(OSError, match=r"^disk full$"):
        await pump(each(*FIVE), sink)


async def test_an_error_of_the_stream_follows_its_last_decision(no_leaks):
    received = []
    with pytest.raises(na.ClosedError):
        await pump(each(*FIVE[:2], na.ClosedError("closed")), received.append)
    assert received == FIVE[:2]


async def test_the_stream_of_decisions_is_closed_at_the_end(no_leaks):
    def sink(decision):
        raise OSError

    decisions = each(*FIVE)
    with pytest.raises(OSError, match=r"^$"):
        await pump(decisions, sink)
    assert [d async for d in decisions] == []


@pytest.mark.parametrize("ticks", range(6))
async def test_a_cancelled_pump_leaves_no_task_behind(ticks, no_leaks):
    pumping = asyncio.create_task(pump(each(*FIVE), Slow()))
    for _ in range(ticks):
        await asyncio.sleep(0)
    pumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pumping


async def test_a_file_receives_one_line_per_decision(tmp_path, no_leaks):
    decisions = [decision(1), decision(1, is_final=False), decision(None)]
    async with JsonLines(tmp_path / "out.jsonl") as sink:
        await pump(each(*decisions), sink)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(d["sample"], d["label"], d["final"]) for d in lines] == [
        (0, 1, True),
        (1, 1, False),
        (1, None, True),
    ]
    assert lines[0]["latency_ms"] == 500.0


async def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path):
    async with JsonLines(tmp_path / "out.jsonl") as sink:
        await sink(decision(3))
        assert json.loads((tmp_path / "out.jsonl").read_text())["label"] == 3


async def test_a_text_stream_receives_lines_and_stays_open(no_leaks):
    stream = io.StringIO()
    async with JsonLines(stream) as sink:
        await pump(each(*FIVE), sink)
    assert stream.getvalue().count("\n") == 5


async def test_a_blocking_text_stream_does_not_block_the_event_loop(no_leaks):
    released = threading.Event()

    class Blocking(io.StringIO):
        def write(self, text):
            released.wait(10)
            return super().write(text)

    async with JsonLines(Blocking()) as sink, asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(sink(decision(0)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not writing.done()
        released.set()


async def test_a_file_that_cannot_be_written_raises_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        async with JsonLines(tmp_path / "missing" / "out.jsonl"):
            pass
    for path in ("a\0b", "\ud800"):
        with pytest.raises(OSError, match=r"\[Errno 22\]"):
            await JsonLines(path).__aenter__()
    with pytest.raises(TypeError, match=r"^`to` must be the path of a file, or a text stream, got"):
        JsonLines(5)
    with pytest.raises(na.ClosedError, match=r"^the file is not open; use the sink in an 'async w"):
        await JsonLines(tmp_path / "out.jsonl")(decision(0))


async def test_each_block_overwrites_the_file_and_numbers_samples_from_0(tmp_path, no_leaks):
    sink = JsonLines(tmp_path / "out.jsonl")
    for decisions in (FIVE, FIVE[:2]):
        async with sink:
            await pump(each(*decisions), sink)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["sample"] for line in lines] == [0, 1]


async def test_an_open_file_is_not_opened_again(tmp_path, no_leaks):
    sink = JsonLines(tmp_path / "out.jsonl")
    async with sink:
        await sink(decision(0))
        with pytest.raises(RuntimeError, match=r"^the sink is open already"):
            await sink.__aenter__()
        await sink(decision(1))
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


async def test_a_sink_can_be_opened_after_a_failure(tmp_path, no_leaks):
    sink = JsonLines(tmp_path / "late" / "out.jsonl")
    with pytest.raises(FileNotFoundError):
        await sink.__aenter__()
    (tmp_path / "late").mkdir()
    async with sink:
        await sink(decision(0))
    assert (tmp_path / "late" / "out.jsonl").read_text().count("\n") == 1


async def test_a_connection_must_have_an_async_send():
    class Blocking:
        def send(self, message):
            pass

    with pytest.raises(TypeError, match=r"^`connection` must be a websocket with an async method"):
        WebsocketSink(None)
    with pytest.raises(TypeError, match=r"^`connection` must be a websocket whose `send` is async"):
        await WebsocketSink(Blocking())(decision(0))


@pytest.mark.parametrize("binary", [False, True])
async def test_a_websocket_receives_one_message_per_decision(binary, no_leaks):
    async def handler(connection):
        await pump(each(*FIVE), WebsocketSink(connection, binary=binary))

    async with serve(handler, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as client:
            got = [data async for data in client]
    received = [msgpack.unpackb(d) if binary else json.loads(d) for d in got]
    assert [(d["sample"], d["label"]) for d in received] == [(k, k) for k in range(5)]


async def test_written_decisions_equal_those_of_the_network(tmp_path, no_leaks):
    samples = shipped_spikes()[:6]
    async with na.Network(shipped_bundle("unlayered")) as network:
        expected = [
            await network.decide(train, seed=na.sample_seed(0, k))
            for k, train in enumerate(samples)
        ]
        async with network.session() as session, JsonLines(tmp_path / "out.jsonl") as sink:
            await pump(session.stream(samples), sink)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["votes"] for line in lines] == [d.votes.tolist() for d in expected]
    assert [line["class_name"] for line in lines] == [d.class_name for d in expected]
