"""What becomes of samples for which there is no room, and that each is counted once."""

import asyncio

import pytest

from neuroasync.messages import EventMessage, format_events
from tests.helpers.asgi_client import connect, until
from tests.serve.connection.test_stream import cut, same


def hold(socket, train, app):
    """Begin a sample and leave it open: the worker waits for its end, the next ones for it."""
    socket.send_sample(cut(train, (30,))[0], end=False)
    return until(lambda: app.state.counts.sum("samples_sent") == 1 and not waiting(app))


def waiting(app):
    return app.state.counts.sum("samples_waiting") + app.state.counts.sum("events_waiting")


async def stall_with(app, socket, trains, n):
    """Let a first sample's answer wait for a client that does not read; then send ``n`` more."""
    socket.stall()
    socket.send_sample(trains[0])
    await until(lambda: app.state.counts.sum("decisions") == 1)
    for k in range(1, n + 1):
        socket.send_sample(trains[k])


async def answers_of(socket, n):
    answers = [await socket.receive() for _ in range(n)]
    return {a["sample"]: a for a in answers}


async def test_block_stops_reading_the_connection(make_app, trains, expected, no_leaks):
    app = make_app(max_queued_samples=2)
    async with connect(app, "seed=5") as socket:
        await stall_with(app, socket, trains, 8)
        # One is answered, two wait, one is in the reader's hand: the others are not read.
        await until(lambda: socket.unread_by_app == 5)
        for _ in range(50):
            await asyncio.sleep(0)
        assert socket.unread_by_app == 5
        assert app.state.counts.of("samples_waiting") == {"": 2}
        app.state.counts.check()
        socket.read_on()
        for n in range(9):
            answer = await socket.receive()
            assert answer["sample"] == n
            same(answer, expected[n])
    app.state.counts.check_at_rest()
    assert app.state.counts.of("samples_accepted") == {"answered": 9}


@pytest.mark.parametrize(
    ("when_full", "lost"),
    [("drop-newest", {3, 4, 5}), ("drop-oldest", {1, 2, 3}), ("error", {3, 4, 5})],
)
async def test_whole_samples_are_dropped_or_refused_and_the_client_is_told(
    make_app, trains, expected, when_full, lost, no_leaks
):
    app = make_app(when_full, max_queued_samples=2)
    async with connect(app, "seed=5") as socket:
        await stall_with(app, socket, trains, 2)
        await until(lambda: app.state.counts.of("samples_waiting") == {"": 2})
        for k in (3, 4, 5):  # the reader waits to tell the client of each
            socket.send_sample(trains[k])
        await until(lambda: socket.unread_by_app == 2)
        assert app.state.counts.of("samples_waiting") == {"": 2}
        app.state.counts.check()
        socket.read_on()
        answers = await answers_of(socket, 6)
        told = {n for n, a in answers.items() if "error" in a}
        first = min(lost)
        assert first in told
        assert told <= lost | {4, 5}
        assert all(a["dropped"] is (when_full != "error") for n, a in answers.items() if n in told)
        for n in set(answers) - told:
            same(answers[n], expected[n])
        socket.send_sample(trains[6])
        same(await socket.receive(), expected[6])  # numbers of lost samples are used up
    app.state.counts.check_at_rest()
    family = "samples_refused" if when_full == "error" else "samples_dropped"
    assert app.state.counts.of(family) == {"connection-full": len(told)}


@pytest.mark.parametrize("when_full", ["drop-newest", "drop-oldest", "error"])
async def test_a_part_without_room_takes_its_whole_sample_with_it(
    make_app, trains, expected, when_full, no_leaks
):
    app = make_app(when_full, max_queued_samples=3, waiting_events=100)
    first, second = cut(trains[1], (30,))
    async with connect(app, "seed=5") as socket:
        socket.stall()
        socket.send_sample(trains[0])
        await until(lambda: app.state.counts.sum("decisions") == 1)
        socket.send_sample(trains[1])  # 60 events wait
        socket.send_sample(first, end=False)  # 90
        socket.send_sample(second, end=False)  # 120: too many
        socket.send_sample(second)
        socket.read_on()
        answers = await answers_of(socket, 3)
        lost = 1 if when_full == "drop-oldest" else 2
        assert {n for n, a in answers.items() if "error" in a} == ({lost} if lost == 2 else {1, 2})
        socket.send_sample(trains[3])
        same(await socket.receive(), expected[3])
    app.state.counts.check_at_rest()


async def test_more_events_than_may_ever_wait_are_refused_in_any_mode(make_app, trains, no_leaks):
    app = make_app(waiting_events=59)
    async with connect(app) as socket:
        socket.send_sample(trains[0])
        answer = await socket.receive()
        assert answer["error"] == "t_us: 60 events in one message, the limit is 59; send parts"
        for part in cut(trains[1], (30,)):
            socket.send_sample(part, end=False)
        socket.send(format_events(EventMessage(cut(trains[1], (60,))[1], True)))
        assert (await socket.receive())["sample"] == 1
    assert app.state.counts.of("samples_refused") == {"too-large": 1}
    app.state.counts.check_at_rest()


async def test_messages_without_events_take_room_too(make_app, trains, no_leaks):
    app = make_app(waiting_events=100)
    async with connect(app) as socket:
        await stall_with(app, socket, trains, 0)
        for _ in range(200):
            socket.send("{}")
        await until(lambda: app.state.counts.sum("events_waiting") == 100)
        assert socket.unread_by_app > 90
        app.state.counts.check()
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("when_full", ["drop-newest", "drop-oldest", "error"])
async def test_the_server_has_one_bound_for_all(make_app, trains, expected, when_full, no_leaks):
    app = make_app(when_full, max_queued_samples_total=2)
    async with connect(app, "seed=5") as full, connect(app, "seed=5") as other:
        await stall_with(app, full, trains, 2)
        await until(lambda: app.state.counts.of("samples_waiting") == {"": 2})
        other.stall()
        other.send_sample(trains[0])
        family = "samples_refused" if when_full == "error" else "samples_dropped"
        await until(lambda: app.state.counts.of(family) == {"server-full": 1})
        other.read_on()
        answer = await other.receive()  # it has none that waits: its own new one is lost
        assert "too many samples or events of this server are waiting" in answer["error"]
        full.read_on()
        assert [(await full.receive())["sample"] for _ in range(3)] == [0, 1, 2]
        other.send_sample(trains[1])
        same(await other.receive(), expected[1])
    app.state.counts.check_at_rest()


async def test_blocked_clients_get_the_servers_room_in_turn(make_app, trains, expected, no_leaks):
    app = make_app(max_queued_samples_total=1)
    async with connect(app) as full, connect(app, "seed=5") as b, connect(app, "seed=5") as c:
        await stall_with(app, full, trains, 1)
        await until(lambda: app.state.counts.of("samples_waiting") == {"": 1})
        for socket in (b, c):
            socket.send_sample(trains[0])
            await until(lambda socket=socket: socket.unread_by_app == 0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert app.state.counts.sum("decisions") == 1
        full.read_on()
        for socket in (b, c):
            same(await socket.receive(), expected[0])
    app.state.counts.check_at_rest()


async def test_a_sample_that_is_held_open_takes_no_room(make_app, trains, expected, no_leaks):
    app = make_app(max_queued_samples_total=1, server_waiting_events=60)
    async with connect(app) as slow, connect(app, "seed=5") as other:
        await hold(slow, trains[0], app)
        for n in range(4):
            other.send_sample(trains[n])
            same(await other.receive(), expected[n])
    assert app.state.counts.of("samples_refused") == {"unfinished": 1}
    app.state.counts.check_at_rest()
