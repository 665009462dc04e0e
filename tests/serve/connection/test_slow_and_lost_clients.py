"""Clients that do not read, vanish or send too fast do not affect other clients.

Where a test needs time, it runs on a virtual clock.
"""

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest

from neuroasync import Network
from neuroasync.serve import ServerLimits, create_app
from neuroasync.serve.connection.rate_limit import TokenBucket
from tests.helpers.asgi_client import assert_matches, connect, split, wait_until
from tests.helpers.clock_loop import run
from tests.helpers.server_counts import ServerCounts
from tests.helpers.small_networks import loop, sample

TRAINS = [sample(seed=k) for k in range(12)]


@asynccontextmanager
async def open_app(bundle, when_full="block", **limits):
    """Create an app with an open network. At the end, check that no connection left anything."""
    before = asyncio.all_tasks()
    async with Network(bundle) as network:
        app = create_app(network, limits=ServerLimits(**limits), when_full=when_full)
        app.state.counts = ServerCounts(app.state.server_state)
        app.state.network = network
        yield app
        app.state.counts.check_at_rest()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("when_full", ["block", "drop-oldest", "error"])
def test_connection_is_aborted_if_the_client_does_not_read_within_the_send_timeout(
    bundle, when_full
):
    async def main():
        now = asyncio.get_running_loop().time
        async with open_app(bundle, when_full, send_timeout_s=7.0, max_queued_samples=2) as app:
            async with connect(app, "seed=5") as other, connect(app) as slow:
                slow.stop_reading()
                began_s = now()
                for k in range(12):
                    slow.send_sample(TRAINS[k])
                await asyncio.wait([slow.task])
                assert slow.was_aborted
                assert now() - began_s == pytest.approx(7.0, abs=0.01)
                assert app.state.counts.of("connections_cut") == {"slow-reader": 1}
                app.state.counts.check_balance()
                other.send_sample(TRAINS[0])
                assert (await other.receive())["sample"] == 0
                assert app.state.counts.of("sessions_open") == {"": 1}
            accepted = app.state.counts.of("samples_accepted")
            assert accepted["answered"] == 1
            assert accepted["client-gone"] >= 1

    run(main())


async def test_message_that_waits_while_its_connection_is_aborted_is_dropped(bundle, monkeypatch):
    async with open_app(bundle) as app:

        def take(_: TokenBucket) -> float:
            app.state.server_state.abort_connections()
            return 0.0

        monkeypatch.setattr(TokenBucket, "take", take)
        async with connect(app) as socket:
            socket.send_sample(TRAINS[0])
            await asyncio.wait([socket.task])
        assert app.state.counts.sum("samples_sent") == 0


async def test_client_that_leaves_during_a_provisional_decision_is_no_failure(bundle, caplog):
    async with open_app(bundle) as app:
        async with connect(app, "provisional=1") as socket:
            socket.stop_reading()
            socket.send_sample(TRAINS[0])
            await wait_until(app.state.server_state.is_blocked)
        assert app.state.counts.of("samples_accepted") == {"client-gone": 1}
    assert all(record.levelno < logging.ERROR for record in caplog.records)


def test_client_that_reads_within_the_send_timeout_stays_connected(bundle):
    async def main():
        async with open_app(bundle, send_timeout_s=7.0) as app:
            async with connect(app) as socket:
                for k in range(6):
                    socket.stop_reading()
                    socket.send_sample(TRAINS[k])
                    await asyncio.sleep(6.5)
                    socket.resume_reading()
                    assert (await socket.receive())["sample"] == k
            assert app.state.counts.of("connections_cut") == {}

    run(main())


def test_app_ends_a_slow_connection_under_a_server_that_cannot_abort(bundle):
    async def main():
        async with (
            open_app(bundle, send_timeout_s=7.0) as app,
            connect(app, can_abort=False) as slow,
        ):
            slow.stop_reading()
            slow.send_sample(TRAINS[0])
            await asyncio.wait([slow.task])
            assert not slow.was_aborted

    run(main())


def test_client_above_its_rate_limit_is_delayed_and_loses_nothing(bundle):
    async def main():
        now = asyncio.get_running_loop().time
        async with open_app(bundle, max_messages_per_s=2) as app, connect(app) as socket:
            began_s = now()
            for k in range(12):
                socket.send_sample(TRAINS[k])
            for k in range(12):
                assert (await socket.receive())["sample"] == k
            # Two messages at once, then two per second.
            assert now() - began_s == pytest.approx(5.0, abs=0.01)
            assert app.state.counts.sum("messages_delayed") == 10

    run(main())


