"""NeuroBench measures a network as neuroasync does, and as it measures the original module.

Published values are those of ``tests/test_metrics.py`` of NeuroBench at commit e521c28 (after its
release 2.3.0); ``tests/metrics/test_neurobench.py`` has them for neuroasync's own metrics.
"""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("neurobench", reason="needs NeuroBench")

import torch
from hypothesis import given
from hypothesis import strategies as st
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import (
    ActivationSparsity,
    ClassificationAccuracy,
    MembraneUpdates,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import neuroasync as na
from neuroasync import metrics
from neuroasync.core.engine.policies import make_policy
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.interchange import frames_of, from_snntorch
from neuroasync.interchange.neurobench import NeuroasyncModel
from neuroasync.interchange.torch_modules.reference_samples import ReferenceSamples
from neuroasync.shipped import shipped_bundle, shipped_spikes
from tests.helpers.hand_networks import MS
from tests.helpers.recordings import moderate, record
from tests.helpers.strategies import models

pytestmark = pytest.mark.filterwarnings("ignore")  # of NeuroBench
STATIC = [Footprint, ConnectionSparsity, ParameterCount]
WORKLOAD = [ActivationSparsity, SynapticOperations, MembraneUpdates, ClassificationAccuracy]


def benchmark(model, frames, labels=None, batch_size=3):
    """Run NeuroBench without its own processors, and return its results."""
    labels = np.zeros(len(frames), np.int64) if labels is None else labels
    data = TensorDataset(torch.from_numpy(np.array(frames, np.float32)), torch.tensor(labels))
    loader = DataLoader(data, batch_size=batch_size)
    return Benchmark(model, loader, [], [], [STATIC, WORKLOAD]).run(quiet=True)


def check(found, bundle, work):
    """Compare NeuroBench's results with neuroasync's metrics."""
    operations = found["SynapticOperations"]
    assert found["Footprint"] == metrics.footprint(bundle.model).total
    assert found["ParameterCount"] == bundle.model.parameters
    assert found["ActivationSparsity"] == pytest.approx(work.activation_sparsity, abs=1e-9)
    assert operations["Effective_ACs"] == pytest.approx(work.effective_acs)
    assert operations["Effective_MACs"] == pytest.approx(work.effective_macs)
    assert operations["Dense"] == pytest.approx(work.dense)


@pytest.mark.parametrize("policy", ["layer-sync", "random", "momentum"])
async def test_a_shipped_network_measures_the_same_in_both(policy):
    bundle, samples = shipped_bundle("unlayered"), shipped_spikes()[:20]
    frames = frames_of(samples, bundle.model.timestep_us, 10)
    model = NeuroasyncModel(bundle, policy=policy, seed=3)
    found = benchmark(model, frames, samples.labels, batch_size=7)
    async with na.Network(bundle, policy=policy) as network:
        recorder = network.recorder()
        await network.decide_all(
            samples, seed=3, recorder=recorder, duration_us=10 * bundle.model.timestep_us
        )
    recording = recorder.finish()
    check(found, bundle, metrics.workload(recording, bundle))
    assert found["ConnectionSparsity"] == metrics.connection_sparsity(bundle.model)
    right = np.mean(recording.label == samples.labels)
    assert found["ClassificationAccuracy"] == pytest.approx(right)


@given(data=st.data())
@moderate(15)
def test_any_network_measures_the_same_in_both(data):
    model = data.draw(models(extended=True, timestep_us=MS))
    bundle = na.Bundle(model)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    frames = rng.choice(3, (4, 3, *model.input_shape), p=[0.6, 0.35, 0.05])
    samples = ReferenceSamples(frames, MS)
    run = RunSettings(make_policy("fifo"), 2, "queued", max_forward_steps=200)
    try:
        recording = record(bundle, samples.trains, run, duration_us=3 * MS)
    except na.ForwardStepLimitError:
        return
    wrapped = NeuroasyncModel(bundle, policy="fifo", group_size=2, input="queued")
    check(benchmark(wrapped, frames, batch_size=4), bundle, metrics.workload(recording, bundle))


def test_values_of_input_events_are_multiplied_in_both():
    dense = na.Dense("input", "out", np.full((4, 3), 0.3, np.float32))
    model = na.Model(MS, (3,), (na.Population("out", (4,)),), (dense,), "out")
    bundle = na.Bundle(model)
    frames = np.array([[[1, 0, 1], [0.5, 0, 1], [0, -1, 0]], [[0, 0, 0], [1, 1, 0], [0, 0.25, 2]]])
    samples = ReferenceSamples(frames, MS)
    recording = record(bundle, samples.trains, RunSettings(), duration_us=3 * MS)
    found = benchmark(NeuroasyncModel(bundle), frames, batch_size=2)
    check(found, bundle, metrics.workload(recording, bundle))
    assert found["SynapticOperations"]["Effective_MACs"] == 8


def spiking_module():
    import snntorch as snn

    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, bias=False),
        snn.Leaky(beta=0.8, init_hidden=True, threshold=0.3),
        nn.Flatten(),
        nn.Linear(32, 5),
        snn.Leaky(beta=0.9, init_hidden=True, output=True, threshold=0.2),
    )


