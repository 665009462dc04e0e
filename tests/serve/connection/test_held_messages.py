"""A small sample that cannot be decided when it arrives is held until its turn."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from neuroasync.messages import EventMessage, format_events
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.runtime.session import Session
from neuroasync.serve.connection import arrival
from neuroasync.serve.connection.websocket import Socket
from tests.helpers.asgi_client import assert_matches, connect, settle, wait_until


@pytest.fixture(autouse=True)
def _all_must_wait(monkeypatch):
    """Let every session wait for its turn, which is long enough on a slow machine."""
    monkeypatch.setattr(
        TimeSlice,
        "must_wait",
        lambda self: self is TimeSlice.of_running_loop() and not self._is_in_call,
    )
    monkeypatch.setattr(TimeSlice.__init__, "__defaults__", (1e9, 0.0))  # slices of a long time


@pytest.mark.parametrize("binary", [False, True])
async def test_held_sample_is_decided_in_its_turn(
    make_app, trains, expected, binary, nowait_decisions, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        for n, train in enumerate(trains):
            await settle()
            socket.send_sample(train, binary=binary)
            assert len(nowait_decisions) == n
            response = await socket.receive()
            assert len(nowait_decisions) == n + 1
            assert response["sample"] == n
            assert_matches(response, expected[n])
    assert app.state.counts.of("samples_accepted") == {"answered": len(trains)}
    app.state.counts.check_at_rest()


async def test_message_behind_a_held_one_does_not_overtake_it(
    make_app, trains, expected, nowait_decisions, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        await settle()
        for train in trains[:3]:
            socket.send_sample(train)
        for n in range(3):
            response = await socket.receive()
            assert response["sample"] == n
            assert_matches(response, expected[n])
        assert nowait_decisions == []
        await settle()
        socket.send_sample(trains[3])  # the next one is held again
        assert_matches(await socket.receive(), expected[3])
        assert len(nowait_decisions) == 1
    app.state.counts.check_at_rest()


async def test_held_sample_is_answered_before_a_draining_server_closes(
    make_app, trains, expected, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket, connect(app) as idle:
        await settle()
        socket.send_sample(trains[0])
        draining = asyncio.create_task(app.state.server_state.drain())
        assert_matches(await socket.receive(), expected[0])
        assert (await socket.receive())["close"] == 1001
        assert (await idle.receive())["close"] == 1001
        await draining
    assert app.state.counts.of("samples_accepted") == {"answered": 1}
    app.state.counts.check_at_rest()


async def test_client_that_leaves_while_its_sample_is_held_has_sent_it(make_app, trains, no_leaks):
    app = make_app()
    async with connect(app) as socket:
        await settle()
        socket.send_sample(trains[0])
        socket.disconnect()
    assert app.state.counts.of("samples_accepted") == {"client-gone": 1}
    assert app.state.counts.sum("events") == len(trains[0])
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("in_fragments", [False, True])
async def test_message_that_is_not_offered_does_not_overtake_a_held_one(
    make_app, trains, expected, in_fragments, nowait_decisions, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        await settle()
        socket.send_sample(trains[0])
        if in_fragments:  # the library puts them together
            text = format_events(EventMessage(trains[1], end=True))
            socket.put({"type": "websocket.receive", "text": text})
        else:
            socket.stop_reading()
            socket.send_sample(trains[1])
            socket.resume_reading()
        for n in range(2):
            response = await socket.receive()
            assert response["sample"] == n
            assert_matches(response, expected[n])
    assert nowait_decisions == []
    app.state.counts.check_at_rest()


async def test_held_sample_is_answered_although_the_server_drains_twice(
    make_app, trains, expected, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        await settle()
        socket.send_sample(trains[0])
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(app.state.server_state.drain())
            assert_matches(await socket.receive(), expected[0])
            assert (await socket.receive())["close"] == 1001
    app.state.counts.check_at_rest()


async def test_latency_includes_the_time_for_which_a_message_was_held(
    make_app, trains, monkeypatch, no_leaks
):
    monkeypatch.setattr(Session, "decide_nowait", lambda *_: None)  # the worker decides
    now_s = 100.0
    monkeypatch.setattr(arrival, "time", SimpleNamespace(perf_counter=lambda: now_s - 50.0))
    app = make_app()
    async with connect(app) as socket:
        await settle()
        real = time.perf_counter()
        now_s = real  # the message arrived 50 s ago
        socket.send_sample(trains[0])
        now_s = real + 50.0
        assert 50_000 <= (await socket.receive())["latency_ms"] < 80_000


async def test_held_message_without_a_decision_goes_to_the_reader(
    make_app, trains, expected, nowait_decisions, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        await settle()
        socket.send("{")
        assert "error" in await socket.receive()
        await settle()
        socket.send_sample(trains[1])
        response = await socket.receive()
        assert response["sample"] == 1
        assert_matches(response, expected[1])
    assert app.state.counts.of("samples_refused") == {"malformed": 1}
    app.state.counts.check_at_rest()


async def test_held_sample_waits_until_the_client_reads(
    make_app, trains, expected, nowait_decisions, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        await settle()
        socket.send_sample(trains[0])
        socket.stop_reading()
        await wait_until(lambda: app.state.counts.sum("decisions") == 1)
        assert nowait_decisions == []  # it was decided by the worker
        socket.resume_reading()
        assert_matches(await socket.receive(), expected[0])
    app.state.counts.check_at_rest()


async def test_each_of_many_connections_has_its_turn(make_app, network, trains, no_leaks):
    app = make_app()
    seeds = range(40)
    expected = [await network.decide_all(trains[:3], seed=seed) for seed in seeds]
    assert len({tuple(first.votes) for first, *_ in expected}) > 1  # a mix-up would be seen
    sockets = [connect(app, f"seed={seed}") for seed in seeds]
    async with asyncio.timeout(20):
        opened = [await socket.__aenter__() for socket in sockets]
        await settle()
        for n, train in enumerate(trains[:3]):
            for socket in opened:
                socket.send_sample(train)
            for socket, decisions in zip(opened, expected, strict=True):
                assert_matches(await socket.receive(), decisions[n])
            await settle()
        for socket in sockets:
            await socket.__aexit__(None, None, None)
    assert app.state.counts.of("samples_accepted") == {"answered": 120}
    app.state.counts.check_at_rest()


async def test_responses_of_a_turn_are_sent_together_after_its_last_decision(
    make_app, trains, expected, monkeypatch, no_leaks
):
    now_s, decided_s, order = 100.0, 10.0, []
    decide, write = Session.decide_nowait, Socket.write

    def decide_slowly(session, events):
        nonlocal now_s
        now_s += decided_s
        order.append("decision")
        return decide(session, events)

    def write_in_order(socket, data):
        order.append("response")
        write(socket, data)

    monkeypatch.setattr(Session, "decide_nowait", decide_slowly)
    monkeypatch.setattr(Socket, "write", write_in_order)
    monkeypatch.setattr(arrival, "time", SimpleNamespace(perf_counter=lambda: now_s))
    app = make_app()
    async with connect(app, "seed=5") as first, connect(app, "seed=5") as second:
        for n, train in enumerate(trains[:4]):  # the first turn makes one decision, later ones two
            await settle()
            order.clear()
            for socket in (first, second):
                socket.send_sample(train)
            responses = [await socket.receive() for socket in (first, second)]
            for response in responses:
                assert_matches(response, expected[n])
    assert order == ["decision", "decision", "response", "response"]
    assert [response["latency_ms"] for response in responses] == [20_000, 20_000]
    app.state.counts.check_at_rest()
