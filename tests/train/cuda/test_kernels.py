"""The CUDA kernels, run on the CPU, have the spikes and the gradients of the CPU's event record."""

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroasync.errors import ForwardStepLimitError
from neuroasync.train.autograd_function import run_event_record
from neuroasync.train.cuda.autograd_function import run_cuda_record
from neuroasync.train.cuda.runner import CudaRunner
from neuroasync.train.event_record import EventRecordRunner
from tests.helpers.cuda_shim import CpuLauncher
from tests.helpers.gradients import check_gradients, random_terms
from tests.helpers.strategies import dyadic
from tests.helpers.training_runs import SURROGATES, runs

EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow,
                                                            HealthCheck.filter_too_much],
)  # fmt: skip


def outcome(run, runner, flat, batch, run_settings, surrogate, dropout):
    """Return the result, the weights with gradients, and the terms of a random loss.

    If the run fails, return the text of the error instead of the result, and no terms.
    """
    device = torch.device("cpu") if run is run_event_record else runner.device
    weights = torch.from_numpy(flat.copy()).to(device).requires_grad_()
    try:
        out = run(weights, runner, batch, run_settings, surrogate, dropout)
    except ForwardStepLimitError as error:
        return str(error), weights, []
    terms = random_terms((out.votes, out.spikes), 0)
    sum(y.sum() for y in terms).backward(retain_graph=True)
    return [array.detach().cpu().numpy() for array in out[:3]], weights, terms


def check_same(model, batch, run_settings, surrogate=SURROGATES[0], dropout=0.0, launcher=None):
    """Check that a batch has the same spikes and gradients on both."""
    recorder = EventRecordRunner(model, threads=1)
    flat = recorder.packed.arrays.weights
    arguments = (flat, batch, run_settings, surrogate, dropout)
    expected, weights, terms = outcome(run_event_record, recorder, *arguments)
    runner = CudaRunner(recorder.packed, launcher or CpuLauncher())
    found, other, _ = outcome(run_cuda_record, runner, *arguments)
    if not terms:
        assert found == expected
        return
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b)
    check_gradients([other], [weights], terms)


@given(run=runs(), surrogate=st.sampled_from(SURROGATES), dropout=st.sampled_from([0.0, 0.4]))
@EXAMPLES
def test_kernels_have_the_spikes_and_gradients_of_the_event_record(run, surrogate, dropout):
    check_same(*run, surrogate, dropout)


@given(run=runs(max_neurons=70, weights=dyadic(-16, 32)), threads=st.sampled_from([32, 64, 160]))
@settings(EXAMPLES, max_examples=25)
def test_populations_of_several_chunks_on_any_schedule(run, threads):
    check_same(*run, launcher=CpuLauncher(threads, seed=threads))
