"""The CUDA engine on a GPU: everything that the kernels do on the CPU, and whole trainings."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync.shipped import shipped_bundle, shipped_spikes
from neuroasync.train import SpikingNetwork, fit
from neuroasync.train.cuda.device import CudaLauncher, has_compiler, has_device
from tests.helpers.small_trainings import TINY, tiny_samples
from tests.helpers.strategies import dyadic
from tests.helpers.training_runs import SURROGATES, runs
from tests.train.cuda.test_decide_all import check_same as check_same_decisions
from tests.train.cuda.test_decide_all import runs as decided_runs
from tests.train.cuda.test_kernels import EXAMPLES, check_same
from tests.train.cuda.test_runner import CASES, POLICIES, shipped
from tests.train.cuda.test_selection import on, weights_of

pytestmark = pytest.mark.skipif(
    not (has_device() and has_compiler()), reason="needs a GPU and cuda-core"
)


@given(
    run=runs(max_neurons=70, weights=dyadic(-16, 32)),
    surrogate=st.sampled_from(SURROGATES),
    dropout=st.sampled_from([0.0, 0.4]),
)
@settings(EXAMPLES, max_examples=300)
def test_gpu_has_the_spikes_and_gradients_of_the_cpu(run, surrogate, dropout):
    check_same(*run, surrogate, dropout, CudaLauncher(0))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("bundle", CASES)
def test_trained_networks_have_the_same_spikes_and_gradients(bundle, policy):
    mode = "queued" if bundle == "queued" else "prioritised"
    run = shipped(bundle, samples=64, policy=policy, group_size=8, input=mode)
    check_same(*run, launcher=CudaLauncher(0))


@given(run=decided_runs(max_neurons=70, weights=dyadic(-16, 32)))
@settings(EXAMPLES, max_examples=300)
def test_gpu_decides_like_the_runtime(run):
    bundle, samples, options = run
    check_same_decisions(bundle, samples, CudaLauncher(0), **options)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("bundle", CASES)
def test_trained_networks_decide_alike(bundle, policy):
    options = {"policy": policy, "group_size": 8, "until": "margin(3)"}
    samples = shipped_spikes(CASES[bundle])
    check_same_decisions(shipped_bundle(bundle), samples, CudaLauncher(0), **options)


def test_state_in_global_memory_changes_nothing():
    launcher = CudaLauncher(0)
    launcher.shared_bytes = 0
    check_same(*shipped("unlayered", samples=8, policy=POLICIES[1]), launcher=launcher)


def test_training_is_reproducible_and_close_to_the_cpu():
    first, second = (fit(TINY, tiny_samples(), on("cuda")) for _ in range(2))
    expected = fit(TINY, tiny_samples(), on("cpu"))
    for a, b, c in zip(weights_of(first), weights_of(second), weights_of(expected), strict=True):
        assert np.array_equal(a, b)
        assert np.allclose(a, c, atol=1e-4)


def test_network_can_be_copied_and_runs_on_another_stream():
    network = copy.deepcopy(SpikingNetwork(TINY, device="cuda"))
    batch, run_settings = network.batch(tiny_samples(), range(8), range(8)), on("cuda").run_settings
    expected = network(batch, run_settings)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        found = network(batch, run_settings)
    stream.synchronize()
    assert torch.equal(found.spikes, expected.spikes)