@pytest.mark.parametrize("ticks", [0, 1, 2, 3, 5, 8, 13, 30])
@pytest.mark.parametrize("when_full", ["block", "drop-oldest"])
async def test_client_can_disconnect_at_any_time(
    make_app, trains, expected, when_full, ticks, no_leaks
):
    app = make_app(when_full, max_queued_samples=2)
    async with connect(app, "seed=5") as other:
        async with connect(app) as gone:
            for train in trains[:3]:
                gone.send_sample(train)
            gone.send_sample(split(trains[3], (30,))[0], end=False)
            for _ in range(ticks):
                await asyncio.sleep(0)
        app.state.counts.check_balance()
        assert app.state.counts.of("sessions_open") == {"": 1}
        for n in range(3):
            other.send_sample(trains[n])
            assert_matches(await other.receive(), expected[n])
    app.state.counts.check_at_rest()


async def test_long_decision_ends_when_its_client_disconnects(no_leaks):
    async with Network(loop(), max_forward_steps=2**27) as network:
        app = create_app(network)
        app.state.counts = ServerCounts(app.state.server_state)
        async with connect(app) as socket:
            socket.send('{"t_us": [0], "index": [0], "end": true}')
            await wait_until(lambda: network.counts.events == 1)
        assert app.state.counts.of("samples_accepted") == {"client-gone": 1}
        app.state.counts.check_at_rest()


async def test_sample_that_reaches_a_limit_of_the_network_is_counted_as_failed(no_leaks):
    async with Network(loop(), max_forward_steps=1000) as network:
        app = create_app(network)
        app.state.counts = ServerCounts(app.state.server_state)
        async with connect(app) as socket:
            for _ in range(2):
                socket.send('{"t_us": [0], "index": [0], "end": true}')
            responses = [await socket.receive() for _ in range(2)]
        assert [a["sample"] for a in responses] == [0, 1]
        assert all("max_forward_steps" in a["error"] for a in responses)
        assert app.state.counts.of("samples_accepted") == {"failed": 2}
        app.state.counts.check_at_rest()


async def test_exception_of_a_custom_policy_fails_only_its_sample(bundle, caplog, no_leaks):
    class Broken:
        def order(self, pending, group_size):
            raise KeyError("oops")

    async with Network(bundle, policy=Broken()) as network:
        app = create_app(network)
        app.state.counts = ServerCounts(app.state.server_state)
        async with connect(app) as socket:
            for _ in range(2):
                socket.send_sample(TRAINS[0])
                assert "see the log of the server" in (await socket.receive())["error"]
        assert app.state.counts.of("samples_accepted") == {"failed": 2}
        app.state.counts.check_at_rest()
    [first, _] = [r for r in caplog.records if r.levelname == "ERROR"]
    assert (first.sample, first.exc_info[0]) == (0, KeyError)


async def test_sample_that_fails_after_it_was_refused_gets_one_notice(bundle, no_leaks):
    class Broken:
        def order(self, pending, group_size):
            [connection] = app.state.server_state._connections
            connection.drain()  # refuses the sample, which has not ended yet
            raise KeyError("oops")

    async with Network(bundle, policy=Broken()) as network:
        app = create_app(network)
        app.state.counts = ServerCounts(app.state.server_state)
        async with connect(app) as socket:
            socket.send_sample(TRAINS[0], end=False)
            response = await socket.receive()
            assert response["error"] == "the server is shutting down"
            await asyncio.wait([socket.task])
            assert (await socket._from_app.get())["type"] == "websocket.close"
        assert app.state.counts.of("samples_refused") == {"draining": 1}
        app.state.counts.check_at_rest()


async def test_cancelled_connection_is_counted_and_leaves_nothing_behind(
    make_app, trains, no_leaks
):
    app = make_app()
    async with connect(app) as socket:
        await asyncio.sleep(0)
        socket.stop_reading()
        socket.send_sample(trains[0])
        await wait_until(lambda: app.state.counts.sum("decisions") == 1)
        socket.task.cancel()
        await asyncio.wait([socket.task])
        socket.task = asyncio.create_task(asyncio.sleep(0))
    assert app.state.counts.of("samples_accepted") == {"client-gone": 1}
    app.state.counts.check_at_rest()
