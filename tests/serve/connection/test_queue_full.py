"""When a queue is full, samples wait, are dropped or are refused, and each is counted once."""

import asyncio

import pytest

from neuroasync.messages import EventMessage, format_events
from tests.helpers.asgi_client import assert_matches, block_and_queue, connect, split, wait_until

LOST = ("samples_dropped", "samples_refused")


def send_unfinished(socket, train, app):
    """Send a sample without its end and wait until the worker has taken its first chunk."""
    socket.send_sample(split(train, (30,))[0], end=False)
    return wait_until(lambda: app.state.counts.sum("samples_sent") == 1 and not count_queued(app))


def count_queued(app):
    """Return the number of queued samples plus queued events."""
    return app.state.counts.sum("samples_waiting") + app.state.counts.sum("events_waiting")


async def test_block_stops_reading_from_the_client(make_app, trains, expected, no_leaks):
    app = make_app(max_queued_samples=2)
    async with connect(app, "seed=5") as socket:
        await block_and_queue(app, socket, trains, 8)
        # One is being answered, two are queued and the reader holds one. The others are unread.
        await wait_until(lambda: socket.unread_by_app == 5)
        for _ in range(50):
            await asyncio.sleep(0)
        assert socket.unread_by_app == 5
        assert app.state.counts.of("samples_waiting") == {"": 2}
        app.state.counts.check_balance()
        socket.resume_reading()
        for n in range(9):
            response = await socket.receive()
            assert response["sample"] == n
            assert_matches(response, expected[n])
    app.state.counts.check_at_rest()
    assert app.state.counts.of("samples_accepted") == {"answered": 9}


@pytest.mark.parametrize(
    ("when_full", "lost"),
    [("drop-newest", {3, 4, 5}), ("drop-oldest", {1, 2, 3}), ("error", {3, 4, 5})],
)
async def test_whole_samples_are_dropped_or_refused_and_the_client_is_notified(
    make_app, trains, expected, when_full, lost, no_leaks
):
    app = make_app(when_full, max_queued_samples=2)
    async with connect(app, "seed=5") as socket:
        await block_and_queue(app, socket, trains, 2)
        await wait_until(lambda: app.state.counts.of("samples_waiting") == {"": 2})
        for k in (3, 4, 5):  # the reader waits until it can notify the client of each
            socket.send_sample(trains[k])
        await wait_until(lambda: socket.unread_by_app == 2)
        assert app.state.counts.of("samples_waiting") == {"": 2}
        app.state.counts.check_balance()
        socket.resume_reading()
        responses = await socket.receive_by_sample(6)
        notified = {n for n, a in responses.items() if "error" in a}
        first = min(lost)
        assert first in notified
        assert notified <= lost | {4, 5}
        assert all(
            a["dropped"] is (when_full != "error") for n, a in responses.items() if n in notified
        )
        for n in set(responses) - notified:
            assert_matches(responses[n], expected[n])
        socket.send_sample(trains[6])
        assert_matches(await socket.receive(), expected[6])  # lost samples keep their numbers
    app.state.counts.check_at_rest()
    family = "samples_refused" if when_full == "error" else "samples_dropped"
    assert app.state.counts.of(family) == {"connection-full": len(notified)}


@pytest.mark.parametrize("when_full", ["drop-newest", "drop-oldest", "error"])
async def test_chunk_that_does_not_fit_drops_or_refuses_its_whole_sample(
    make_app, trains, expected, when_full, no_leaks
):
    app = make_app(when_full, max_queued_samples=3, max_queued_events=100)
    first, second = split(trains[1], (30,))
    async with connect(app, "seed=5") as socket:
        socket.stop_reading()
        socket.send_sample(trains[0])
        await wait_until(lambda: app.state.counts.sum("decisions") == 1)
        socket.send_sample(trains[1])  # 60 queued events
        socket.send_sample(first, end=False)  # 90
        socket.send_sample(second, end=False)  # 120: above the limit
        socket.send_sample(second)
        # The worker, which goes on once the client reads, must not take a sample before that.
        await wait_until(lambda: sum(app.state.counts.sum(name) for name in LOST) == 1)
        socket.resume_reading()
        responses = await socket.receive_by_sample(3)
        lost = 1 if when_full == "drop-oldest" else 2
        assert {n for n, a in responses.items() if "error" in a} == (
            {lost} if lost == 2 else {1, 2}
        )
        socket.send_sample(trains[3])
        assert_matches(await socket.receive(), expected[3])
    app.state.counts.check_at_rest()


