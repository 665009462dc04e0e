"""Use a Ray cluster, here of one machine: decide data sets, train, run a study and serve.

Each result is compared with that of this process alone. This example needs the extras ``ray``,
``serve``, ``train`` and ``viz``, and takes about a minute.
"""

import asyncio
import json
from dataclasses import replace
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
from neuroasync.train.recipes import RECIPES, Recipe, train_dataset

PORT = 8766


def short(training: str) -> Recipe:
    """Return a recipe for digits with few epochs."""
    recipe = RECIPES["digits"][training]
    return replace(recipe, config=replace(recipe.config, epochs=2, device="cpu"))


async def decide(cluster: Cluster, samples: SpikeTrains) -> None:
    """Decide a data set in memory."""
    async with Network.load("unlayered") as network:
        decisions = await network.decide_all(samples, cluster=cluster)
        alone = await network.decide_all(samples)
    print(f"decided {len(decisions)} samples; as alone: {decisions == alone}")


def decide_blocks(samples: SpikeTrains) -> None:
    """Decide the rows of a Ray dataset, which may be larger than the memory."""
    rows = [
        {"number": k, "label": label, "t_us": train.t_us, "index": train.index}
        for k, (train, label) in enumerate(zip(samples, samples.labels, strict=True))
    ]
    decide = BatchDecider(Network.load("unlayered"))
    decided = ray.data.from_items(rows).map_batches(decide, batch_size=32).take_all()
    right = sum(row["decided_label"] == row["label"] for row in decided)
    print(f"decided the rows of a dataset; {right} of {len(decided)} are right")


async def train(cluster: Cluster) -> None:
    """Train one network by two workers."""
    digits, recipe = load_dataset("digits").at_most(train=300, measured=100), short("layered")
    bundle = await cluster.train_dataset(digits, recipe, name="digits", workers=2)
    alone = train_dataset(digits, recipe, name="digits")
    print("trained a network; as alone:", bundle.digest == alone.digest)


def study(cluster: Cluster, folder: Path) -> None:
    """Train and measure several networks at a time."""
    case = Case(
        name="digits",
        dataset="digits",
        recipes={"layered": short("layered"), "unlayered-random": short("unlayered-random")},
        max_train=200,
        max_measured=50,
        grid=Grid(group_sizes=(8,)),
    )
    plan = StudyPlan((case,), seeds=(0,))
    run_study(plan, folder / "cluster", cluster=cluster)
    run_study(plan, folder / "alone")
    results = [(folder / name / "results.json").read_bytes() for name in ("cluster", "alone")]
    print("ran a study; as alone:", results[0] == results[1])


async def ask_server(samples: SpikeTrains) -> None:
    """Serve a network by two replicas, and send samples over a websocket."""
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(deployment("unlayered", replicas=2), name="digits")
    async with websockets.connect(f"ws://127.0.0.1:{PORT}/stream?seed=7") as client:
        for sample in samples:
            events = {"t_us": sample.t_us.tolist(), "index": sample.index.tolist(), "end": True}
            await client.send(json.dumps(events))
        answers = [json.loads(await client.recv()) for _ in samples]
    async with Network.load("unlayered") as network:
        decisions = await network.decide_all(samples, seed=7)
    is_equal = [a["votes"] for a in answers] == [d.votes.tolist() for d in decisions]
    print(f"served {len(answers)} samples; as alone: {is_equal}")


def main() -> None:
    samples = shipped_spikes()
    with Cluster("local", cpus=2) as cluster, TemporaryDirectory() as folder:
        asyncio.run(decide(cluster, samples))
        decide_blocks(samples[:100])
        asyncio.run(train(cluster))
        study(cluster, Path(folder))
        asyncio.run(ask_server(samples[:20]))


if __name__ == "__main__":
    main()
