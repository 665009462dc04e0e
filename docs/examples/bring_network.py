"""Train a network in snnTorch, import it, and fine-tune it to run without waiting for its layers.

The example needs torch and snnTorch.
"""

# --8<-- [start:train]

import snntorch as snn
import torch
from torch import nn

import neuroasync as na
from neuroasync.datasets import load_dataset
from neuroasync.interchange import frames_of, from_snntorch
from neuroasync.metrics import compare_modes
from neuroasync.train.recipes import RECIPES, fine_tuning, for_input, train_dataset

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


digits = load_dataset("digits")
frames = torch.from_numpy(frames_of(digits.train, STEP_US, TIMESTEPS)).flatten(2)
labels = torch.from_numpy(digits.train.labels.copy())
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

# --8<-- [start:tune]
recipe = for_input(fine_tuning(RECIPES["digits"]["unlayered-random"], bundle), "queued")
recipe = recipe.with_training(epochs=4)
tuned = train_dataset(digits, recipe, name="unlayered-random", start=bundle)
na.write_bundle(tuned, "free.nab")
# --8<-- [end:tune]

# --8<-- [start:compare]
MODES = "layer-sync,random,momentum,fifo F=1,8 queued"
before, after = (compare_modes(network, digits.test, MODES) for network in (bundle, tuned))
for run, other in zip(before.runs, after.runs, strict=True):
    accuracies = f"{run.summary.accuracy:.1%} imported, {other.summary.accuracy:.1%} fine-tuned"
    print(f"{run.mode.name:10} F={run.mode.group_size} {accuracies}")
# --8<-- [end:compare]
