"""Run a network in the benchmark harness NeuroBench. Needs the extra ``neurobench``."""

# --8<-- [start:run]
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import (
    ActivationSparsity,
    ClassificationAccuracy,
    MembraneUpdates,
    SynapticOperations,
)
from torch.utils.data import DataLoader, TensorDataset

from neuroasync.interchange import frames_of
from neuroasync.interchange.neurobench import NeuroasyncModel
from neuroasync.shipped import shipped_bundle, shipped_spikes

bundle, samples = shipped_bundle("unlayered"), shipped_spikes()
frames = torch.from_numpy(frames_of(samples, bundle.model.timestep_us))
labels = torch.from_numpy(samples.labels.copy())
loader = DataLoader(TensorDataset(frames, labels), batch_size=60)

static = [Footprint, ParameterCount, ConnectionSparsity]
workload = [ClassificationAccuracy, ActivationSparsity, SynapticOperations, MembraneUpdates]
benchmark = Benchmark(NeuroasyncModel(bundle), loader, [], [], [static, workload])
for name, value in benchmark.run(quiet=True).items():
    print(name, value)
# --8<-- [end:run]
