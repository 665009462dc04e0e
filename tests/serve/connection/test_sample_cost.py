"""A sample that would cost too much is refused or ended, and its connection goes on."""

import asyncio

import pytest

from neuroasync import Network, SpikeTrain
from neuroasync.serve import ServerLimits, create_app
from tests.helpers.asgi_client import assert_matches, connect, split, wait_until
from tests.helpers.clock_loop import run
from tests.helpers.server_counts import ServerCounts
from tests.helpers.small_networks import chain, loop, sample


async def test_sample_with_too_many_passes_is_refused_before_it_runs(
    make_app, network, trains, expected, no_leaks
):
    app = make_app(max_passes=20)
    async with connect(app, "seed=5") as socket:
        socket.send_sample(SpikeTrain([9_999_999_000], [1]))
        response = await socket.receive()
        assert response == {
            "sample": 0,
            "error": "a sample of 9999999000 µs has 10000000 timesteps of 1000 µs, the limit is "
            "20; times are in µs and count from the start of the sample",
            "dropped": False,
        }
        assert network.counts.events == 0
        socket.send_sample(trains[1])
        assert_matches(await socket.receive(), expected[1])
    assert app.state.counts.of("samples_refused") == {"too-many-passes": 1}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("query", ["", "provisional=1"])
async def test_passes_are_checked_chunk_by_chunk(make_app, trains, query, no_leaks):
    app = make_app(max_passes=20)
    async with connect(app, query) as socket:
        socket.send_sample(SpikeTrain([0, 19_999], [1, 2]), end=False)
        socket.send_sample(SpikeTrain([20_000], [1]), end=False)
        response = await socket.receive()  # the sample has not ended yet
        assert response["sample"] == 0
        assert "has 21 timesteps" in response["error"]
        socket.send_sample(SpikeTrain([21_000], [1]))
        socket.send_sample(SpikeTrain([19_999], [1]))
        assert (await socket.receive())["final"] is True
    assert app.state.counts.of("samples_refused") == {"too-many-passes": 1}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("query", ["", "provisional=1"])
async def test_sample_that_uses_too_much_cpu_time_is_ended_and_the_next_one_runs(query, no_leaks):
    async with Network(loop(), max_forward_steps=2**27) as network:
        app = create_app(network, limits=ServerLimits(max_cpu_s=0.005))
        app.state.counts = ServerCounts(app.state.server_state)
        async with connect(app, query) as socket:
            socket.send('{"t_us": [0], "index": [0], "end": true}')
            while "error" not in (response := await socket.receive()):
                assert response["final"] is False
            assert response["sample"] == 0
            assert response["error"].startswith("the sample used more than 0.005 s of CPU time; ")
            socket.send('{"end": true}')
            assert (await socket.receive())["final"] is True
        assert app.state.counts.of("samples_accepted") == {"answered": 1, "cpu-time": 1}
        app.state.counts.check_at_rest()


async def test_server_does_not_raise_the_limit_of_the_network(no_leaks):
    async with Network(chain(), max_passes=10) as network:
        app = create_app(network)
        async with connect(app) as socket:
            socket.send_sample(SpikeTrain([10_000], [1]))
            assert "the limit is 10;" in (await socket.receive())["error"]


async def test_events_that_wait_for_one_pass_keep_their_capacity(make_app, no_leaks):
    app = make_app(max_queued_events=1000)
    async with connect(app) as socket:
        for _ in range(4):
            socket.send_sample(SpikeTrain([0] * 600, [1] * 600), end=False)
        response = await socket.receive()
        assert "events of the sample wait for one pass, more than" in response["error"]
        socket.send('{"end": true}')
        for first in range(0, 20_000, 1000):  # more events, but in passes of their own
            socket.send_sample(SpikeTrain([first] * 200, [1] * 200), end=False)
        socket.send('{"end": true}')
        assert (await socket.receive())["final"] is True
    assert app.state.counts.of("samples_refused") == {"too-large": 1}
    app.state.counts.check_at_rest()


def test_client_that_leaves_while_nothing_is_read_from_it_takes_its_work_with_it():
    async def main():
        async with Network(chain()) as network:
            app = create_app(network, limits=ServerLimits(max_queued_samples=2))
            app.state.counts = ServerCounts(app.state.server_state)
            async with connect(app) as socket:
                socket.stop_reading()
                for k in range(5):
                    socket.send_sample(sample(seed=k))
                await wait_until(lambda: app.state.counts.of("samples_waiting") == {"": 2})
                await wait_until(lambda: socket.unread_by_app == 1)
                now = asyncio.get_running_loop().time
                began_s = now()
                socket.vanish()
                await asyncio.wait([socket.task])
                assert now() - began_s <= 1.0
                assert app.state.counts.of("samples_accepted") == {"client-gone": 3}
                assert app.state.counts.of("samples_refused") == {"unfinished": 1}
            app.state.counts.check_at_rest()

    run(main())


async def test_chunks_of_a_long_message_are_parsed_in_turn(make_app, expected, trains, no_leaks):
    app = make_app()
    long = SpikeTrain([k // 100 * 1000 for k in range(6000)], [k % 12 for k in range(6000)])
    async with connect(app) as first, connect(app, "seed=5") as second:
        for chunk in split(long, (3000,)):
            first.send_sample(chunk, end=False)
        second.send_sample(trains[0])
        assert_matches(await second.receive(), expected[0])
        first.send('{"end": true}')
        assert (await first.receive())["final"] is True
    app.state.counts.check_at_rest()
