"""Anytime curves, stop points and risk-coverage, worked out by hand and against the runtime."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, make_policy
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import StopRule, parse_stop_rule
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.errors import RecordingError, StopRuleError
from neuroasync.metrics import anytime_curve, risk_coverage, stop_points, summarise
from tests.helpers.hand_networks import dense, network, population
from tests.helpers.recordings import BUILT_IN, moderate, record, recordings, relay, relay_recording

UNITS = ("spikes", "steps", "rounds")
RULES = ("quiet", "first-spike", "votes(2)", "margin(1)", "margin(2)", "steps(0)", "steps(2)")
RULES += ("margin(0,1)", "margin(2,1)", "margin(1,0)", "margin(3,0,1)")
ALL = st.sampled_from(UNITS)


def two_samples():
    """The sample of ``relay_recording``, whose right class is 1; and input 0 alone, class 0.

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
    """(bundle, recording) of whole samples with right classes."""
    bundle, recording = draw(recordings(policies=BUILT_IN, rules=(rule,)))
    classes = st.integers(0, recording.info.classes - 1)
    target = [draw(classes) for _ in range(len(recording))]
    return bundle, replace(recording, target=np.array(target, np.int64))


@pytest.mark.parametrize(
    ("unit", "budget", "accuracy", "answered"),
    [
        # The first sample's answer is 0 from 4 spikes on, 1 from the 6th on.
        ("spikes", [0, 1, 4, 6], [0, 0, 0, 0.5], [0, 0, 0.5, 0.5]),
        ("steps", [0, 1, 2, 5, 6], [0, 0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5, 0.5]),
        ("rounds", [0, 1, 2, 5, 6], [0, 0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5, 0.5]),
    ],
)
def test_a_curve_is_the_leading_class_after_each_step(unit, budget, accuracy, answered):
    curve = anytime_curve(two_samples(), unit)
    assert curve.budget.tolist() == budget
    assert curve.accuracy.tolist() == accuracy
    assert curve.answered.tolist() == answered


def test_a_step_that_was_not_paid_for_in_full_does_not_count():
    # Step 2 brings spikes 3 and 4 at once: for 3 spikes there is no answer yet.
    curve = anytime_curve(two_samples(), "spikes", [3, 4, 5, 5, 100])
    assert curve.answered.tolist() == [0, 0.5, 0.5, 0.5, 0.5]
    assert curve.accuracy.tolist() == [0, 0, 0, 0, 0.5]


def test_stop_points_say_where_each_sample_would_have_ended():
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


def test_a_rule_is_asked_at_the_begin_of_a_pass_even_if_nothing_is_delivered_there():
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


def test_no_samples_have_empty_curves():
    nothing = record(relay(), [], RunSettings(Fifo(), 1))
    curve = anytime_curve(nothing, "steps")
    assert (curve.budget.tolist(), curve.accuracy.tolist()) == ([0], [0.0])
    (point,) = stop_points(nothing, ["quiet"])
    assert (point.accuracy, point.mean("spikes")) == (None, None)
    assert risk_coverage(nothing).coverage.size == 0


def test_recordings_that_were_stopped_are_refused():
    stopped = record(relay(), [], RunSettings(Fifo(), 1, until=parse_stop_rule("margin(2)")))
    for ask in (lambda: anytime_curve(stopped, "steps"), lambda: stop_points(stopped, [])):
        with pytest.raises(
            RecordingError, match=r"^recorded until 'margin\(2\)', expected 'quiet'"
        ):
            ask()


def test_unknown_classes_are_refused():
    unknown = replace(two_samples(), target=np.array([1, -1]))
    for ask in (lambda: anytime_curve(unknown, "steps"), lambda: risk_coverage(unknown)):
        with pytest.raises(RecordingError, match=r"^target\[1\]: not known"):
            ask()


@pytest.mark.parametrize("budgets", [[2, 1], [-1, 3]])
def test_budgets_must_ascend_from_zero(budgets):
    with pytest.raises(ValueError, match=r"^budgets: .*expected numbers that ascend from 0"):
        anytime_curve(two_samples(), "steps", budgets)


def test_other_units_and_rules_are_refused():
    with pytest.raises(ValueError, match=r"^unit: 'ms', expected one of spikes, steps, rounds"):
        anytime_curve(two_samples(), "ms")
    with pytest.raises(StopRuleError, match=r"^until: 'margin'"):
        stop_points(two_samples(), ["margin"])
    with pytest.raises(StopRuleError, match="is a function"):
        stop_points(two_samples(), [lambda progress: True])


