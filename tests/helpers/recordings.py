"""Recordings for tests: runs of small networks without an event loop."""

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import parse_stop_rule
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.connections import Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.core.recording.recorder import Recorder
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import ForwardStepLimitError
from tests.helpers.strategies import dyadic, models


class NewestFirst:
    """A custom policy: the latest arrivals first, in descending order of neurons."""

    def order(self, pending, group_size):
        return np.lexsort((-pending.neuron, -pending.arrival))


BUILT_IN = (LayerSync(), Random(), Momentum(), Momentum(noise=0.5), Fifo())
POLICIES = (*BUILT_IN, NewestFirst())
RULES = ("quiet", "quiet", "first-spike", "votes(2)", "margin(2)", "margin(3,1,2)", "steps(1)")


def moderate(max_examples):
    """Return hypothesis settings for tests that draw large inputs."""
    return settings(
        max_examples=max_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def record(bundle, samples, run, duration_us=None, targets=None):
    """Run each of ``samples`` with its position as number and seed; return the recording."""
    recorder = Recorder(bundle, run)
    simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), run))
    for k, events in enumerate(samples):
        simulator.state.keep = True
        decision = run_sample(simulator, events, k, duration_us)
        view = recorder.for_sample(k, None if targets is None else targets[k])
        view.add(simulator, events, decision, number=0, seed=k, duration_us=duration_us)
    return recorder.finish()


@st.composite
def busy_trains(draw, model, max_events=25, max_bins=4):
    """Draw a seed, and return a train of random events from it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, unit = draw(st.integers(0, max_events)), model.timestep_us or 500
    t_us = rng.integers(0, max_bins * unit, n) if model.timestep_us else rng.integers(0, 5, n) * 500
    return SpikeTrain(np.sort(t_us), rng.integers(0, model.input_size, n))


@st.composite
def recordings(draw, policies=POLICIES, rules=RULES, networks=None):
    """Draw a bundle and any settings; return the bundle and a recording of two samples."""
    model = draw(models(dyadic(-16, 64)) if networks is None else networks)
    run = RunSettings(
        draw(st.sampled_from(policies)),
        draw(st.sampled_from((1, 2, 5))),
        draw(st.sampled_from(("prioritised", "queued"))),
        parse_stop_rule(draw(st.sampled_from(rules))),
        60,
    )
    bundle = Bundle(model)
    unit = model.timestep_us or 500
    samples = [draw(busy_trains(model)) for _ in range(2)]
    try:
        return bundle, record(bundle, samples, run, draw(st.sampled_from((None, 4 * unit + 1))))
    except ForwardStepLimitError:  # a self-exciting loop never ends a pass, so it has no recording
        return bundle, record(bundle, [], run)


def relay() -> Bundle:
    """Return a network of two inputs, two hidden neurons that each repeat one, and two outputs.

    Input k reaches ``hidden[k]`` with weight 1; threshold 0.5. ``hidden[0]`` reaches ``out[0]``
    with 0.75, ``hidden[1]`` with 0.5; ``out[0]`` has threshold 1, so it needs both.
    ``hidden[1]`` alone reaches ``out[1]`` with 1.5.
    """
    populations = (
        Population("hidden", (2,), LIF(v_threshold=0.5)),
        Population("out", (2,), LIF(v_threshold=1.0)),
    )
    connections = (
        Dense("input", "hidden", np.eye(2)),
        Dense("hidden", "out", np.array([[0.75, 0.5], [0, 1.5]])),
    )
    return Bundle(Model(1000, (2,), populations, connections, "out"))


def relay_recording(policy=None) -> Recording:
    """Return a recording of inputs 0 and 1 at 0 and input 1 at 1000 µs, in FIFO order."""
    run = RunSettings(Fifo() if policy is None else policy, 1)
    return record(relay(), [SpikeTrain([0, 0, 1000], [0, 1, 1])], run, targets=[1])