async def test_message_with_more_events_than_the_queue_holds_is_refused_in_any_mode(
    make_app, trains, no_leaks
):
    app = make_app(max_queued_events=59)
    async with connect(app) as socket:
        socket.send_sample(trains[0])
        response = await socket.receive()
        assert response["error"] == (
            "a message counts as 60 events (at least one per 16 bytes), but at most 59 can "
            "be queued; send the sample in smaller chunks"
        )
        for chunk in split(trains[1], (30,)):
            socket.send_sample(chunk, end=False)
        socket.send(format_events(EventMessage(split(trains[1], (60,))[1], True)))
        assert (await socket.receive())["sample"] == 1
    assert app.state.counts.of("samples_refused") == {"too-large": 1}
    app.state.counts.check_at_rest()


async def test_messages_without_events_take_capacity(make_app, trains, no_leaks):
    app = make_app(max_queued_events=100)
    async with connect(app) as socket:
        await block_and_queue(app, socket, trains, 0)
        for _ in range(200):
            socket.send("{}")
        await wait_until(lambda: app.state.counts.sum("events_waiting") == 100)
        assert socket.unread_by_app > 90
        app.state.counts.check_balance()
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("when_full", ["drop-newest", "drop-oldest", "error"])
async def test_one_connection_cannot_take_the_whole_queue_of_the_server(
    make_app, trains, expected, when_full, no_leaks
):
    app = make_app(when_full, max_queued_samples_total=3)
    lost = "samples_refused" if when_full == "error" else "samples_dropped"
    async with connect(app, "seed=5") as greedy, connect(app, "seed=5") as other:
        await block_and_queue(app, greedy, trains, 3)  # it may hold no more than it leaves free
        await wait_until(lambda: app.state.counts.of(lost) == {"server-full": 1})
        assert app.state.counts.sum("samples_waiting") == 2
        other.stop_reading()
        other.send_sample(trains[0])
        await wait_until(lambda: app.state.counts.sum("decisions") == 2)
        other.send_sample(trains[1])
        await wait_until(lambda: app.state.counts.sum("samples_waiting") == 3)
        other.send_sample(trains[2])
        await wait_until(lambda: app.state.counts.of(lost) == {"server-full": 2})
        other.resume_reading()
        responses = await other.receive_by_sample(3)
        number = 1 if when_full == "drop-oldest" else 2
        assert responses.pop(number)["error"] == "the queue of the server is full"
        for n, response in responses.items():
            assert_matches(response, expected[n])
        greedy.resume_reading()
        assert set(await greedy.receive_by_sample(4)) == {0, 1, 2, 3}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("when_full", ["block", "drop-newest", "drop-oldest", "error"])
async def test_client_without_queued_samples_never_waits_for_the_queue_of_the_server(
    make_app, trains, expected, when_full, no_leaks
):
    app = make_app(when_full, max_queued_samples_total=1)
    async with connect(app) as full, connect(app, "seed=5") as other:
        await block_and_queue(app, full, trains, 1)
        await wait_until(lambda: app.state.counts.of("samples_waiting") == {"": 1})
        for n in range(3):
            other.send_sample(trains[n])
            assert_matches(await other.receive(), expected[n])
        assert app.state.counts.of("samples_waiting") == {"": 1}
        full.resume_reading()
    app.state.counts.check_at_rest()


async def test_blocked_sample_runs_once_its_connection_has_nothing_else_to_do(
    make_app, trains, expected, no_leaks
):
    app = make_app(max_queued_samples_total=1)
    async with connect(app) as full, connect(app, "seed=5") as other:
        await block_and_queue(app, full, trains, 1)
        await wait_until(lambda: app.state.counts.of("samples_waiting") == {"": 1})
        await block_and_queue_second(app, other, trains)
        other.resume_reading()  # no capacity is free, but the worker is
        for n in range(2):
            assert_matches(await other.receive(), expected[n])
        full.resume_reading()
    app.state.counts.check_at_rest()


async def block_and_queue_second(app, socket, trains):
    """Block the worker of a second connection, and send a sample that waits for capacity."""
    socket.stop_reading()
    socket.send_sample(trains[0])
    await wait_until(lambda: app.state.counts.sum("decisions") == 2)
    socket.send_sample(trains[1])
    await wait_until(lambda: app.state.counts.sum("samples_sent") == 4)


async def test_unfinished_sample_that_is_running_takes_no_capacity(
    make_app, trains, expected, no_leaks
):
    app = make_app(max_queued_samples_total=1, max_queued_events_total=60)
    async with connect(app) as slow, connect(app, "seed=5") as other:
        await send_unfinished(slow, trains[0], app)
        for n in range(4):
            other.send_sample(trains[n])
            assert_matches(await other.receive(), expected[n])
    assert app.state.counts.of("samples_refused") == {"unfinished": 1}
    app.state.counts.check_at_rest()
