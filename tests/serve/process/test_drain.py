"""Shutting down: what was accepted is answered, nothing new is taken."""

import asyncio

import httpx
import pytest

from tests.helpers.asgi_client import RefusedError, connect, until
from tests.serve.connection.test_queue_full import stall_with
from tests.serve.connection.test_stream import cut, same


def client(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_what_was_accepted_is_answered_then_the_connection_is_closed(
    make_app, trains, expected, no_leaks
):
    app = make_app(max_queued_samples=3)
    async with connect(app, "seed=5") as socket:
        socket.stall()
        for train in trains[:8]:
            socket.send_sample(train)
        await until(lambda: socket.unread_by_app == 3)  # one decided, three wait, one in hand
        draining = asyncio.create_task(app.state.service.drain())
        await asyncio.sleep(0)
        socket.read_on()
        for n in range(4):
            answer = await socket.receive()
            assert answer["sample"] == n
            same(answer, expected[n])
        answer = await socket.receive()
        assert answer == {"sample": 4, "error": "the server is shutting down", "dropped": False}
        closed = await socket.receive()
        assert closed == {"close": 1001, "reason": "the server is shutting down"}
        await draining
    assert app.state.counts.of("samples_accepted") == {"answered": 4}
    assert app.state.counts.of("samples_refused") == {"draining": 1}
    app.state.counts.check_at_rest()


async def test_an_unfinished_sample_is_refused_and_idle_connections_are_closed(
    make_app, trains, no_leaks
):
    app = make_app()
    async with connect(app) as idle, connect(app) as halfway:
        halfway.send_sample(cut(trains[0], (30,))[0], end=False, binary=True)
        await until(lambda: app.state.counts.sum("samples_sent") == 1)
        await app.state.service.drain()
        assert (await idle.receive())["close"] == 1001
        answer = await halfway.receive()
        assert (answer["sample"], answer["binary"]) == (0, True)
        assert (await halfway.receive())["close"] == 1001
    app.state.counts.check_at_rest()


async def test_nothing_new_is_taken_while_draining(make_app, trains, no_leaks):
    app = make_app()
    async with client(app) as http, connect(app) as socket:
        assert (await http.get("/health")).json() == {"status": "ok"}
        socket.stall()
        socket.send_sample(trains[0])
        await until(lambda: app.state.counts.sum("decisions") == 1)
        draining = asyncio.create_task(app.state.service.drain())
        await asyncio.sleep(0)
        health = await http.get("/health")
        assert (health.status_code, health.json()) == (503, {"status": "draining"})
        refused = await http.post("/decide", content="{}")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        with pytest.raises(RefusedError, match="503"):
            async with connect(app):
                pass
        assert not draining.done()
        socket.read_on()
        await draining
        assert (await socket.receive())["sample"] == 0
    assert app.state.counts.of("connections_refused") == {"draining": 2}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("when_full", ["block", "drop-oldest", "error"])
async def test_an_early_decision_that_waits_to_be_told_is_told_once(
    make_app, trains, when_full, no_leaks
):
    app = make_app(when_full, waiting_events=40)
    first, second, third = cut(trains[0], (30, 45))
    async with connect(app, "until=first-spike") as socket:
        socket.stall()
        socket.send_sample(first, end=False)
        await until(lambda: app.state.counts.sum("decisions") == 1)
        for part in (second, third, second):  # more than there is room for
            socket.send_sample(part, end=False)
        await until(lambda: socket.unread_by_app == 0)
        draining = asyncio.create_task(app.state.service.drain())
        await asyncio.sleep(0)
        socket.read_on()
        answers = [await socket.receive() for _ in range(2)]
        assert answers[0]["final"]
        assert answers[1]["close"] == 1001
        await draining
    assert app.state.counts.of("samples_accepted") == {"answered": 1}
    app.state.counts.check_at_rest()


async def test_draining_an_idle_server_ends_at_once_and_may_be_asked_for_twice(make_app, no_leaks):
    service = make_app().state.service
    async with asyncio.timeout(20):
        await asyncio.gather(service.drain(), service.drain())


async def test_a_client_that_is_blocked_by_the_server_is_told(make_app, trains, no_leaks):
    app = make_app(max_queued_samples_total=1)
    async with connect(app) as full, connect(app) as blocked:
        await stall_with(app, full, trains, 1)
        await until(lambda: app.state.counts.of("samples_waiting") == {"": 1})
        blocked.send_sample(trains[0])
        await until(lambda: app.state.counts.sum("samples_sent") == 3)
        draining = asyncio.create_task(app.state.service.drain())
        assert (await blocked.receive())["error"] == "the server is shutting down"
        assert (await blocked.receive())["close"] == 1001
        full.read_on()
        await draining
    app.state.counts.check_at_rest()
