"""Train a network by two workers of a Ray cluster, and again by this process alone."""

import asyncio

from neuroasync import Bundle
from neuroasync.cluster import Cluster
from neuroasync.datasets import load_dataset
from neuroasync.train.recipes import RECIPES, train_dataset

digits = load_dataset("digits").at_most(train=300, measured=100)
recipe = RECIPES["digits"]["unlayered-random"].with_training(epochs=2, device="cpu")


async def train() -> Bundle:
    with Cluster("local", cpus=2) as cluster:
        return await cluster.train_dataset(digits, recipe, name="unlayered-random", workers=2)


bundle = asyncio.run(train())
alone = train_dataset(digits, recipe, name="unlayered-random")
print("the same bundle:", bundle.digest == alone.digest)
