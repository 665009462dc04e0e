"""``serve deploy`` with a config file serves a bundle, and changes it while clients use it."""

import asyncio
import copy
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import websockets
import yaml
from ray import serve

from bench.serving_clients import as_message, run_clients
from neuroasync import Network, write_bundle
from tests.helpers.asgi_client import split
from tests.helpers.mixed_samples import read_answer
from tests.helpers.paths import ROOT
from tests.helpers.small_networks import chain, sample, samples

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])

APP = "digits"
BUNDLES = {"first": chain(), "second": chain(seed=9)}


class Deployed:
    """The application of the documentation's config file, with small networks."""

    def __init__(self, folder, dashboard):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.folder, self._dashboard = folder, dashboard
        file = ROOT / "docs" / "examples" / "serve_on_cluster.yaml"
        self.config = yaml.safe_load(file.read_text(encoding="utf-8"))
        self.config["http_options"] = {"host": "127.0.0.1", "port": port}
        (self.application,) = self.config["applications"]
        self.networks = self.application["args"]["networks"]
        self.replicas, self.gateways = self.application["deployments"]
        self.replicas.pop("autoscaling_config")
        self.replicas["num_replicas"] = 1
        for name, bundle in BUNDLES.items():
            write_bundle(bundle, folder / f"{name}.nab")
        self.use("first")

    def use(self, name):
        """Serve another bundle from the next call of ``deploy``."""
        self.name = name
        self.networks["digits"] = str(self.folder / f"{name}.nab")

    @property
    def bundle(self):
        """The bundle that is served."""
        return BUNDLES[self.name]

    def deploy(self):
        """Run ``serve deploy``."""
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump(self.config), encoding="utf-8")
        program = Path(sys.executable).with_name("serve")
        environment = os.environ | {"RAY_DASHBOARD_ADDRESS": self._dashboard}
        command = [str(program), "deploy", str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    async def until_it_runs(self):
        """Wait until the replicas of the config file run, and no others."""
        replicas = self.replicas["num_replicas"]
        async with asyncio.timeout(180):
            while True:
                application = serve.status().applications.get(APP)
                if application is not None and application.status == "RUNNING":
                    found = application.deployments
                    if found["Replica"].replica_states == {"RUNNING": replicas}:
                        return
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def deployed(dashboard, cluster, tmp_path_factory):
    """The deployment of a config file."""
    del cluster
    deployed = Deployed(tmp_path_factory.mktemp("deployed"), dashboard)
    try:
        deployed.deploy()
        yield deployed
    finally:
        serve.shutdown()


async def test_bundle_is_served_over_http_and_a_websocket(deployed):
    await deployed.until_it_runs()
    async with Network(deployed.bundle) as network:
        decisions = await network.decide_all([sample(seed=1), sample(seed=2)], seed=5)
    async with httpx.AsyncClient(base_url=f"http://{deployed.address}", timeout=60) as http:
        answer = await http.post("/decide?seed=5", content=as_message(sample(seed=1), True))
        assert answer.json()["votes"] == decisions[0].votes.tolist()
        assert list((await http.get("/about")).json()["networks"]) == ["digits"]
    async with websockets.connect(f"ws://{deployed.address}/stream?seed=5") as client:
        for number in (1, 2):
            first, last = split(sample(seed=number), (20,))
            await client.send(as_message(first, False))
            await client.send(as_message(last, True))
        votes = [read_answer(await client.recv())["votes"] for _ in range(2)]
    assert votes == [decision.votes.tolist() for decision in decisions]


async def test_no_answer_is_lost_or_sent_twice_when_a_changed_config_scales(deployed):
    async def change(clients):
        for replicas in (2, 1):
            deployed.replicas["num_replicas"] = replicas
            await asyncio.to_thread(deployed.deploy)
            await deployed.until_it_runs()
            count = clients[0].sent
            while clients[0].sent < count + 5:
                await asyncio.sleep(0.01)

    await deployed.until_it_runs()
    await run_clients(6, deployed.address, Network(deployed.bundle), samples(64), change)


async def answers_until_the_end(address, number):
    """Send samples until the server closes the connection; return the answers and the code."""
    answers = []

    async def send(client):
        for k in range(100_000):
            await client.send(as_message(sample(seed=k), True))
            while k - len(answers) > 2 and client.close_code is None:
                await asyncio.sleep(0.002)

    async with websockets.connect(f"ws://{address}/stream?seed={number}") as client:
        sending = asyncio.create_task(send(client))
        async for message in client:  # the sender needs each of them at once
            answers.append(read_answer(message))  # noqa: PERF401
        with pytest.raises(websockets.ConnectionClosed):
            await sending
        return answers, client.close_code


async def test_accepted_samples_are_answered_before_another_bundle_replaces_theirs(deployed):
    await deployed.until_it_runs()
    before = deployed.bundle
    deployed.use("second" if deployed.name == "first" else "first")
    clients = [asyncio.create_task(answers_until_the_end(deployed.address, k)) for k in range(3)]
    await asyncio.to_thread(deployed.deploy)
    async with asyncio.timeout(180):
        found = await asyncio.gather(*clients)
    async with Network(before) as network:
        for number, (answers, code) in enumerate(found):
            assert code == 1001
            decided = [answer for answer in answers if "error" not in answer]
            expected = await network.decide_all(
                [sample(seed=k) for k in range(len(decided))], seed=number
            )
            assert [a["sample"] for a in answers] == list(range(len(answers)))
            assert [a["votes"] for a in decided] == [d.votes.tolist() for d in expected]
            # A sample that was not accepted may be told so, after all decisions.
            told = {answer["error"] for answer in answers[len(decided) :]}
            assert told <= {"the server is shutting down"}
            assert decided
    await deployed.until_it_runs()
    async with Network(deployed.bundle) as network:
        (decision,) = await network.decide_all([sample(seed=1)], seed=5)
    async with httpx.AsyncClient(base_url=f"http://{deployed.address}", timeout=60) as http:
        answer = await http.post("/decide?seed=5", content=as_message(sample(seed=1), True))
    assert answer.json()["votes"] == decision.votes.tolist()
    assert answer.json()["votes"] != expected[1].votes.tolist()


async def test_wrong_config_is_told_without_a_call_stack(deployed):
    await deployed.until_it_runs()
    config, deployed.config = deployed.config, copy.deepcopy(deployed.config)
    wrong = copy.deepcopy(deployed.application) | {"name": "wrong", "route_prefix": "/wrong"}
    wrong["args"]["networks"] = "/no/such.nab"
    deployed.config["applications"].append(wrong)
    await asyncio.to_thread(deployed.deploy)
    deployed.config = config
    async with asyncio.timeout(180):
        while (status := serve.status().applications.get("wrong")) is None or (
            status.status != "DEPLOY_FAILED"
        ):
            await asyncio.sleep(0.05)
    _, told = status.message.split("\n", 1)
    assert told.startswith("'/no/such.nab': cannot be read: No such file or directory (read on ")
    assert serve.status().applications[APP].status == "RUNNING"