@given(made=whole(), unit=ALL)
@moderate(60)
def test_a_curve_ends_at_the_final_accuracy_and_answers_only_grow(made, unit):
    _, recording = made
    curve = anytime_curve(recording, unit)
    assert (np.diff(curve.budget) > 0).all()
    assert (np.diff(curve.answered) >= 0).all()
    assert (curve.accuracy <= curve.answered).all()
    samples = max(len(recording), 1)
    assert curve.accuracy[-1] == (recording.label == recording.target).sum() / samples
    assert curve.budget[-1] == getattr(recording, unit).max(initial=0)


@given(made=whole(), unit=ALL, budget=st.integers(0, 60))
@moderate(60)
def test_a_budget_gives_the_answer_of_a_run_that_is_stopped_before_it_is_exceeded(
    made, unit, budget
):
    bundle, recording = made
    right = 0
    for k in range(len(recording)):
        latest = []

        def within(progress, latest=latest):
            if getattr(progress, unit) > budget:
                return True
            latest.append(progress.label)
            return False

        rerun(bundle, recording, k, within)
        right += bool(latest) and latest[-1] == recording.target[k]
    (accuracy,) = anytime_curve(recording, unit, [budget]).accuracy
    assert accuracy == right / max(len(recording), 1)


@given(made=whole(), rule=st.sampled_from(RULES))
@moderate(80)
def test_stop_points_are_where_the_runtime_stops(made, rule):
    bundle, recording = made
    (point,) = stop_points(recording, [rule])
    for k in range(len(recording)):
        found = rerun(bundle, recording, k, parse_stop_rule(rule))
        label = -1 if found.label is None else found.label
        assert (point.label[k], point.stopped[k]) == (label, found.stopped)
        spent = (found.total_spikes, found.steps, found.rounds)
        assert (point.spikes[k], point.steps[k], point.rounds[k]) == spent


@given(made=whole())
@moderate(40)
def test_the_points_of_whole_samples_are_their_summary(made):
    bundle, recording = made
    decisions = [
        rerun(bundle, recording, k, parse_stop_rule("quiet")) for k in range(len(recording))
    ]
    summary = summarise(decisions, recording.target.tolist())
    (point,) = stop_points(recording, ["quiet"])
    assert point.accuracy == summary.accuracy
    assert point.mean("rounds") == summary.rounds_per_sample


def rerun(bundle, recording, k, until):
    """Sample ``k`` again, with another stop rule."""
    info = recording.info
    policy = make_policy(info.policy, info.noise)
    settings = RunSettings(policy, info.group_size, info.input, until, info.max_forward_steps)
    simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), settings))
    return run_sample(simulator, recording.events(k), int(recording.seed[k]), recording.duration(k))


def test_risk_is_the_error_among_those_whose_votes_are_as_clear():
    votes = np.array([[1, 2], [4, 1], [0, 3], [0, 0]])
    base = record(relay(), [SpikeTrain([0], [0])] * 4, RunSettings(Fifo(), 1), targets=[0, 0, 0, 0])
    found = risk_coverage(replace(base, votes=votes, label=np.array([1, 0, 1, -1])))
    assert found.margin.tolist() == [3, 1]
    assert found.coverage.tolist() == [0.5, 0.75]  # the sample without a label never counts
    assert found.risk.tolist() == [0.5, 2 / 3]


def test_a_single_class_is_led_by_its_votes():
    made = relay_recording()
    info = replace(made.info, populations=(("hidden", 3), ("out", 1)))
    one = replace(made, info=info, votes=np.array([[2]]), label=np.array([0]), target=np.array([0]))
    assert risk_coverage(one).margin.tolist() == [2]


@given(made=whole("margin(1)"))
@moderate(30)
def test_risk_and_coverage_end_at_the_share_and_error_of_all_answers(made):
    _, recording = made
    found, answered = risk_coverage(recording), recording.label >= 0
    assert (np.diff(found.coverage) > 0).all()
    assert (np.diff(found.margin) < 0).all()
    if answered.any():
        wrong = recording.label[answered] != recording.target[answered]
        assert found.coverage[-1] == answered.mean()
        assert found.risk[-1] == pytest.approx(wrong.mean())
