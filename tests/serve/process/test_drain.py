"""A draining server answers accepted samples and refuses new ones."""

import asyncio

import pytest

from neuroasync import Session
from tests.helpers.asgi_client import (
    RefusedError,
    assert_matches,
    block_and_queue,
    connect,
    http_client,
    split,
    wait_until,
)


async def test_accepted_samples_are_answered_before_the_connection_is_closed(
    make_app, trains, expected, no_leaks
):
    app = make_app(max_queued_samples=3)
    async with connect(app, "seed=5") as socket:
        socket.stop_reading()
        for train in trains[:8]:
            socket.send_sample(train)
        await wait_until(lambda: socket.unread_by_app == 3)  # one decided, three queued, one held
        draining = asyncio.create_task(app.state.server_state.drain())
        await asyncio.sleep(0)
        socket.resume_reading()
        for n in range(4):
            response = await socket.receive()
            assert response["sample"] == n
            assert_matches(response, expected[n])
        response = await socket.receive()
        assert response == {"sample": 4, "error": "the server is shutting down", "dropped": False}
        closed = await socket.receive()
        assert closed == {"close": 1001, "reason": "the server is shutting down"}
        await draining
    assert app.state.counts.of("samples_accepted") == {"answered": 4}
    assert app.state.counts.of("samples_refused") == {"draining": 1}
    app.state.counts.check_at_rest()


async def test_unfinished_sample_is_refused_and_idle_connections_are_closed(
    make_app, trains, no_leaks
):
    app = make_app()
    async with connect(app) as idle, connect(app) as halfway:
        halfway.send_sample(split(trains[0], (30,))[0], end=False, binary=True)
        await wait_until(lambda: app.state.counts.sum("samples_sent") == 1)
        await app.state.server_state.drain()
        assert (await idle.receive())["close"] == 1001
        response = await halfway.receive()
        assert (response["sample"], response["binary"]) == (0, True)
        assert (await halfway.receive())["close"] == 1001
    app.state.counts.check_at_rest()


async def test_sample_that_is_refused_while_it_is_decided_gets_one_answer(
    make_app, trains, monkeypatch, no_leaks
):
    finish, deciding, may_finish = Session.finish_sample, asyncio.Event(), asyncio.Event()

    async def slow_finish(session):
        deciding.set()
        await may_finish.wait()
        return await finish(session)

    monkeypatch.setattr(Session, "finish_sample", slow_finish)
    app = make_app()
    async with connect(app, "until=first-spike") as socket:
        socket.send_sample(split(trains[0], (50,))[0], end=False)
        await deciding.wait()  # the stop rule has fired, and the client may still send chunks
        draining = asyncio.create_task(app.state.server_state.drain())
        await asyncio.sleep(0)
        may_finish.set()
        assert (await socket.receive())["error"] == "the server is shutting down"
        assert (await socket.receive())["close"] == 1001
        await draining
    assert app.state.counts.of("decisions") == {}
    app.state.counts.check_at_rest()


async def test_draining_server_refuses_new_connections_and_requests(make_app, trains, no_leaks):
    app = make_app()
    async with http_client(app) as http, connect(app) as socket:
        assert (await http.get("/health")).json() == {"status": "ok"}
        socket.stop_reading()
        socket.send_sample(trains[0])
        await wait_until(lambda: app.state.counts.sum("decisions") == 1)
        draining = asyncio.create_task(app.state.server_state.drain())
        await asyncio.sleep(0)
        health = await http.get("/health")
        assert (health.status_code, health.json()) == (503, {"status": "draining"})
        refused = await http.post("/decide", content="{}")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        with pytest.raises(RefusedError, match="503"):
            async with connect(app):
                pass
        assert not draining.done()
        socket.resume_reading()
        await draining
        assert (await socket.receive())["sample"] == 0
    assert app.state.counts.of("connections_refused") == {"draining": 2}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("when_full", ["block", "drop-oldest", "error"])
async def test_early_decision_that_waits_for_its_client_is_sent_once(
    make_app, trains, when_full, no_leaks
):
    app = make_app(when_full, max_queued_events=40)
    first, second, third = split(trains[0], (30, 45))
    async with connect(app, "until=first-spike") as socket:
        socket.stop_reading()
        socket.send_sample(first, end=False)
        await wait_until(lambda: app.state.counts.sum("decisions") == 1)
        for chunk in (second, third, second):  # more than fits into the queue
            socket.send_sample(chunk, end=False)
        await wait_until(lambda: socket.unread_by_app == 0)
        draining = asyncio.create_task(app.state.server_state.drain())
        await asyncio.sleep(0)
        socket.resume_reading()
        responses = [await socket.receive() for _ in range(2)]
        assert responses[0]["final"]
        assert responses[1]["close"] == 1001
        await draining
    assert app.state.counts.of("samples_accepted") == {"answered": 1}
    app.state.counts.check_at_rest()


async def test_draining_an_idle_server_ends_immediately_and_can_be_repeated(make_app, no_leaks):
    server_state = make_app().state.server_state
    async with asyncio.timeout(20):
        await asyncio.gather(server_state.drain(), server_state.drain())


async def test_client_that_waits_for_capacity_is_notified_of_the_shutdown(
    make_app, trains, no_leaks
):
    app = make_app(max_queued_samples_total=1)
    async with connect(app) as full, connect(app) as blocked:
        await block_and_queue(app, full, trains, 1)
        await wait_until(lambda: app.state.counts.of("samples_waiting") == {"": 1})
        blocked.stop_reading()
        blocked.send_sample(trains[0])  # its worker was waiting for it, so it needs no capacity
        await wait_until(lambda: app.state.counts.sum("decisions") == 2)
        blocked.send_sample(trains[1])
        await wait_until(lambda: app.state.counts.sum("samples_sent") == 4)
        draining = asyncio.create_task(app.state.server_state.drain())
        blocked.resume_reading()
        assert (await blocked.receive())["final"]
        assert (await blocked.receive())["error"] == "the server is shutting down"
        assert (await blocked.receive())["close"] == 1001
        full.resume_reading()
        await draining
    app.state.counts.check_at_rest()
