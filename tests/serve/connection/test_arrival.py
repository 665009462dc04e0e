"""Small samples are decided where their messages are read, if nothing has to wait."""

import asyncio

import pytest

from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from tests.helpers.asgi_client import assert_matches, connect, settle, split


@pytest.fixture(autouse=True)
def _slice_never_ends(monkeypatch):
    """Let each decision end in one slice, also on a slow machine."""
    monkeypatch.setattr(TimeSlice, "must_wait", lambda _: False)
    monkeypatch.setattr(TimeSlice, "is_exhausted", lambda _: False)


@pytest.mark.parametrize("binary", [False, True])
async def test_sample_is_answered_before_its_arrival_returns(
    make_app, trains, expected, binary, nowait_decisions, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        for n, train in enumerate(trains):
            await settle()
            socket.send_sample(train, binary=binary)
            assert len(nowait_decisions) == n + 1
            response = await socket.receive()
            assert response["sample"] == n
            assert response.get("binary", False) is binary
            assert_matches(response, expected[n])
    assert app.state.counts.of("samples_accepted") == {"answered": len(trains)}
    app.state.counts.check_at_rest()


async def test_sample_that_takes_longer_is_decided_by_the_worker(
    make_app, trains, expected, monkeypatch, no_leaks
):
    monkeypatch.setattr(
        "neuroasync.runtime.scheduler.Scheduler.run_now", lambda *_: False, raising=True
    )
    app = make_app()
    async with connect(app, "seed=5") as socket:
        for train, decision in zip(trains, expected, strict=True):
            await settle()
            socket.send_sample(train)
            assert_matches(await socket.receive(), decision)
    app.state.counts.check_at_rest()


async def test_later_samples_wait_for_one_that_has_begun(
    make_app, trains, expected, nowait_decisions, no_leaks
):
    app = make_app()
    first, rest = split(trains[0], (40,))
    async with connect(app, "seed=5") as socket:
        await settle()
        socket.send_sample(first, end=False)
        await settle()
        socket.send_sample(rest)
        socket.send_sample(trains[1])
        for n in range(2):
            assert_matches(await socket.receive(), expected[n])
    assert nowait_decisions == []
    app.state.counts.check_at_rest()


async def test_client_that_does_not_read_gets_no_decision_on_arrival(
    make_app, trains, expected, nowait_decisions, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        await settle()
        socket.stop_reading()
        socket.send_sample(trains[0])
        assert nowait_decisions == []
        socket.resume_reading()
        assert_matches(await socket.receive(), expected[0])
    app.state.counts.check_at_rest()


async def test_message_is_not_read_on_arrival_while_others_wait_to_be_read(
    make_app, trains, expected, nowait_decisions, monkeypatch, no_leaks
):
    monkeypatch.setattr(TimeSlice, "is_contended", True)
    app = make_app()
    async with connect(app, "seed=5") as socket:
        await settle()
        socket.send_sample(trains[0])
        assert_matches(await socket.receive(), expected[0])
    assert nowait_decisions == []
    app.state.counts.check_at_rest()


async def test_provisional_decisions_are_sent_for_small_samples_too(
    make_app, trains, expected, nowait_decisions, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5&provisional=1") as socket:
        await settle()
        socket.send_sample(trains[0])
        responses = [await socket.receive()]
        while not responses[-1]["final"]:
            responses.append(await socket.receive())
    assert len(responses) > 1
    assert_matches(responses[-1], expected[0])
    assert nowait_decisions == []
    app.state.counts.check_at_rest()


async def test_sample_too_large_for_the_queue_is_refused_on_arrival_too(
    make_app, trains, nowait_decisions, no_leaks
):
    app = make_app(max_queued_events=len(trains[0]) - 1)
    async with connect(app) as socket:
        await settle()
        socket.send_sample(trains[0])
        assert "error" in await socket.receive()
    assert nowait_decisions == []
    assert app.state.counts.of("samples_refused") == {"too-large": 1}


async def test_invalid_sample_is_answered_once(make_app, nowait_decisions, no_leaks):
    app = make_app()
    async with connect(app) as socket:
        await settle()
        socket.send('{"t_us": [0], "index": [10000000], "end": true}')
        assert "error" in await socket.receive()
    assert nowait_decisions == [None]
    app.state.counts.check_at_rest()


async def test_sample_after_many_refused_ones_keeps_its_number(
    make_app, trains, expected, no_leaks
):
    app = make_app(max_queued_events=len(trains[0]))
    too_large = '{"t_us": [], "index": [], "end": true}' + " " * 16 * len(trains[0])
    async with connect(app, "seed=5") as socket:
        for n in range(3):
            await settle()
            socket.send(too_large)
            assert (await socket.receive())["sample"] == n
        await settle()
        socket.send_sample(trains[3])
        assert_matches(await socket.receive(), expected[3])
    assert app.state.counts.of("samples_refused") == {"too-large": 3}
    app.state.counts.check_at_rest()


async def test_decision_on_arrival_restarts_the_count_of_malformed_messages(
    make_app, trains, nowait_decisions, no_leaks
):
    app = make_app(max_malformed_in_a_row=2)
    async with connect(app) as socket:
        for train in trains[:3]:
            await settle()
            socket.send("x" * 20_000)  # too long for an attempt on arrival
            assert "error" in await socket.receive()
            await settle()
            socket.send_sample(train)
            assert "votes" in await socket.receive()
    assert len(nowait_decisions) == 3
    app.state.counts.check_at_rest()


async def test_draining_server_decides_nothing_on_arrival(
    make_app, trains, nowait_decisions, no_leaks
):
    app = make_app()
    async with connect(app) as socket:
        await settle()
        drain = asyncio.create_task(app.state.server_state.drain())
        await asyncio.sleep(0)
        socket.send_sample(trains[0])
        assert nowait_decisions == []
        assert "close" in await socket.receive()
    await drain
