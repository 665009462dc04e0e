"""A Ray cluster of five nodes on this machine, to which ``serve deploy`` deploys a network."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import ray
from ray import serve
from ray.cluster_utils import Cluster

from bench.result import CheckError

__all__ = ["APP", "ServingCluster"]

APP: Final = "bench"
_TIMEOUT_S: Final = 120.0
_STORE_BYTES: Final = 100_000_000


class ServingCluster:
    """A node for the gateway, and four nodes for one replica each. Use it inside ``with``.

    Attributes:
        port: port of the proxy at 127.0.0.1.
    """

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]

    def __enter__(self) -> Self:
        """Start the cluster, and deploy two replicas."""
        head = {"num_cpus": 1, "resources": {"gateways": 1}, "include_dashboard": True}
        self._cluster: Any = Cluster(
            initialize_head=True, head_node_args=head | {"object_store_memory": _STORE_BYTES}
        )
        self._nodes = [
            self._cluster.add_node(
                num_cpus=1, resources={"replicas": 1}, object_store_memory=_STORE_BYTES
            )
            for _ in range(4)
        ]
        ray.init(address=self._cluster.address, log_to_driver=False, logging_level="ERROR")
        self.deploy(2, 2)
        asyncio.run(self.until_replicas(2))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the cluster."""
        serve.shutdown()
        ray.shutdown()
        self._cluster.shutdown()

    def deploy(self, min_replicas: int, max_replicas: int) -> None:
        """Run ``serve deploy`` with limits of the number of replicas."""
        scaling = {
            "min_replicas": min_replicas, "max_replicas": max_replicas,
            "target_ongoing_requests": 1, "upscale_delay_s": 1, "downscale_delay_s": 3,
            "metrics_interval_s": 0.5, "look_back_period_s": 2,
        }  # fmt: skip
        replicas = {"num_cpus": 1, "resources": {"replicas": 0.1}}
        gateway = {"num_cpus": 0, "resources": {"gateways": 0.1}}
        config = {
            # A connection ends with the node whose proxy it goes through.
            "proxy_location": "HeadOnly",
            "http_options": {"host": "127.0.0.1", "port": self.port},
            "applications": [
                {
                    "name": APP,
                    "import_path": "neuroasync.cluster.serving:app",
                    "args": {"networks": "unlayered"},
                    "deployments": [
                        {
                            "name": "Replica",
                            "autoscaling_config": scaling,
                            "ray_actor_options": replicas,
                        },
                        {"name": "Gateway", "ray_actor_options": gateway},
                    ],
                }
            ],
        }
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "config.yaml"
            file.write_text(json.dumps(config), encoding="utf-8")  # every JSON text is YAML
            self._run("serve", "deploy", str(file))

    async def until_replicas(self, count: int) -> None:
        """Wait until so many replicas take requests, and no others.

        Cancellation: safe.

        Raises:
            CheckError: it took too long.
        """
        states = None
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                while states != {"RUNNING": count}:
                    await asyncio.sleep(0.1)
                    found = serve.status().applications.get(APP)
                    if found is not None and "Replica" in found.deployments:
                        states = found.deployments["Replica"].replica_states
        except TimeoutError:
            raise CheckError(f"{count} replicas are expected, there are {states}") from None

    def kill_node(self) -> None:
        """Kill a node with a replica."""
        self._cluster.remove_node(self._busy_node(), allow_graceful=False)

    def drain_node(self) -> None:
        """Tell Ray that a node with a replica will end in 10 s."""
        self._run(
            "ray", "drain-node", "--address", self._cluster.address,
            "--node-id", self._busy_node().node_id,
            "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "bench",
            "--deadline-remaining-seconds", "10",
        )  # fmt: skip

    def _busy_node(self) -> Any:
        url = f"{self._dashboard}/api/serve/applications/"
        with urllib.request.urlopen(url) as answer:  # noqa: S310  # the address of our own cluster
            application = json.load(answer)["applications"][APP]
        replicas = application["deployments"]["Replica"]["replicas"]
        busy = {replica["node_id"] for replica in replicas if replica["state"] == "RUNNING"}
        return next(node for node in self._nodes if node.node_id in busy)

    @property
    def _dashboard(self) -> str:
        return f"http://{self._cluster.head_node.webui_url}"

    def _run(self, program: str, *arguments: str) -> None:
        environment = os.environ | {"RAY_DASHBOARD_ADDRESS": self._dashboard}
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise CheckError(f"{program} {arguments[0]}: {ended.stdout}{ended.stderr}")
