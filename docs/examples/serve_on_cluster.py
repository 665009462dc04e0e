"""Serve a network on two replicas of a Ray cluster, here of one on this machine."""

import asyncio
import json

import websockets
from ray import serve

from neuroasync import Network
from neuroasync.cluster import Cluster
from neuroasync.cluster.serving import deployment
from neuroasync.shipped import shipped_spikes

PORT = 8765


async def ask(samples) -> list[dict]:
    """Send samples over a websocket, and return the answers."""
    async with websockets.connect(f"ws://127.0.0.1:{PORT}/stream?seed=7") as client:
        for sample in samples:
            events = {"t_us": sample.t_us.tolist(), "index": sample.index.tolist(), "end": True}
            await client.send(json.dumps(events))
        return [json.loads(await client.recv()) for _ in samples]


async def main() -> None:
    samples = shipped_spikes()[:20]
    with Cluster("local", cpus=2):
        serve.start(http_options={"host": "127.0.0.1", "port": PORT})
        serve.run(deployment("unlayered", replicas=2), name="digits")
        answers = await ask(samples)
    async with Network.load("unlayered") as network:
        decisions = await network.decide_all(samples, seed=7)
    print([answer["label"] for answer in answers])
    print("the same votes:", [a["votes"] for a in answers] == [d.votes.tolist() for d in decisions])


asyncio.run(main())