def test_an_imported_network_measures_as_the_module_that_it_comes_from():
    module = spiking_module()
    frames = np.random.default_rng(0).random((6, 8, 1, 4, 4)) < 0.4
    bundle, report = from_snntorch(module, timestep_us=MS, reference=frames)
    assert report.exact == 6
    theirs = SNNTorchModel(module)
    expected = benchmark(theirs, frames, batch_size=1)
    found = benchmark(NeuroasyncModel(bundle, policy="layer-sync"), frames, batch_size=1)
    assert found["ActivationSparsity"] == pytest.approx(expected["ActivationSparsity"])
    assert found["SynapticOperations"] == expected["SynapticOperations"]
    assert found["MembraneUpdates"] == expected["MembraneUpdates"]
    assert found["ConnectionSparsity"] == expected["ConnectionSparsity"]
    assert found["ParameterCount"] == expected["ParameterCount"]


def test_published_numbers_of_a_spiking_network():
    # net_snn: 20 inputs, 5 neurons; test_synaptic_ops and test_membrane_potential_updates.
    dense = na.Dense("input", "out", np.full((5, 20), 0.02, np.float32))
    neurons = na.LIF(tau_mem_us=9491.2, reset="subtract", reset_delayed=True)
    model = na.Model(MS, (20,), (na.Population("out", (5,), neurons),), (dense,), "out")
    found = benchmark(NeuroasyncModel(na.Bundle(model)), np.ones((5, 10, 20)), batch_size=5)
    assert found["SynapticOperations"] == {
        "Effective_MACs": 0, "Effective_ACs": 1000, "Dense": 1000,
    }  # fmt: skip
    assert found["MembraneUpdates"] == 50


def test_published_operations_of_a_convolution():
    # net_conv_2d: 900 multiply-accumulates for 12 x 12 inputs and a 3 x 3 kernel.
    conv = na.Conv2d("input", "out", np.ones((1, 1, 3, 3), np.float32))
    model = na.Model(MS, (1, 12, 12), (na.Population("out", (1, 10, 10)),), (conv,), "out")
    frames = np.ones((1, 1, 1, 12, 12))
    frames[0, 0, 0, 0, 0] = 4
    found = benchmark(NeuroasyncModel(na.Bundle(model)), frames)
    assert found["SynapticOperations"] == {
        "Effective_MACs": 900, "Effective_ACs": 0, "Dense": 900,
    }  # fmt: skip


def test_labels_are_those_of_the_network_with_and_without_hooks():
    bundle, samples = shipped_bundle("unlayered"), shipped_spikes()[:9]
    frames = torch.from_numpy(frames_of(samples, bundle.model.timestep_us, 10))
    plain, hooked = NeuroasyncModel(bundle), NeuroasyncModel(bundle)
    hooked.register_hooks()
    for part in frames.split(4):
        labels = plain(part)
        assert labels.dtype == torch.int64
        torch.testing.assert_close(hooked(part), labels)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_a_copy_goes_on_as_the_model_does(duplicate):
    samples = shipped_spikes()[:8]
    frames = torch.from_numpy(frames_of(samples, 1000, 10))
    model = NeuroasyncModel(shipped_bundle("layered"), policy="random", group_size=1, seed=5)
    whole = model(frames)
    model = NeuroasyncModel(shipped_bundle("layered"), policy="random", group_size=1, seed=5)
    first = model(frames[:4])
    torch.testing.assert_close(torch.cat([first, duplicate(model)(frames[4:])]), whole)


def test_a_network_without_timestep_is_refused():
    dense = na.Dense("input", "out", np.ones((1, 1), np.float32))
    model = na.Model(0, (1,), (na.Population("out", (1,)),), (dense,), "out")
    with pytest.raises(na.InterchangeError, match="must have a timestep"):
        NeuroasyncModel(na.Bundle(model))


def test_a_sparse_connection_that_is_too_large_is_refused():
    sparse = na.Sparse(
        "input", "out", np.zeros(2**20 + 1, int), np.zeros(0, int), np.zeros(0, "f4")
    )
    model = na.Model(1, (2**20,), (na.Population("out", (128,)),), (sparse,), "out")
    with pytest.raises(na.InterchangeError, match=r"^`connections\[0\]` is sparse; as the full"):
        NeuroasyncModel(na.Bundle(model))


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 64), (0, 2, 64), (2, 0, 64)])
def test_batches_of_another_shape_are_refused(shape):
    model = NeuroasyncModel(shipped_bundle("unlayered"))
    with pytest.raises(
        na.EventsError, match=r"^`batch` must be of shape \[samples, timesteps, 8, 8\]"
    ):
        model(torch.zeros(shape))
    with pytest.raises(na.EventsError, match=r"^`batch` must have finite values only$"):
        model(torch.full((1, 2, 64), torch.nan))


def test_only_bundles_and_tensors_are_taken():
    with pytest.raises(TypeError, match=r"^`bundle` must be a Bundle, got str$"):
        NeuroasyncModel("unlayered")
    with pytest.raises(TypeError, match=r"^`batch` must be a Tensor, got ndarray$"):
        NeuroasyncModel(shipped_bundle("unlayered"))(np.zeros((1, 2, 64)))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.bfloat16, torch.float64])
def test_tensors_of_all_types_are_taken(dtype):
    frames = torch.from_numpy(frames_of(shipped_spikes()[:3], 1000)).clamp(max=1)
    bundle = shipped_bundle("unlayered")
    expected = NeuroasyncModel(bundle)(frames)
    assert NeuroasyncModel(bundle)(frames.to(dtype)).tolist() == expected.tolist()
