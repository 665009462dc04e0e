"""Anytime curves, stop points and risk-coverage, against hand calculations and the runtime."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, make_policy
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import StopRule, parse_stop_rule
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.errors import RecordingError, StopRuleError
from neuroasync.metrics import (
    anytime_curve,
    boldest_lead,
    calibrate,
    risk_coverage,
    stop_points,
    summarise,
)
from tests.helpers.hand_networks import dense, network, population
from tests.helpers.recordings import BUILT_IN, moderate, record, recordings, relay, relay_recording
from tests.helpers.small_networks import readout, sample
from tests.helpers.strategies import dyadic, models

UNITS = ("spikes", "steps", "rounds")
RULES = ("quiet", "first-spike", "votes(2)", "margin(1)", "margin(2)", "steps(0)", "steps(2)")
RULES += ("margin(0,1)", "margin(2,1)", "margin(1,0)", "margin(3,0,1)")
ANY_UNIT = st.sampled_from(UNITS)


def two_samples():
    """Record the sample of ``relay_recording``, with class 1, and input 0 alone, with class 0.

    Pass 0 of the first: hidden[0] and hidden[1] fire at the input (2 spikes, no step); step 1
    delivers hidden[0]; step 2 delivers hidden[1]: out[0] and out[1] fire (4 spikes), a tie, which
    class 0 leads; steps 3 and 4 deliver those. Pass 1: hidden[1] fires at the input (5 spikes);
    step 5 delivers it, out[1] fires (6 spikes): class 1 leads; step 6 delivers that.
    The second: hidden[0] fires (1 spike), step 1 delivers it: 0.75 is not above 1, no vote.
    """
    run = RunSettings(Fifo(), 1)
    trains = [SpikeTrain([0, 0, 1000], [0, 1, 1]), SpikeTrain([0], [0])]
    return record(relay(), trains, run, targets=[1, 0])


@st.composite
def whole(draw, rule="quiet"):
    """Draw a bundle and a recording until quiet with known classes."""
    bundle, recording = draw(recordings(policies=BUILT_IN, rules=(rule,)))
    classes = st.integers(0, recording.info.classes - 1)
    target = [draw(classes) for _ in range(len(recording))]
    return bundle, replace(recording, target=np.array(target, np.int64))


@pytest.mark.parametrize(
    ("unit", "budget", "accuracy", "answered"),
    [
        # The answer of the first sample is 0 from 4 spikes on and 1 from 6 spikes on.
        ("spikes", [0, 1, 4, 6], [0, 0, 0, 0.5], [0, 0, 0.5, 0.5]),
        ("steps", [0, 1, 2, 5, 6], [0, 0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5, 0.5]),
        ("rounds", [0, 1, 2, 5, 6], [0, 0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5, 0.5]),
    ],
)
def test_curve_follows_the_leading_class_after_each_step(unit, budget, accuracy, answered):
    curve = anytime_curve(two_samples(), unit)
    assert curve.budget.tolist() == budget
    assert curve.accuracy.tolist() == accuracy
    assert curve.answered.tolist() == answered


def test_step_that_exceeds_the_budget_does_not_count():
    # Step 2 causes spikes 3 and 4 at once, so there is no answer yet at a budget of 3 spikes.
    curve = anytime_curve(two_samples(), "spikes", [3, 4, 5, 5, 100])
    assert curve.answered.tolist() == [0, 0.5, 0.5, 0.5, 0.5]
    assert curve.accuracy.tolist() == [0, 0, 0, 0, 0.5]


def test_stop_points_give_the_end_of_each_sample():
    first, quiet, margin = stop_points(
        two_samples(), ["first-spike", "quiet", StopRule("margin", (1,))]
    )
    assert (first.rule, first.stopped.tolist()) == ("first-spike", [True, False])
    assert (first.label.tolist(), first.accuracy) == ([0, -1], 0.0)
    assert [first.spikes.tolist(), first.steps.tolist()] == [[4, 1], [2, 1]]
    assert first.mean("rounds") == 1.5
    assert (quiet.label.tolist(), quiet.stopped.any(), quiet.accuracy) == ([1, -1], False, 0.5)
    assert quiet.steps.tolist() == [6, 1]
    assert (margin.rule, margin.label.tolist(), margin.steps.tolist()) == (
        "margin(1)",
        [1, -1],
        [5, 1],
    )


def test_rule_is_evaluated_at_the_start_of_a_pass_without_deliveries():
    """Step 1 delivers input 0, out[0] fires; step 2 delivers that. Pass 1 begins with its input
    queued: a lead of 1, which was too little in pass 0, is enough before any step.
    """
    synapses = dense("input", "out", [[2, 0], [0, 2]])
    model = network([population("out", 2)], [synapses], inputs=2, timestep_us=1000)
    trains = [SpikeTrain([0, 1000], [0, 1])]
    recording = record(Bundle(model), trains, RunSettings(Fifo(), 8, "queued"), targets=[0])
    (point,) = stop_points(recording, ["margin(2,1)"])
    assert (point.steps.tolist(), point.rounds.tolist(), point.spikes.tolist()) == ([2], [2], [1])
    run = RunSettings(Fifo(), 8, "queued", parse_stop_rule("margin(2,1)"))
    stopped = run_sample(Simulator(ExecutionPlan(PackedNetwork(model), run)), trains[0], 0)
    assert (stopped.steps, stopped.rounds, stopped.total_spikes) == (2, 2, 1)


def test_empty_recording_has_empty_curves():
    nothing = record(relay(), [], RunSettings(Fifo(), 1))
    curve = anytime_curve(nothing, "steps")
    assert (curve.budget.tolist(), curve.accuracy.tolist()) == ([0], [0.0])
    (point,) = stop_points(nothing, ["quiet"])
    assert (point.accuracy, point.mean("spikes")) == (None, None)
    assert risk_coverage(nothing).coverage.size == 0


def test_recording_of_stopped_samples_is_rejected():
    stopped = record(relay(), [], RunSettings(Fifo(), 1, until=parse_stop_rule("margin(2)")))
    for call in (lambda: anytime_curve(stopped, "steps"), lambda: stop_points(stopped, [])):
        with pytest.raises(
            RecordingError, match=r"^`until` of the recording must be 'quiet', got 'margin"
        ):
            call()


def test_unknown_class_is_rejected():
    unknown = replace(two_samples(), target=np.array([1, -1]))
    for call in (lambda: anytime_curve(unknown, "steps"), lambda: risk_coverage(unknown)):
        with pytest.raises(RecordingError, match=r"^target\[1\] is not known"):
            call()


def test_recording_of_leaky_integrators_is_rejected():
    potentials = record(readout(), [sample()], RunSettings(Fifo(), 1), targets=[0])
    for call in (
        lambda: stop_points(potentials, ["quiet"]),
        lambda: calibrate(potentials),
        lambda: boldest_lead(potentials, 1),
        lambda: risk_coverage(potentials),
    ):
        with pytest.raises(RecordingError, match=r"^label\[0\] was decided without votes, because"):
            call()


@pytest.mark.parametrize("budgets", [[2, 1], [-1, 3]])
def test_budgets_must_ascend_from_zero(budgets):
    with pytest.raises(ValueError, match=r"^`budgets` must ascend and start at 0 or above"):
        anytime_curve(two_samples(), "steps", budgets)


def test_unknown_unit_or_rule_is_rejected():
    with pytest.raises(ValueError, match=r"^`unit` must be one of spikes, steps, rounds, got 'ms'"):
        anytime_curve(two_samples(), "ms")
    with pytest.raises(StopRuleError, match=r"^`until` must be quiet.*, got 'margin'$"):
        stop_points(two_samples(), ["margin"])
    with pytest.raises(StopRuleError, match=r"^`rules` must name built-in stop rules"):
        stop_points(two_samples(), [lambda progress: True])


@given(made=whole(), unit=ANY_UNIT)
@moderate(60)
def test_curve_ends_at_the_final_accuracy_and_answers_only_grow(made, unit):
    _, recording = made
    curve = anytime_curve(recording, unit)
    assert (np.diff(curve.budget) > 0).all()
    assert (np.diff(curve.answered) >= 0).all()
    assert (curve.accuracy <= curve.answered).all()
    samples = max(len(recording), 1)
    assert curve.accuracy[-1] == (recording.label == recording.target).sum() / samples
    assert curve.budget[-1] == getattr(recording, unit).max(initial=0)


@given(made=whole(), unit=ANY_UNIT, budget=st.integers(0, 60))
@moderate(60)
def test_budget_gives_the_answer_of_a_run_stopped_before_exceeding_it(made, unit, budget):
    bundle, recording = made
    correct = 0
    for k in range(len(recording)):
        latest = []

        def within(progress, latest=latest):
            if getattr(progress, unit) > budget:
                return True
            latest.append(progress.label)
            return False

        rerun(bundle, recording, k, within)
        correct += bool(latest) and latest[-1] == recording.target[k]
    (accuracy,) = anytime_curve(recording, unit, [budget]).accuracy
    assert accuracy == correct / max(len(recording), 1)


@given(made=whole(), rule=st.sampled_from(RULES))
@moderate(80)
def test_stop_points_are_where_the_runtime_stops(made, rule):
    bundle, recording = made
    (point,) = stop_points(recording, [rule])
    for k in range(len(recording)):
        result = rerun(bundle, recording, k, parse_stop_rule(rule))
        label = -1 if result.label is None else result.label
        assert (point.label[k], point.stopped[k]) == (label, result.stopped)
        spent = (result.total_spikes, result.steps, result.rounds)
        assert (point.spikes[k], point.steps[k], point.rounds[k]) == spent


def silent_turn():
    """Return a network whose first population is silent in pass 1, while the output fires there.

    The hidden neuron repeats input 0. ``out[0]`` keeps 2.25 above its threshold of 1 in pass 0, so
    it also fires in passes 1 and 2.
    """
    populations = (
        population("hidden", v_threshold=0.5, refractory=False),
        population("out", 2, v_threshold=1.0, reset="subtract", refractory=False),
    )
    connections = (dense("input", "hidden", [[1, 0]]), dense("hidden", "out", [[3.25], [0]]))
    return Bundle(network(populations, connections, inputs=2))


@pytest.mark.parametrize(
    ("rule", "spikes", "passes"),
    [
        ("margin(2)", 3, 2),
        # The lead that suffices falls to 1 in pass 1: its first turn, which is silent, ends it.
        ("margin(2,1)", 2, 2),
        ("steps(1)", 2, 1),
        ("steps(2)", 3, 2),
        ("steps(3)", 4, 3),
    ],
)
def test_rule_is_evaluated_after_a_turn_in_which_no_neuron_fires(rule, spikes, passes):
    bundle, events = silent_turn(), SpikeTrain([0, 1000, 2000], [0, 1, 1])
    recording = record(bundle, [events], RunSettings(LayerSync(), 1), targets=[0])
    assert recording.neuron.tolist() == [0, 1, 1, 1]
    assert recording.after_silent_turn.tolist() == [False, False, True, True]
    (point,) = stop_points(recording, [rule])
    decision = rerun(bundle, recording, 0, parse_stop_rule(rule))
    assert point.spikes.tolist() == [decision.total_spikes] == [spikes]
    assert decision.passes == passes


def test_recording_under_layer_sync_needs_its_silent_turns():
    made = replace(relay_recording(LayerSync()), after_silent_turn=None)
    with pytest.raises(RecordingError, match=r"^`after_silent_turn` is missing, because an earlie"):
        stop_points(made, ["quiet"])
    assert relay_recording(Fifo()).after_silent_turn is None


@given(
    made=recordings(
        policies=(LayerSync(),),
        rules=("quiet",),
        networks=models(dyadic(-16, 64), reset="subtract", refractory=False, recurrent=False),
    ),
    rule=st.sampled_from(("margin(3,2,1)", "margin(2,1)", "steps(0)", "steps(1)", "steps(3)")),
)
@moderate(150)
def test_stop_points_count_silent_turns(made, rule):
    bundle, recording = made
    known = replace(recording, target=np.zeros(len(recording), np.int64))
    (point,) = stop_points(known, [rule])
    for k in range(len(recording)):
        result = rerun(bundle, recording, k, parse_stop_rule(rule))
        spent = (result.total_spikes, result.steps, result.rounds)
        assert (point.spikes[k], point.steps[k], point.rounds[k]) == spent


@given(made=whole())
@moderate(40)
def test_stop_points_of_complete_samples_match_their_summary(made):
    bundle, recording = made
    decisions = [
        rerun(bundle, recording, k, parse_stop_rule("quiet")) for k in range(len(recording))
    ]
    summary = summarise(decisions, recording.target.tolist())
    (point,) = stop_points(recording, ["quiet"])
    assert point.accuracy == summary.accuracy
    assert point.mean("rounds") == summary.rounds_per_sample


def rerun(bundle, recording, k, until):
    """Run sample ``k`` again with another stop rule."""
    info = recording.info
    policy = make_policy(info.policy, info.noise)
    settings = RunSettings(policy, info.group_size, info.input, until, info.max_forward_steps)
    simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), settings))
    return run_sample(simulator, recording.events(k), int(recording.seed[k]), recording.duration(k))


def test_risk_is_the_error_among_samples_with_that_margin():
    votes = np.array([[1, 2], [4, 1], [0, 3], [0, 0]])
    base = record(relay(), [SpikeTrain([0], [0])] * 4, RunSettings(Fifo(), 1), targets=[0, 0, 0, 0])
    result = risk_coverage(replace(base, votes=votes, label=np.array([1, 0, 1, -1])))
    assert result.margin.tolist() == [3, 1]
    assert result.coverage.tolist() == [0.5, 0.75]  # the sample without a label is never answered
    assert result.risk.tolist() == [0.5, 2 / 3]


def test_margin_of_a_single_class_is_its_votes():
    made = relay_recording()
    info = replace(made.info, populations=(("hidden", 3), ("out", 1)))
    one = replace(made, info=info, votes=np.array([[2]]), label=np.array([0]), target=np.array([0]))
    assert risk_coverage(one).margin.tolist() == [2]


@given(made=whole("margin(1)"))
@moderate(30)
def test_risk_and_coverage_end_at_error_and_share_of_all_answers(made):
    _, recording = made
    result, answered = risk_coverage(recording), recording.label >= 0
    assert (np.diff(result.coverage) > 0).all()
    assert (np.diff(result.margin) < 0).all()
    if answered.any():
        wrong = recording.label[answered] != recording.target[answered]
        assert result.coverage[-1] == answered.mean()
        assert result.risk[-1] == pytest.approx(wrong.mean())
