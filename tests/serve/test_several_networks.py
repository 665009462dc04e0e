"""A server with several networks: requests select one by name, and metrics tell them apart."""

import httpx
import pytest
import pytest_asyncio

from neuroasync import Network, write_bundle
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve import create_app
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.served_networks import ServedNetworks
from tests.helpers.asgi_client import RefusedError, assert_matches, connect
from tests.helpers.server_counts import ServerCounts
from tests.helpers.small_networks import chain, sample

UNKNOWN = {"error": "unknown network 'medium'; known networks are small, large"}


@pytest_asyncio.fixture
async def large():
    async with Network(chain(sizes=(12, 16, 16, 4)), policy="fifo") as network:
        yield network


@pytest.fixture
def app(network, large):
    return create_app({"small": network, "large": large})


def http_client(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def body(train):
    return format_events(EventMessage(train, True))


async def test_decide_uses_the_named_network_and_the_first_by_default(app, network, large):
    async with http_client(app) as http:
        for query, expected in (
            ("", network),
            ("?network=small", network),
            ("?network=large", large),
        ):
            answer = await http.post(f"/decide{query}", content=body(sample()))
            decision = await _decide_as_first(expected)
            assert answer.json()["votes"] == decision.votes.tolist()
            assert answer.json()["spikes"] == decision.total_spikes


async def _decide_as_first(network):
    """Return the decision on the first sample of a connection."""
    [decision] = await network.decide_all([sample()])
    return decision


async def test_stream_uses_the_named_network(app, network, large, no_leaks):
    for query, expected in (("", network), ("network=large", large)):
        async with connect(app, query) as socket:
            socket.send_sample(sample())
            assert_matches(await socket.receive(), await _decide_as_first(expected))
    ServerCounts(app.state.server_state).check_at_rest()


async def test_unknown_network_gets_status_404_with_the_known_ones(app):
    async with http_client(app) as http:
        for method, path in (
            ("POST", "/decide"), ("POST", "/trace"), ("GET", "/about"), ("GET", "/health"),
        ):  # fmt: skip
            answer = await http.request(method, f"{path}?network=medium", content=body(sample()))
            assert (answer.status_code, answer.json()) == (404, UNKNOWN)
            known = await http.request(method, f"{path}?network=large", content=body(sample()))
            assert known.status_code != 404
    with pytest.raises(RefusedError, match="404"):
        async with connect(app, "network=medium"):
            pass


async def test_names_of_networks_need_the_token(network):
    app = create_app({"small": network}, token="open sesame")
    async with http_client(app) as http:
        assert (await http.get("/health")).status_code == 200
        for name in ("small", "medium"):
            assert (await http.get(f"/health?network={name}")).status_code == 401
        assert (await http.get("/health?network=small&token=open+sesame")).status_code == 200


async def test_about_and_trace_describe_the_named_network(app, network, large):
    async with http_client(app) as http:
        default, about = [(await http.get(f"/about{q}")).json() for q in ("", "?network=large")]
        events = {"t_us": sample().t_us.tolist(), "index": sample().index.tolist()}
        trace = (await http.post("/trace?network=large", json={"events": events})).json()
    assert (default["name"], default["networks"]) == ("small", ["small", "large"])
    assert (about["name"], about["networks"]) == ("large", ["small", "large"])
    assert [p["size"] for p in about["populations"]] == [16, 16, 4]
    assert about["connections"][0] == ["input", about["populations"][0]["name"]]
    assert [p["size"] for p in trace["populations"]] == [16, 16, 4]
    assert trace["run"]["policy"] == "fifo"


async def test_metrics_are_counted_for_each_network(app):
    async with http_client(app) as http:
        for name, requests in (("small", 1), ("large", 2)):
            for _ in range(requests):
                await http.post(f"/decide?network={name}", content=body(sample()))
        text = (await http.get("/metrics")).text
    assert 'neuroasync_decisions_total{network="small"} 1.0' in text
    assert 'neuroasync_decisions_total{network="large"} 2.0' in text
    assert 'neuroasync_decision_latency_seconds_count{network="large"} 2.0' in text
    assert "neuroasync_tasks " in text
    assert app.state.server_state.metrics.total("decisions") == 3


async def test_app_opens_and_closes_only_the_networks_that_it_loaded(network, tmp_path):
    write_bundle(chain(), tmp_path / "net.nab")
    app = create_app({"mine": network, "file": tmp_path / "net.nab", "bundle": chain()})
    async with app.router.lifespan_context(app):
        for served in app.state.server_state.networks:
            await served.network.decide(sample())
    await network.decide(sample())
    with pytest.raises(Exception, match="not open"):
        await app.state.server_state.networks.find("file").network.decide(sample())


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({}, "`networks` must have at least one network, got none"),
        ({"": chain()}, "the name of a network must be a printable string of 1 to 100 characters"),
        ({"a\nb": chain()}, "got 'a\\\\nb'"),
        ({3: chain()}, "got 3"),
    ],
)
def test_invalid_names_raise_value_error(sources, message):
    with pytest.raises(ValueError, match=message):
        create_app(sources)


def test_single_network_is_named_like_its_file(tmp_path):
    write_bundle(chain(), tmp_path / "night.watch.nab")
    assert ServedNetworks(tmp_path / "night.watch.nab").names == ("night.watch",)
    assert ServedNetworks(chain()).names == ("network",)


def test_metrics_of_another_number_of_networks_raise_value_error():
    with pytest.raises(ValueError, match="`metrics` must be for 2 networks, got 1"):
        create_app({"a": chain(), "b": chain()}, metrics=ServerMetrics())


def test_metrics_of_networks_and_workers_do_not_mix():
    cells = memoryview(bytearray(2 * 2 * 8 * ServerMetrics.SIZE)).cast("d")
    workers = [ServerMetrics(cells, k, networks=2) for k in range(2)]
    for k, worker in enumerate(workers):
        worker.of_network(0).add("decisions", 10**k)
        worker.of_network(1).add("decisions", 3 * 10**k)
        worker.of_network(1).observe_latency(0.002)
    assert workers[1].total("decisions") == 44
    assert [workers[0].total("decisions", network=n) for n in range(2)] == [11, 33]
    counts = [dict(workers[0].latency_histogram(n)[0])["+Inf"] for n in range(2)]
    assert counts == [0, 2]
