"""Decisions of the CUDA engine, whose kernels run on the CPU, are those of the runtime."""

import asyncio
import re
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neuroasync import Bundle, Network, SpikeTrain
from neuroasync.core.model.connections import Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.errors import EventsError, ForwardStepLimitError
from neuroasync.shipped import shipped_bundle, shipped_spikes
from neuroasync.train import decide_all
from neuroasync.train.cuda import decider, selection
from tests.helpers.cuda_shim import CpuLauncher
from tests.helpers.strategies import dyadic, models, spike_trains
from tests.helpers.training_runs import POLICIES
from tests.train.cuda.test_kernels import EXAMPLES

# The package has a function of the same name.
decide_all_module = import_module("neuroasync.train.cuda.decide_all")
RULES = ["quiet", "quiet", "first-spike", "votes(2)", "margin(2)", "margin(3,0,1)", "steps(2)"]


@st.composite
def runs(draw, **features):
    """Draw a bundle, samples and options of a call."""
    model = draw(models(**features))
    assume(model.timestep_us or not any(c.delay_us for c in model.connections))
    trains = [draw(spike_trains(model)) for _ in range(draw(st.integers(0, 4)))]
    options = {
        "policy": draw(st.sampled_from(POLICIES)),
        "group_size": draw(st.integers(1, 20)),
        "input": draw(st.sampled_from(["prioritised", "queued"])),
        "until": draw(st.sampled_from(RULES)),
        "max_forward_steps": draw(st.sampled_from([60, 60, 2])),
        "max_passes": draw(st.sampled_from([1000, 1000, 3])),
        "duration_us": draw(st.sampled_from([None, 5 * (model.timestep_us or 500)])),
        "seed": draw(st.integers(0, 2**64 - 1)),
        "first": draw(st.integers(0, 5)),
    }
    return Bundle(model), trains, options


async def runtime_decisions(bundle, samples, **options):
    """Return the decisions of a network of the runtime."""
    async with Network(bundle) as network:
        return await network.decide_all(samples, **options)


def outcome(decide):
    """Return the decisions, or the type, the text and the notes of an error."""
    try:
        return decide()
    except Exception as error:
        return type(error), str(error), getattr(error, "__notes__", [])


def check_same(bundle, samples, launcher=None, **options):
    """Check that the runtime and the CUDA engine decide alike."""
    expected = outcome(lambda: asyncio.run(runtime_decisions(bundle, samples, **options)))
    with pytest.MonkeyPatch.context() as patch:
        pretend(patch, launcher or CpuLauncher(32))
        found = outcome(lambda: decide_all(bundle, samples, device="cuda", **options))
    assert found == expected
    return expected


def pretend(monkeypatch, launcher):
    """Pretend that there is a GPU, whose kernels a launcher runs."""
    monkeypatch.setattr(selection, "has_device", lambda: True)
    monkeypatch.setattr(selection, "has_compiler", lambda: True)
    monkeypatch.setattr(decide_all_module, "current_launcher", lambda: launcher)


@given(run=runs())
@settings(EXAMPLES, max_examples=80)
def test_decisions_are_those_of_the_runtime(run):
    bundle, samples, options = run
    check_same(bundle, samples, **options)


