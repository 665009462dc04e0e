"""Train a network in a loop of your own, and export it. Needs the extra ``train``."""

# --8<-- [start:loop]
import torch

import neuroasync as na
from neuroasync import train

TOPOLOGY = "timestep_us=1000 decay=0.9; input 8x8; hidden d32; output d10 reset=subtract"
samples = na.shipped.shipped_spikes("digits")
fitting, held_out = samples[:260], samples[260:]

network = train.SpikingNetwork(na.parse_topology(TOPOLOGY), by_connection=True)
batches = train.Batches(network.model, fitting, batch_size=32)
first, _ = next(batches.epoch(0))
train.scale_to_firing_rate(network, first, rate=0.1, seed=0)
groups = network.parameters_by_connection()
optimizer = torch.optim.Adam(
    [
        {"params": groups["input -> hidden"], "lr": 0.01},
        {"params": groups["hidden -> output"], "lr": 0.02},
    ]
)
settings = train.RunSettings(train.Random(), group_size=8)
for epoch in range(6):
    for batch, labels in batches.epoch(epoch):
        result = network(batch, settings)
        penalty = train.spike_penalty(result.spikes, batch.passes, network.hidden, target=8.0)
        loss = train.vote_loss(result.votes, labels, batch.passes) + 0.01 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    decided, spikes = train.evaluate(network, held_out, settings)
    print(f"epoch {epoch}: {(decided == held_out.labels).mean():.0%}, {spikes.sum():.0f} spikes")
na.write_bundle(train.export_bundle(network, held_out, settings=settings), "own-loop.nab")
# --8<-- [end:loop]
