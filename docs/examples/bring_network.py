"""Train a network in snnTorch, and run it without waiting for its layers.

The example needs torch and snnTorch.
"""

# --8<-- [start:train]
import numpy as np
import snntorch as snn
import torch
from torch import nn

import neuroasync as na
from neuroasync.datasets import load_dataset
from neuroasync.interchange import from_snntorch
from neuroasync.metrics import compare_modes

TIMESTEPS, STEP_US = 10, 1000


class Digits(nn.Module):
    """A network as in the tutorials of snnTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 64)
        self.lif1 = snn.Leaky(beta=0.9)
        self.fc2 = nn.Linear(64, 10)
        self.lif2 = snn.Leaky(beta=0.9)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = []
        for frame in frames:  # [timesteps, batch, 64]
            spk1, mem1 = self.lif1(self.fc1(frame), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


def frames_of(samples: na.SpikeTrains) -> torch.Tensor:
    """Return spike trains as frames, [samples, timesteps, 64]."""
    frames = np.zeros((len(samples), TIMESTEPS, 64), np.float32)
    for k, train in enumerate(samples):
        np.add.at(frames[k], (train.t_us // STEP_US, train.index), 1)
    return torch.from_numpy(frames)


digits = load_dataset("digits")
frames, labels = frames_of(digits.train), torch.from_numpy(digits.train.labels.copy())
torch.manual_seed(0)
module = Digits()
optimizer = torch.optim.Adam(module.parameters(), lr=2e-3)
for _ in range(15):
    for batch in torch.randperm(len(frames)).split(64):
        votes = module(frames[batch].transpose(0, 1)).sum(0)
        loss = nn.functional.cross_entropy(votes, labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
# --8<-- [end:train]

# --8<-- [start:import]
bundle, agreement = from_snntorch(
    module, timestep_us=STEP_US, input_shape=(64,), reference=digits.test
)
print(agreement)
na.write_bundle(bundle, "digits.nab")
na.write_spikes(digits.test, "digits.npz")
# --8<-- [end:import]

# --8<-- [start:compare]
compared = compare_modes(bundle, digits.test, "layer-sync,random,momentum,fifo F=1,8")
for run in compared.runs:
    print(f"{run.mode.name:10} F={run.mode.group_size} {run.summary.accuracy:.1%} right")
print(f"worst order: {compared.certificate.worst:.1%} right")
# --8<-- [end:compare]
