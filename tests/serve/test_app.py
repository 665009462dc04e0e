"""The app in other people's apps, and what it is told wrongly."""

import dataclasses

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from neuroasync import BundleError, ClosedError, Network, write_bundle
from neuroasync.serve import ServerLimits, create_app
from neuroasync.serve.connection.rate_limit import TokenBucket
from tests.helpers.asgi_client import connect
from tests.serve.connection.test_stream import same


async def test_a_bundle_is_opened_and_closed_with_the_app(bundle, tmp_path, trains, no_leaks):
    write_bundle(bundle, tmp_path / "net.nab")
    for source in (bundle, tmp_path / "net.nab", str(tmp_path / "net.nab")):
        app = create_app(source)
        async with app.router.lifespan_context(app), connect(app) as socket:
            socket.send_sample(trains[0])
            assert (await socket.receive())["sample"] == 0
        with pytest.raises(ClosedError):
            app.state.service.network.session()


async def test_it_can_be_mounted_beside_others(bundle, network, trains, expected, no_leaks):
    other = Network(bundle, policy="fifo")
    async with other:
        app = Starlette(
            routes=[Mount("/a", create_app(network)), Mount("/b", create_app(other))],
        )
        async with (
            connect(app, "seed=5", path="/a/stream") as a,
            connect(app, path="/b/stream") as b,
        ):
            for socket in (a, b):
                socket.send_sample(trains[0])
            same(await a.receive(), expected[0])
            same(await b.receive(), await other.decide(trains[0]))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            assert (await http.get("/a/health")).json() == {"status": "ok"}
            assert "neuroasync_decisions_total 1.0" in (await http.get("/b/metrics")).text
            assert "<html" in (await http.get("/a/")).text


async def test_a_network_that_closes_ends_its_connections(bundle, trains, no_leaks):
    network = Network(bundle)
    async with network:
        app = create_app(network)
        async with connect(app) as socket:
            socket.send_sample(trains[0])
            await socket.receive()
            await network.__aexit__(None, None, None)
            socket.send_sample(trains[1])
            await socket.task
        await network.__aenter__()
    counted = app.state.service.tally.total("samples_accepted", "client-gone")
    assert counted + app.state.service.tally.total("samples_refused", "unfinished") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"when_full": "wait"}, "when_full: 'wait', expected one of block, drop-oldest"),
        ({"token": ""}, "token: empty, expected some characters"),
    ],
)
def test_wrong_arguments_are_told(bundle, options, says):
    with pytest.raises(ValueError, match=says):
        create_app(bundle, **options)


def test_a_bundle_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(BundleError, match="No such file"):
        create_app(tmp_path / "no.nab")


@pytest.mark.parametrize("field", dataclasses.fields(ServerLimits), ids=lambda f: f.name)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "1", True, 2**31])
def test_limits_are_checked(field, value):
    with pytest.raises(ValueError, match=f"^{field.name}: {value!r}, expected an? "):
        ServerLimits(**{field.name: value})


def test_a_pace_lets_a_seconds_worth_come_at_once_and_then_one_at_a_time():
    now_s = 7.0
    pace = TokenBucket(4, lambda: now_s)
    assert [pace.delay_s() for _ in range(4)] == [0.0] * 4
    assert pace.delay_s() == 0.25
    now_s += 0.25
    assert pace.delay_s() == 0.25
    now_s += 100
    assert [pace.delay_s() for _ in range(5)] == [0.0] * 4 + [0.25]


def test_less_than_one_a_second_is_a_pace_too():
    now_s = 0.0
    pace = TokenBucket(0.5, lambda: now_s)
    assert pace.delay_s() == 0.0
    assert pace.delay_s() == 2.0
