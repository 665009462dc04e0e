"""A trace has the votes, leaders, costs and spikes of the run that `decide` makes."""

import json

import numpy as np
import pytest
from hypothesis import given

import neuroasync as na
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.metrics.trajectory import trajectories
from neuroasync.serve.page import trace as tracing
from neuroasync.serve.page.trace import make_trace
from neuroasync.shipped import shipped_bundle, shipped_spikes
from tests.helpers.recordings import busy_trains, moderate, record
from tests.helpers.small_networks import chain, sample
from tests.helpers.strategies import dyadic, models

POLICIES = ("layer-sync", "random", "momentum", "fifo")
RUN_MODES = [(policy, mode) for policy in POLICIES for mode in ("prioritised", "queued")]


async def traced(network, events, seed=0, **options):
    """Return the trace and the decision of a recorded sample."""
    recorder = network.recorder(**options)
    decision = await network.decide(events, seed=seed, recorder=recorder, **options)
    return make_trace(recorder.finish()), decision


@pytest.mark.parametrize(("policy", "mode"), RUN_MODES)
@pytest.mark.parametrize("name", ["unlayered", "layered-paper"])
async def test_last_moment_of_a_trace_is_the_decision(name, policy, mode):
    events = shipped_spikes()[3]
    async with na.Network(shipped_bundle(name)) as network:
        for until in ("quiet", "first-spike", "margin(3)", "steps(4)"):
            for group_size in (1, 8):
                run = {"policy": policy, "input": mode, "until": until, "group_size": group_size}
                trace, decision = await traced(network, events, **run)
                assert decision == await network.decide(events, seed=0, **run)
                assert trace.pass_[-1] == decision.passes - 1
                assert trace.steps[-1] == decision.steps
                assert trace.rounds[-1] == decision.rounds
                assert trace.spikes[-1] == decision.total_spikes
                assert trace.votes[-1].tolist() == decision.votes.tolist()
                assert trace.leader[-1] == decision.label
                fired = np.bincount(trace.spike_population, minlength=4)
                assert dict(zip(decision.spikes, fired.tolist(), strict=True)) == decision.spikes
                for p in range(4):
                    of_p = trace.delivery_population == p
                    fired_by = np.bincount(trace.spike_neuron[trace.spike_population == p])
                    delivered_by = np.bincount(
                        trace.delivery_neuron[of_p], trace.delivery_count[of_p], fired_by.size
                    )
                    assert (delivered_by <= fired_by).all()
                    # Without a stop rule, no spike is pending at the end.
                    assert until != "quiet" or (delivered_by == fired_by).all()
                delivered = int(trace.input_count.sum())
                if mode == "prioritised" or until == "quiet":
                    assert delivered == decision.input_events
                else:  # queued input may still be pending when the stop rule fires
                    assert 0 < delivered <= decision.input_events


@pytest.mark.parametrize(("policy", "mode"), RUN_MODES)
async def test_trace_has_the_same_progress_as_the_stop_rule_gets(policy, mode):
    seen = []

    def observe(progress):
        spent = (progress.passes, progress.steps, progress.rounds, progress.spikes)
        leader = -1 if progress.label is None else progress.label
        seen.append((*spent, leader, progress.votes.tolist()))
        return False

    events, run = shipped_spikes()[7], {"policy": policy, "input": mode, "group_size": 4}
    async with na.Network(shipped_bundle("layered-paper")) as network:
        await network.decide(events, seed=0, until=observe, **run)
        trace, _ = await traced(network, events, **run, until="quiet")
    spent = zip(trace.pass_ + 1, trace.steps, trace.rounds, trace.spikes, strict=True)
    votes = zip(trace.leader.tolist(), trace.votes.tolist(), strict=True)
    moments = [(*map(int, a), *b) for a, b in zip(spent, votes, strict=True)]
    assert moments == seen
    assert len(moments) > 40


