"""Which engine trains a network, and trainings by the CUDA engine."""

import copy
import logging
from dataclasses import replace

import numpy as np
import pytest

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.neurons import LIF
from neuroasync.train import SpikingNetwork, TrainConfig, fit
from neuroasync.train.cuda import selection
from tests.helpers.cuda_shim import CpuLauncher
from tests.helpers.small_trainings import SHORT, TINY, tiny_samples

TRAIN = tiny_samples()


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU whose kernels run on the CPU."""
    monkeypatch.setattr(selection, "has_device", lambda: True)
    monkeypatch.setattr(selection, "has_compiler", lambda: True)
    monkeypatch.setattr(selection, "current_launcher", lambda: CpuLauncher(32))
    return monkeypatch


def on(device, **changes):
    """Return the short training on a device."""
    values = {name: getattr(SHORT, name) for name in SHORT.__slots__}
    return TrainConfig(**(values | {"device": device} | changes))


def weights_of(fitted):
    """Return all weights of a training's result."""
    return [c.weight for c in fitted.model.connections]


def uses_cuda(network):
    """Return whether the CUDA engine runs a network."""
    return network.engine == "cuda"


def test_auto_takes_the_cpu_without_a_device():
    assert not uses_cuda(SpikingNetwork(TINY))
    with pytest.raises(ValueError, match=r"`device` must be .* got 'cuda'"):
        SpikingNetwork(TINY, device="cuda")


def test_auto_and_cuda_take_the_cuda_engine_where_there_is_one(gpu):
    assert uses_cuda(SpikingNetwork(TINY))
    assert uses_cuda(SpikingNetwork(TINY, device="cuda"))
    assert uses_cuda(copy.deepcopy(SpikingNetwork(TINY)))
    assert not uses_cuda(SpikingNetwork(TINY, device="cpu"))


def test_auto_trains_input_events_with_values_on_the_cpu(gpu):
    values = np.full(TRAIN.t_us.size, 0.5)
    weighted = SpikeTrains(
        TRAIN.t_us, TRAIN.index, TRAIN.offsets, TRAIN.labels, TRAIN.shape, value=values
    )
    assert fit(TINY, weighted, on("auto", epochs=1)).history
    assert fit(TINY, TRAIN, on("auto", epochs=1), validation=weighted).history
    with pytest.raises(ValueError, match="does not support input events with values"):
        fit(TINY, weighted, on("cuda", epochs=1))


def test_missing_compiler_names_the_extra(gpu):
    gpu.setattr(selection, "has_compiler", lambda: False)
    with pytest.raises(ValueError, match=r"needs cuda-core: pip install 'neuroasync\[cuda\]'"):
        SpikingNetwork(TINY, device="cuda")
    assert not uses_cuda(SpikingNetwork(TINY))


@pytest.mark.parametrize(
    ("neuron", "learn", "feature"),
    [
        (LIF(tau_syn_us=2000.0), None, "the neurons of population 'hidden'"),
        (LIF(reset="none"), None, "the neurons of population 'hidden'"),
        (LIF(tau_mem_us=5000.0), "tau_mem", "learning tau_mem"),
    ],
    ids=["synaptic current", "no reset", "learned"],
)
def test_unsupported_network_is_trained_on_the_cpu_and_logged_once(
    gpu, caplog, neuron, learn, feature
):
    hidden, output = TINY.populations
    model = replace(TINY, populations=(replace(hidden, neuron=neuron), output))
    with caplog.at_level(logging.INFO, "neuroasync.train"):
        network = SpikingNetwork(model, device="cuda", learn=learn)
    assert not uses_cuda(network)
    assert network.device.type == "cpu"
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", f"the CUDA engine does not support {feature}, so the CPU trains this network")
    ]


@pytest.mark.parametrize("changes", [{}, {"policy": "layer-sync"}], ids=["random", "layer-sync"])
def test_training_on_the_cuda_engine_is_reproducible_and_close_to_the_cpu(gpu, changes):
    first, second = (fit(TINY, TRAIN, on("cuda", **changes)) for _ in range(2))
    expected = fit(TINY, TRAIN, on("cpu", **changes))
    for a, b, c in zip(weights_of(first), weights_of(second), weights_of(expected), strict=True):
        assert np.array_equal(a, b)
        assert np.allclose(a, c, atol=1e-4)
    assert [e.accuracy for e in first.history] == [e.accuracy for e in second.history]


def test_training_of_weights_by_connection(gpu):
    network = SpikingNetwork(TINY, by_connection=True)
    batch = network.batch(TRAIN, range(4), range(4))
    result = network(batch, SHORT.run_settings)
    result.votes.sum().backward()
    assert all(p.grad is not None for p in network.parameters())