@given(run=runs(max_neurons=70, weights=dyadic(-16, 32)), threads=st.sampled_from([32, 64, 160]))
@settings(EXAMPLES, max_examples=25)
def test_populations_of_several_chunks_on_any_schedule(run, threads):
    bundle, samples, options = run
    check_same(bundle, samples, CpuLauncher(threads, seed=threads), **options)


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU; return its launcher."""
    launcher = CpuLauncher(32)
    pretend(monkeypatch, launcher)
    return launcher


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize(
    ("name", "until"),
    [("unlayered", "quiet"), ("queued", "trained"), ("nmnist-unlayered", "steps(3)")],
)
def test_shipped_networks_decide_alike(name, until, policy):
    samples = shipped_spikes("nmnist" if "nmnist" in name else "digits")[:4]
    expected = check_same(
        shipped_bundle(name), samples, policy=policy, group_size=8, until=until, seed=7, first=2
    )
    assert len(expected) == 4


def test_fields_that_are_not_compared_are_those_of_the_runtime(gpu):
    bundle, samples = shipped_bundle("unlayered"), shipped_spikes("digits")[:3]
    bundle = replace(bundle, classes=tuple("abcdefghij"))
    expected = asyncio.run(runtime_decisions(bundle, samples, until="confidence(0.95)"))
    found = decide_all(bundle, samples, device="cuda", until="confidence(0.95)")
    assert [repr(d) for d in found] == [repr(d) for d in expected]
    assert [d.calibrations for d in found] == [d.calibrations for d in expected]
    assert all(d.wall_s > 0 and d.is_final for d in found)


def test_samples_may_be_a_sequence_or_have_labels_and_any_length(gpu):
    bundle, samples = shipped_bundle("unlayered"), shipped_spikes("digits")[:3]
    expected = decide_all(bundle, samples, device="cpu", duration_us="30ms")
    assert decide_all(bundle, list(samples), device="cuda", duration_us="30ms") == expected
    assert decide_all(bundle, [], device="cuda") == []


def test_no_more_memory_is_used_than_a_chunk_may_take(gpu, monkeypatch):
    bundle, samples = shipped_bundle("unlayered"), shipped_spikes("digits")[:5]
    expected = decide_all(bundle, samples, device="cpu")
    assert decide_all(bundle, samples, device="cuda") == expected
    assert gpu.launches == 1
    monkeypatch.setattr(decider, "_CHUNK_BYTES", 1)
    assert decide_all(bundle, samples, device="cuda") == expected
    assert gpu.launches == 1 + 5


def test_without_delays_no_group_is_kept(gpu, monkeypatch):
    """Activity that fills a record of any size needs no second launch."""
    bundle = shipped_bundle("unlayered")
    connections = tuple(replace(c, weight=np.abs(c.weight)) for c in bundle.model.connections)
    bundle = Bundle(replace(bundle.model, connections=connections))
    decide_all(bundle, shipped_spikes("digits")[:2], device="cuda", policy="random")
    assert gpu.launches == 1


def delayed(weight, bias=2.0):
    """Return a network whose five neurons fire in every pass, and again after a delay."""
    forward = Dense("input", "out", np.full((5, 1), weight), bias=np.full(5, bias))
    again = Dense("out", "out", np.full((5, 5), 0.5), delay_us=2000)
    out = Population("out", (5,), LIF(tau_mem_us=1000.0))
    return Bundle(Model(1000, (1,), (out,), (forward, again), "out"))


def test_samples_that_need_more_room_for_spikes_in_flight_run_again(gpu):
    busy = SpikeTrain([0, 200_000], [0, 0])
    samples = [SpikeTrain([0], [0]), busy, SpikeTrain([1000], [0])]
    expected = decide_all(delayed(1.0), samples, device="cpu", group_size=1, policy="fifo")
    assert expected[1].undelivered == 10
    found = decide_all(delayed(1.0), samples, device="cuda", group_size=1, policy="fifo")
    assert found == expected
    assert gpu.launches > 1


@pytest.mark.parametrize("chunk", [1, 2**30])
def test_error_is_that_of_the_first_sample_that_fails(gpu, monkeypatch, chunk):
    """The second sample needs many steps, the fourth has an unknown input."""
    monkeypatch.setattr(decider, "_CHUNK_BYTES", chunk)
    bundle = delayed(9.0, bias=0.0)
    quiet, busy = SpikeTrain([], []), SpikeTrain([0], [0])
    samples = [quiet, busy, busy, SpikeTrain([0], [1])]
    check = {"first": 10, "policy": "fifo", "group_size": 1}
    kind, text, notes = check_same(bundle, samples, gpu, max_forward_steps=2, **check)
    assert kind is ForwardStepLimitError
    assert text.startswith("pass 0 (t = 0 µs) did not end within max_forward_steps = 2; population")
    assert notes == ["in sample 11"]
    kind, _, notes = check_same(bundle, samples, gpu, **check)
    assert kind is EventsError
    assert notes == ["in sample 13"]


def test_what_the_engine_does_not_support_is_refused_by_name(gpu):
    bundle, sample = delayed(1.0), SpikeTrain([0], [0])

    def refused(bundle, samples, text, **options):
        with pytest.raises(ValueError, match=text):
            decide_all(bundle, samples, device="cuda", **options)

    out = bundle.model.populations[0]
    slow = replace(bundle.model, populations=(replace(out, neuron=LIF(tau_syn_us=2000.0)),))
    refused(Bundle(slow), [sample], "does not support the neurons of population 'out'")
    refused(Bundle(replace(bundle.model, timestep_us=0)), [sample], "delays without a timestep")
    weighted = SpikeTrain([0], [0], [0.5])
    refused(bundle, [sample, weighted], "does not support input events with values")
    assert len(decide_all(bundle, [sample, weighted])) == 2  # on the CPU
    assert gpu.launches == 0


def test_custom_parts_are_refused_on_every_device():
    class Latest:
        def order(self, pending, group_size):
            return np.argsort(-pending.arrival, kind="stable")

    bundle = delayed(1.0)
    for option, text in (
        ({"policy": Latest()}, "`policy` must be built in, got Latest; `Network.decide_all`"),
        ({"until": lambda progress: True}, "`until` must be a built-in stop rule, got <function"),
        ({"engine": "coroutines"}, "`engine` must be 'auto' or 'compiled', got 'coroutines'"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            decide_all(bundle, [], device="cpu", **option)


def test_bad_arguments_are_named():
    bundle = delayed(1.0)
    with pytest.raises(TypeError, match="`bundle` must be a Bundle, got Model"):
        decide_all(bundle.model, [])
    with pytest.raises(ValueError, match="`first` must be an integer of at least 0"):
        decide_all(bundle, [], first=-1)
    with pytest.raises(ValueError, match=r"`device` must be .* got 'gpu'"):
        decide_all(bundle, [], device="gpu")
    with pytest.raises(EventsError, match="`samples` must be SpikeTrains or a sequence"):
        decide_all(bundle, 3)
