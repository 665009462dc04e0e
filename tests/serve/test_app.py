"""The app opens its network, can be mounted in another app, and checks its arguments."""

import dataclasses

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from neuroasync import BundleError, ClosedError, Network, write_bundle
from neuroasync.serve import ServerLimits, create_app
from tests.helpers.asgi_client import assert_matches, connect


async def test_lifespan_of_the_app_opens_and_closes_the_network_of_a_bundle(
    bundle, tmp_path, trains, no_leaks
):
    write_bundle(bundle, tmp_path / "net.nab")
    for source in (bundle, tmp_path / "net.nab", str(tmp_path / "net.nab")):
        app = create_app(source)
        async with app.router.lifespan_context(app), connect(app) as socket:
            socket.send_sample(trains[0])
            assert (await socket.receive())["sample"] == 0
        with pytest.raises(ClosedError):
            app.state.server_state.networks.find(None).network.session()


async def test_two_apps_can_be_mounted_in_one(bundle, network, trains, expected, no_leaks):
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
            assert_matches(await a.receive(), expected[0])
            assert_matches(await b.receive(), await other.decide(trains[0]))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            assert (await http.get("/a/health")).json() == {"status": "ok"}
            assert (
                'neuroasync_decisions_total{network="network"} 1.0'
                in (await http.get("/b/metrics")).text
            )
            assert "<html" in (await http.get("/a/")).text


async def test_closing_the_network_ends_its_connections(bundle, trains, no_leaks):
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
    metrics = app.state.server_state.metrics
    accepted = metrics.total("samples_accepted", "client-gone")
    assert accepted + metrics.total("samples_refused", "unfinished") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"when_full": "wait"}, "when_full.*'wait'"),
        ({"token": ""}, "`token` must not be empty"),
    ],
)
def test_invalid_arguments_raise_value_error(bundle, options, message):
    with pytest.raises(ValueError, match=message):
        create_app(bundle, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": {"max_sessions": 3}}, "`limits` must be a ServerLimits, got dict"),
        ({"token": 3}, "`token` must be a str, got int"),
    ],
)
def test_arguments_of_other_types_raise_type_error(bundle, options, message):
    with pytest.raises(TypeError, match=f"^{message}$"):
        create_app(bundle, **options)


def test_missing_bundle_raises_bundle_error(tmp_path):
    with pytest.raises(BundleError, match="No such file"):
        create_app(tmp_path / "no.nab")


@pytest.mark.parametrize("field", dataclasses.fields(ServerLimits), ids=lambda f: f.name)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "1", True, 2**31])
def test_limits_out_of_range_raise_value_error(field, value):
    with pytest.raises(ValueError, match=f"^`{field.name}` must be an? .*, got {value!r}$"):
        ServerLimits(**{field.name: value})


async def test_request_to_the_websocket_without_an_upgrade_gets_status_426(network):
    transport = httpx.ASGITransport(create_app(network))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        response = await http.get("/stream")
        assert response.status_code == 426
        assert (response.headers["upgrade"], response.headers["connection"]) == (
            "websocket",
            "Upgrade",
        )
        assert "websocket" in response.json()["error"]
        assert (await http.post("/stream")).status_code == 405
