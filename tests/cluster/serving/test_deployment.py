"""A client of a deployment gets the answers of a server in one process, and each of them once."""

import asyncio
import os
import random
import signal
import socket
from pathlib import Path

import httpx
import pytest
import websockets
from ray import serve

from bench.serving_clients import as_message, run_clients
from bench.worker_processes import pids_titled
from neuroasync import BundleError, Network
from neuroasync.cluster.serving import deployment
from neuroasync.serve import ServerLimits, create_app
from tests.helpers.asgi_client import connect, http_client
from tests.helpers.mixed_samples import collect_answers, mixed_messages, read_answer
from tests.helpers.small_networks import chain, sample, samples

# Once is enough: neither the gateway nor the replicas run in the loop of the test.
pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])

APP = "small"
BUNDLE = chain()
QUERY = "seed=5&policy=momentum&group_size=3"
LIMITS = ServerLimits(max_message_bytes=10_000)


@pytest.fixture(scope="module")
def address(cluster):
    """The address of a deployment with two replicas."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config={"log_level": 30})
    try:
        app = deployment({"small": BUNDLE}, replicas=2, limits=LIMITS)
        serve.run(app, name=APP)
        yield f"127.0.0.1:{port}"
    finally:
        serve.shutdown()


@pytest.fixture
def local():
    """The app of a server in this process."""
    return create_app({"small": BUNDLE}, limits=LIMITS)


async def until_replicas(count):
    """Wait until so many replicas run, and no others."""
    async with asyncio.timeout(60):
        while True:
            states = serve.status().applications[APP].deployments["Replica"].replica_states
            if states == {"RUNNING": count}:
                return
            await asyncio.sleep(0.05)


async def test_arguments_are_checked_before_anything_is_deployed():
    for arguments, message in (
        ({"replicas": 0}, "`replicas` must be"),
        ({"token": ""}, "`token` must not be empty"),
        ({"when_full": "wait"}, "when_full"),
        ({"allow_hosts": "example"}, "`allow_hosts` must be a list of texts, got 'example'"),
    ):
        with pytest.raises(ValueError, match=message):
            deployment(BUNDLE, **arguments)
    with pytest.raises(BundleError, match="No such file"):
        deployment("./no.nab")
    async with Network(BUNDLE) as network:
        with pytest.raises(TypeError, match="an open network"):
            deployment(network)
    with pytest.raises(TypeError, match=r"`limits` must be a ServerLimits, got dict"):
        deployment(BUNDLE, limits={})


async def test_later_changes_of_an_argument_have_no_effect():
    hosts = ["example.com"]
    application = deployment(BUNDLE, allow_hosts=hosts)
    hosts.append("not a host")
    (*_, options) = application._bound_deployment.init_args
    assert options["allow_hosts"] == ("example.com",)


async def test_answers_over_a_websocket_are_those_of_one_process(address, local):
    async with local.router.lifespan_context(local), connect(local, QUERY) as client:
        for message in mixed_messages():
            client.send(message)
        expected = await collect_answers(client.receive)
    async with websockets.connect(f"ws://{address}/stream?{QUERY}") as client:
        for message in mixed_messages():
            await client.send(message)

        async def receive():
            return read_answer(await client.recv())

        assert await collect_answers(receive) == expected


@pytest.mark.parametrize(
    ("query", "content", "headers"),
    [
        (QUERY, as_message(sample(seed=1), True), {}),
        ("network=small", as_message(sample(seed=2), True), {"Content-Type": "application/json"}),
        (QUERY, '{"t_us": [0], "index": [99]}', {}),
        (QUERY, "nonsense", {}),
        ("until=soon", as_message(sample(), True), {}),
        ("network=large", as_message(sample(), True), {}),
        ("", "[" * 10_001, {}),
        ("", "", {"Content-Type": "text/plain"}),
        ("", as_message(sample(), True), {"Origin": "https://example.com"}),
    ],
)
async def test_answers_over_http_are_those_of_one_process(address, local, query, content, headers):
    answers = []
    async with (
        local.router.lifespan_context(local),
        http_client(local) as here,
        httpx.AsyncClient(base_url=f"http://{address}") as there,
    ):
        for http in (here, there):
            answer = await http.post(f"/decide?{query}", content=content, headers=headers)
            body = answer.json()
            body.pop("latency_ms", None)
            answers.append((answer.status_code, answer.headers["content-type"], body))
    assert answers[0] == answers[1]


async def test_handshakes_are_refused_and_closed_as_in_one_process(address):
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://{address}/stream?network=large")
    assert refused.value.response.status_code == 404
    for query, message, code in (("policy=best", "", 1008), ("", "x" * 10_001, 1009)):
        async with websockets.connect(f"ws://{address}/stream?{query}") as client:
            with pytest.raises(websockets.ConnectionClosed):
                await client.send(message)
                while True:
                    await client.recv()
            assert client.close_code == code


async def test_other_routes_are_those_of_one_process(address, local):
    trace = {"events": {"t_us": [0, 1000], "index": [3, 11]}}
    async with (
        local.router.lifespan_context(local),
        http_client(local) as here,
        httpx.AsyncClient(base_url=f"http://{address}") as there,
    ):
        assert (await there.get("/about")).json() == (await here.get("/about")).json()
        traces = [(await http.post("/trace", json=trace)).json() for http in (here, there)]
        assert traces[0] == traces[1]
        assert (await there.get("/health")).json() == {"status": "ok"}
        assert "neuroasync_decisions_total" in (await there.get("/metrics")).text


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds processes in /proc")
async def test_no_answer_is_lost_or_sent_twice_when_replicas_are_killed(address):
    moments = random.Random(3)

    async def kill(clients):
        for _ in range(2):
            await until_replicas(2)
            count = clients[0].sent + moments.randrange(5, 50)
            while clients[0].sent < count:
                await asyncio.sleep(0.01)
            os.kill(moments.choice(pids_titled(f"ray::ServeReplica:{APP}:Replica")), signal.SIGKILL)
            for client in clients:  # each of them gets an answer afterwards
                count = client.sent
                while client.sent < count + 2:
                    await asyncio.sleep(0.01)

    await run_clients(6, address, Network(BUNDLE), samples(64), kill)
