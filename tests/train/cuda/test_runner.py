"""Networks of several warps, capacities, schedules of threads and bad input of the CUDA engine."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.errors import ForwardStepLimitError
from neuroasync.shipped import shipped_bundle, shipped_spikes
from neuroasync.train import Surrogate, make_batch
from neuroasync.train.cuda import launching
from neuroasync.train.cuda import runner as runner_module
from neuroasync.train.cuda.autograd_function import run_cuda_record
from neuroasync.train.cuda.runner import CudaRunner
from neuroasync.train.event_record import EventRecordRunner
from tests.helpers.cuda_shim import CpuLauncher
from tests.train.cuda.test_kernels import check_same

CASES = {
    "unlayered": "digits",
    "queued": "digits",
    "nmnist-unlayered": "nmnist",
}
POLICIES = [LayerSync(), Random(), Momentum(noise=0.1), Fifo()]


def shipped(bundle, samples=2, **changes):
    """Return a trained network, a batch for it, and its run settings with changes."""
    bundle_ = shipped_bundle(bundle)
    batch = make_batch(bundle_.model, shipped_spikes(CASES[bundle]), range(samples), range(samples))
    return bundle_.model, batch, replace(RunSettings(), **changes)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("bundle", CASES)
def test_trained_networks_have_the_same_spikes_and_gradients(bundle, policy):
    mode = "queued" if bundle == "queued" else "prioritised"
    check_same(*shipped(bundle, policy=policy, group_size=8, input=mode))


@pytest.mark.parametrize("policy", [LayerSync(), Random()], ids=lambda policy: policy.name)
def test_results_do_not_depend_on_how_threads_are_scheduled(policy):
    model, batch, settings = shipped("unlayered", policy=policy, group_size=8)
    packed = EventRecordRunner(model, threads=1).packed
    found = []
    for launcher in (CpuLauncher(), CpuLauncher(96, 5), CpuLauncher(256, 6, shared_bytes=0)):
        runner = CudaRunner(packed, launcher)
        record = runner.run(torch.from_numpy(packed.arrays.weights), batch, settings)
        grads = [torch.ones_like(record.votes), torch.ones_like(record.spikes)]
        grad = runner.backward(record, *grads, Surrogate().code)
        found.append([a.numpy().tobytes() for a in (record.votes, record.spikes, grad)])
    assert found[0] == found[1] == found[2]


def test_record_grows_until_it_has_room_and_stays_large():
    model, batch, settings = shipped("unlayered", samples=1, policy=Random(), group_size=1)
    packed, launcher = EventRecordRunner(model, threads=1).packed, CpuLauncher()
    weights = torch.from_numpy(np.abs(packed.arrays.weights))  # every neuron fires in every pass
    runner = CudaRunner(packed, launcher)
    first = runner.run(weights, batch, settings)
    assert launcher.launches > 1
    launches = launcher.launches
    second = runner.run(weights, batch, settings)
    assert launcher.launches == launches + 1
    assert torch.equal(first.spikes, second.spikes)


def test_evaluation_keeps_no_record():
    model, batch, settings = shipped("unlayered", policy=Random(), group_size=8)
    packed = EventRecordRunner(model, threads=1).packed
    runner = CudaRunner(packed, CpuLauncher())
    weights = torch.from_numpy(packed.arrays.weights)
    kept = runner.run(weights, batch, settings)
    other = runner.run(weights, batch, settings, keep=False)
    assert torch.equal(kept.votes, other.votes)
    assert other.rows.numel() < kept.rows.numel()
    assert not run_cuda_record(weights, runner, batch, settings, Surrogate()).votes.requires_grad


def test_custom_policy_is_refused():
    class Latest:
        def order(self, pending, group_size):
            return np.argsort(-pending.arrival, kind="stable")

    model, batch, settings = shipped("unlayered", samples=1, policy=Latest())
    packed = EventRecordRunner(model, threads=1).packed
    with pytest.raises(ValueError, match="`policy` must be built in, got Latest"):
        CudaRunner(packed, CpuLauncher()).run(
            torch.from_numpy(packed.arrays.weights), batch, settings
        )


def test_step_limit_names_the_population():
    model, batch, settings = shipped("unlayered", policy=Random(), max_forward_steps=1)
    packed = EventRecordRunner(model, threads=1).packed
    runner = copy.deepcopy(CudaRunner(packed, CpuLauncher()))
    with pytest.raises(ForwardStepLimitError, match=r"sample 0 .* was the last to fire"):
        runner.run(torch.from_numpy(packed.arrays.weights), batch, settings)


def test_one_block_runs_all_samples_if_states_are_too_large_for_several(monkeypatch):
    monkeypatch.setattr(launching, "_STATES", 1)
    monkeypatch.setattr(runner_module, "_GRADIENTS", 1)
    run = shipped("unlayered", policy=Random(), group_size=8)
    check_same(*run, launcher=CpuLauncher(shared_bytes=0))