async def test_stop_rule_shortens_the_trace_and_changes_nothing_before_it():
    events = shipped_spikes()[3]
    async with na.Network(shipped_bundle("unlayered"), policy="momentum") as network:
        whole, _ = await traced(network, events, until="quiet")
        stopped, decision = await traced(network, events, until="margin(3)")
    assert decision.stopped
    moments, spikes = stopped.pass_.size, stopped.spike_moment.size
    assert 0 < moments < whole.pass_.size
    for name in ("pass_", "step", "steps", "rounds", "spikes", "leader", "votes"):
        assert np.array_equal(getattr(stopped, name), getattr(whole, name)[:moments])
    for name in ("spike_moment", "spike_population", "spike_neuron", "spike_t_us"):
        assert np.array_equal(getattr(stopped, name), getattr(whole, name)[:spikes])


@moderate(60)
@given(events_of=models(dyadic(-16, 64)).flatmap(lambda m: busy_trains(m).map(lambda e: (m, e))))
def test_trace_agrees_with_the_trajectories_on_any_network(events_of):
    model, events = events_of
    run = RunSettings(group_size=2, max_forward_steps=500)
    try:
        recording = record(na.Bundle(model), [events], run, targets=[0])
    except na.ForwardStepLimitError:
        return
    trace, trajectory = make_trace(recording), trajectories(recording)[0]
    # A trace does not tell a turn in which no neuron fires from the next one in the same step.
    ends = np.diff(np.stack((trajectory.pass_, trajectory.steps)), append=-1).any(axis=0)
    ends[0] = False  # the start of the sample
    for name in ("pass_", "spikes", "steps", "rounds"):
        assert np.array_equal(getattr(trace, name), getattr(trajectory, name)[ends])
    assert np.array_equal(trace.leader, trajectory.label[ends])
    assert np.array_equal(trace.votes.max(axis=1, initial=0), trajectory.votes[ends])


async def test_json_has_the_position_of_each_spike():
    async with na.Network(chain(), policy="fifo", group_size=2) as network:
        recorder = network.recorder()
        await network.decide(sample(), recorder=recorder)
    recording = recorder.finish()
    decoded = json.loads(json.dumps(make_trace(recording).to_json()))
    spikes = decoded["spikes"]
    assert spikes["pass"] == recording.pass_.tolist()
    assert spikes["step"] == recording.step.tolist()
    assert spikes["t_us"] == recording.time_us.tolist()
    starts = [0, 8, 16]
    neurons = [starts[p] + n for p, n in zip(spikes["population"], spikes["neuron"], strict=True)]
    assert neurons == recording.neuron.tolist()
    rounds = [decoded["moments"]["rounds"][m] for m in spikes["moment"]]
    assert spikes["rounds"] == rounds
    assert len(decoded["moments"]["votes"][0]) == 4


async def test_sample_without_events_has_no_moments():
    async with na.Network(chain()) as network:
        trace, decision = await traced(network, na.SpikeTrain([], []))
    assert trace.pass_.size == trace.spike_moment.size == trace.input_moment.size == 0
    assert decision.label is None


@pytest.mark.parametrize(
    ("limit", "maximum", "message"),
    [
        ("MAX_TRACE_SPIKES", 20, r"^a trace may have at most 20 spikes, got \d+; send a shorter"),
        (
            "MAX_TRACE_CELLS",
            30,
            r"^a trace may have at most 30 votes \(moments times classes\), got ",
        ),
    ],
)
async def test_too_large_trace_raises_limit_error(monkeypatch, limit, maximum, message):
    monkeypatch.setattr(tracing, limit, maximum)
    async with na.Network(chain()) as network:
        with pytest.raises(na.LimitError, match=message):
            await traced(network, sample())


async def test_recording_of_several_samples_raises_value_error():
    async with na.Network(chain()) as network:
        recorder = network.recorder()
        await network.decide_all([sample(), sample()], recorder=recorder)
    with pytest.raises(ValueError, match="exactly one sample, got 2"):
        make_trace(recorder.finish())
