"""Clients that do not read, vanish or send too fast: they lose their connection, nobody else does.

Time is that of a clock that jumps.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest

from neuroasync import Network
from neuroasync.serve import ServerLimits, create_app
from tests.helpers.asgi_client import connect, until
from tests.helpers.clock_loop import run
from tests.helpers.server_counts import Counts
from tests.helpers.small_networks import loop, sample
from tests.serve.connection.test_stream import cut, same

TRAINS = [sample(seed=k) for k in range(12)]


@asynccontextmanager
async def serving(bundle, when_full="block", **limits):
    """An app whose network is open; nothing is left of anybody at the end."""
    before = asyncio.all_tasks()
    async with Network(bundle) as network:
        app = create_app(network, limits=ServerLimits(**limits), when_full=when_full)
        app.state.counts = Counts(app.state.service)
        app.state.network = network
        yield app
        app.state.counts.check_at_rest()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("when_full", ["block", "drop-oldest", "error"])
def test_a_client_that_does_not_read_is_cut_off_after_its_time(bundle, when_full):
    async def main():
        now = asyncio.get_running_loop().time
        async with serving(bundle, when_full, send_timeout_s=7.0, max_queued_samples=2) as app:
            async with connect(app, "seed=5") as other, connect(app) as slow:
                slow.stall()
                began_s = now()
                for k in range(12):
                    slow.send_sample(TRAINS[k])
                await asyncio.wait([slow.task])
                assert slow.was_cut
                assert now() - began_s == pytest.approx(7.0, abs=0.01)
                assert app.state.counts.of("connections_cut") == {"slow-reader": 1}
                app.state.counts.check()
                other.send_sample(TRAINS[0])
                assert (await other.receive())["sample"] == 0
                assert app.state.counts.of("sessions_open") == {"": 1}
            accepted = app.state.counts.of("samples_accepted")
            assert accepted["answered"] == 1
            assert accepted["client-gone"] >= 1

    run(main())


def test_a_client_that_reads_now_and_then_stays(bundle):
    async def main():
        async with serving(bundle, send_timeout_s=7.0) as app:
            async with connect(app) as socket:
                for k in range(6):
                    socket.stall()
                    socket.send_sample(TRAINS[k])
                    await asyncio.sleep(6.5)
                    socket.read_on()
                    assert (await socket.receive())["sample"] == k
            assert app.state.counts.of("connections_cut") == {}

    run(main())


def test_without_a_way_to_cut_the_app_lets_go_of_a_client_that_does_not_read(bundle):
    """In a server that has no such extension."""

    async def main():
        async with (
            serving(bundle, send_timeout_s=7.0) as app,
            connect(app, cuttable=False) as slow,
        ):
            slow.stall()
            slow.send_sample(TRAINS[0])
            await asyncio.wait([slow.task])
            assert not slow.was_cut

    run(main())


def test_a_client_over_its_rate_is_made_to_wait_and_loses_nothing(bundle):
    async def main():
        now = asyncio.get_running_loop().time
        async with serving(bundle, messages_per_s=2) as app, connect(app) as socket:
            began_s = now()
            for k in range(12):
                socket.send_sample(TRAINS[k])
            for k in range(12):
                assert (await socket.receive())["sample"] == k
            # Two at once, then two a second.
            assert now() - began_s == pytest.approx(5.0, abs=0.01)
            assert app.state.counts.sum("messages_delayed") == 10

    run(main())


@pytest.mark.parametrize("ticks", [0, 1, 2, 3, 5, 8, 13, 30])
@pytest.mark.parametrize("when_full", ["block", "drop-oldest"])
async def test_a_client_may_vanish_at_any_time(
    make_app, trains, expected, when_full, ticks, no_leaks
):
    app = make_app(when_full, max_queued_samples=2)
    async with connect(app, "seed=5") as other:
        async with connect(app) as gone:
            for train in trains[:3]:
                gone.send_sample(train)
            gone.send_sample(cut(trains[3], (30,))[0], end=False)
            for _ in range(ticks):
                await asyncio.sleep(0)
        app.state.counts.check()
        assert app.state.counts.of("sessions_open") == {"": 1}
        for n in range(3):
            other.send_sample(trains[n])
            same(await other.receive(), expected[n])
    app.state.counts.check_at_rest()


async def test_a_long_decision_ends_when_its_client_vanishes(no_leaks):
    async with Network(loop(), max_forward_steps=2**27) as network:
        app = create_app(network)
        app.state.counts = Counts(app.state.service)
        async with connect(app) as socket:
            socket.send('{"t_us": [0], "index": [0], "end": true}')
            [session] = network._sessions
            await until(lambda: session._is_busy)
        assert app.state.counts.of("samples_accepted") == {"client-gone": 1}
        app.state.counts.check_at_rest()


async def test_a_sample_that_reaches_a_limit_of_the_network_has_failed(no_leaks):
    async with Network(loop(), max_forward_steps=1000) as network:
        app = create_app(network)
        app.state.counts = Counts(app.state.service)
        async with connect(app) as socket:
            for _ in range(2):
                socket.send('{"t_us": [0], "index": [0], "end": true}')
            answers = [await socket.receive() for _ in range(2)]
        assert [a["sample"] for a in answers] == [0, 1]
        assert all("max_forward_steps = 1000" in a["error"] for a in answers)
        assert app.state.counts.of("samples_accepted") == {"failed": 2}
        app.state.counts.check_at_rest()


async def test_what_a_policy_of_the_users_raises_fails_its_sample_alone(bundle, caplog, no_leaks):
    class Broken:
        def order(self, pending, group_size):
            raise KeyError("oops")

    async with Network(bundle, policy=Broken()) as network:
        app = create_app(network)
        app.state.counts = Counts(app.state.service)
        async with connect(app) as socket:
            for _ in range(2):
                socket.send_sample(TRAINS[0])
                assert "the server's log says why" in (await socket.receive())["error"]
        assert app.state.counts.of("samples_accepted") == {"failed": 2}
        app.state.counts.check_at_rest()
    [first, _] = [r for r in caplog.records if r.levelname == "ERROR"]
    assert (first.sample, first.exc_info[0]) == (0, KeyError)


async def test_a_cancelled_connection_is_counted_and_leaves_nothing(make_app, trains, no_leaks):
    app = make_app()
    async with connect(app) as socket:
        await asyncio.sleep(0)
        socket.stall()
        socket.send_sample(trains[0])
        await until(lambda: app.state.counts.sum("decisions") == 1)
        socket.task.cancel()
        await asyncio.wait([socket.task])
        socket.task = asyncio.create_task(asyncio.sleep(0))
    assert app.state.counts.of("samples_accepted") == {"client-gone": 1}
    app.state.counts.check_at_rest()
