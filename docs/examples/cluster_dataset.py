"""Decide the rows of a Ray dataset, block by block, on the workers of a cluster."""

import ray.data

from neuroasync import Network
from neuroasync.cluster import BatchDecider, Cluster
from neuroasync.shipped import shipped_spikes


def mark(batch):
    return batch | {"is_right": batch["decided_label"] == batch["label"]}


spikes = shipped_spikes()
rows = [
    {"number": k, "label": label, "t_us": train.t_us, "index": train.index}
    for k, (train, label) in enumerate(zip(spikes, spikes.labels, strict=True))
]
with Cluster("local", cpus=2):
    samples = ray.data.from_items(rows)  # or ray.data.read_parquet("samples")
    samples.context.execution_options.preserve_order = True
    decide = BatchDecider(Network.load("unlayered", until="margin(3)"), seed=5)
    decided = samples.map_batches(decide, batch_size=64).drop_columns(["t_us", "index"])
    for row in decided.take(3):
        print(row["number"], row["decided_label"], row["votes"], row["rounds"])
    print(f"{decided.map_batches(mark).mean('is_right'):.1%} are right")
    decided.write_parquet("decisions", mode="overwrite")
