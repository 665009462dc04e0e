"""Use a Ray cluster, here of one machine: decide data sets, train, run a study and serve.

Each result is compared with that of a single process. This example needs the extras ``ray``,
``serve``, ``train`` and ``viz``, and takes about a minute.
"""

import asyncio
import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import ray.data
import websockets
from ray import serve

from neuroasync import Network, SpikeTrains
from neuroasync.cluster import BatchDecider, Cluster
from neuroasync.cluster.serving import deployment
from neuroasync.datasets import load_dataset
from neuroasync.shipped import shipped_spikes
from neuroasync.study import Case, Grid, StudyPlan, run_study
from neuroasync.train.recipes import RECIPES, train_dataset

QUICK_RECIPE = RECIPES["digits"]["layered"].with_training(epochs=2, device="cpu")


async def votes_of(samples: SpikeTrains, seed: int | None = None) -> list[list[int]]:
    """Decide samples in this process, and return their votes."""
    async with Network.load("unlayered") as network:
        decisions = await network.decide_all(samples, seed=seed)
    return [decision.votes.tolist() for decision in decisions]


async def decide_samples(cluster: Cluster, samples: SpikeTrains) -> bool:
    """Decide a data set in memory."""
    async with Network.load("unlayered") as network:
        decisions = await network.decide_all(samples, cluster=cluster)
    return [decision.votes.tolist() for decision in decisions] == await votes_of(samples)


def decide_rows(samples: SpikeTrains) -> bool:
    """Decide the rows of a Ray dataset, which may be larger than the memory."""
    rows = [
        {"number": k, "t_us": train.t_us, "index": train.index} for k, train in enumerate(samples)
    ]
    decider = BatchDecider(Network.load("unlayered"))
    decided = ray.data.from_items(rows).map_batches(decider, batch_size=32).take_all()
    votes = {row["number"]: row["votes"].tolist() for row in decided}
    return [votes[k] for k in range(len(samples))] == asyncio.run(votes_of(samples))


async def train(cluster: Cluster) -> bool:
    """Train a network by two workers."""
    digits = load_dataset("digits").at_most(train=200, measured=50)
    bundle = await cluster.train_dataset(digits, QUICK_RECIPE, name="digits", workers=2)
    return bundle.digest == train_dataset(digits, QUICK_RECIPE, name="digits").digest


def study(cluster: Cluster, folder: Path) -> bool:
    """Train and measure the networks of a study, each on a worker."""
    case = Case(
        name="digits",
        dataset="digits",
        recipes={"layered": QUICK_RECIPE},
        max_train=200,
        max_measured=50,
        grid=Grid(group_sizes=(8,)),
    )
    plan = StudyPlan((case,), seeds=(0,))
    run_study(plan, folder / "cluster", cluster=cluster)
    run_study(plan, folder / "alone")
    results = [(folder / name / "results.json").read_bytes() for name in ("cluster", "alone")]
    return results[0] == results[1]


async def ask_server(samples: SpikeTrains) -> bool:
    """Serve a network by two replicas, and send samples over a websocket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # a free port
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(deployment("unlayered", replicas=2), name="digits")
    async with websockets.connect(f"ws://127.0.0.1:{port}/stream?seed=7") as client:
        for sample in samples:
            events = {"t_us": sample.t_us.tolist(), "index": sample.index.tolist(), "end": True}
            await client.send(json.dumps(events))
        votes = [json.loads(await client.recv())["votes"] for _ in samples]
    return votes == await votes_of(samples, seed=7)


def main() -> None:
    samples = shipped_spikes()
    with Cluster("local", cpus=2) as cluster, TemporaryDirectory() as folder:
        print(
            "samples decided, same as in one process:",
            asyncio.run(decide_samples(cluster, samples)),
        )
        print("rows decided, same as in one process:", decide_rows(samples[:100]))
        print("network trained, same as in one process:", asyncio.run(train(cluster)))
        print("study run, same as in one process:", study(cluster, Path(folder)))
        print("samples served, same as in one process:", asyncio.run(ask_server(samples[:20])))


if __name__ == "__main__":
    main()
