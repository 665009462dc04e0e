"""Calibration: chosen leads, statistical guarantee, and rejection under other settings."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.engine.policies import Fifo
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.datasets import load_dataset
from neuroasync.metrics import boldest_lead, calibrate, slowest_lead, stop_points
from neuroasync.metrics.calibration import correct_at, lower_bound, rule_sequence
from neuroasync.metrics.trajectory import Trajectory, trajectories
from neuroasync.replay import rerun
from neuroasync.shipped import shipped_bundle
from tests.helpers.malformed_files import rich_bundle
from tests.helpers.recordings import BUILT_IN, moderate, record, recordings, relay


def trajectory(*moments):
    """Build a trajectory from (pass, label, margin); these tests ignore the other values."""
    pass_, label, margin = np.array([(-1, -1, 0), *moments]).T
    return Trajectory(pass_, pass_, pass_, pass_, label, margin, margin)


def calibration(accuracy=0.9, leads=(2, 1), policy=None, error=0.05):
    """Return a calibration of the given stop rule."""
    policy = na.PolicySpec("fifo", 1) if policy is None else policy
    return na.Calibration(accuracy, error, 0.95, 100, leads, policy)


# The sequence of rules


def test_required_lead_falls_in_the_latest_pass_first():
    # The correct class is 0. In the first sample, the wrong class leads by 1 in pass 0, then the
    # correct one by 2 in pass 1. In the second, the correct class leads by 1 in both passes.
    known = [trajectory((0, 1, 1), (1, 0, 2)), trajectory((0, 0, 1), (1, 0, 1))]
    sequence = rule_sequence(known, correct_at(known, np.array([0, 0])))
    # Rules: 0 margin(3,2), 1 margin(2), 2 margin(2,1), 3 margin(1). Only rule 3 has an error.
    assert (sequence.passes, sequence.max_lead) == (2, 2)
    assert sequence.boldest(2) == ((2, 1), 2)
    assert sequence.boldest(1) == ((1,), 1)


def test_sequence_ends_at_the_first_rule_that_fails():
    # The correct class is 0. A lead of 2 is wrong; a lead of 1, which comes earlier, is correct.
    known = [trajectory((0, 0, 1), (1, 1, 2), (2, 0, 3))]
    sequence = rule_sequence(known, correct_at(known, np.array([0])))
    assert sequence.boldest(1) == (
        (3, 3, 2),
        1,
    )  # stops in pass 2 only; the next rule would stop in pass 1


@given(
    made=recordings(policies=BUILT_IN, rules=("quiet",)),
    share=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]),
)
@moderate(60)
def test_slowest_lead_is_the_first_rule_within_its_share_of_rounds(made, share):
    _, recording = made
    recording = replace(recording, target=np.zeros(len(recording), np.int64))
    if not len(recording):
        return
    runs = trajectories(recording)
    sequence = rule_sequence(runs, [t.rounds for t in runs])
    rules = [
        str(StopRule("margin", sequence.leads(c)))
        for c in range(sequence.max_lead * sequence.passes)
    ]
    rounds = [int(p.rounds.sum()) for p in stop_points(recording, ["quiet", *rules])]
    assert rounds == sorted(rounds, reverse=True)
    result = str(slowest_lead(recording, share))
    meet = [k for k, spent in enumerate(rounds) if spent <= share * rounds[0]]
    if meet and meet[0]:
        assert result == rules[meet[0] - 1]
    elif meet:
        assert int(stop_points(recording, [result])[0].rounds.sum()) == rounds[0]
    else:
        assert int(stop_points(recording, [result])[0].rounds.sum()) == rounds[-1]


@given(made=recordings(policies=BUILT_IN, rules=("quiet",)), targets=st.integers(0, 2**16))
@moderate(60)
def test_sequence_counts_the_correct_decisions_of_each_rule(made, targets):
    _, recording = made
    classes, samples = recording.info.classes, len(recording)
    target = np.array([targets >> k & 1 for k in range(samples)], np.int64) % classes
    recording = replace(recording, target=target)
    if not samples:
        return
    runs = trajectories(recording)
    sequence, known = rule_sequence(runs, correct_at(runs, target)), []
    for c in range(sequence.max_lead * sequence.passes):
        lowered, late = divmod(c, sequence.passes)
        lead = sequence.max_lead - lowered
        leads = [lead + 1] * (sequence.passes - 1 - late) + [lead]
        known.append(f"margin({','.join(map(str, leads))})")
    points = stop_points(recording, ["quiet", *known])
    correct = [int((p.label == target).sum()) for p in points]
    counted = sequence.total[np.searchsorted(sequence.at, np.arange(len(known)), side="right")]
    assert [sequence.total[0], *counted] == correct
    for min_correct in range(correct[0] + 1):
        failing = next((k for k, n in enumerate(correct) if n < min_correct), len(correct))
        leads, result = sequence.boldest(min_correct)
        assert result == correct[failing - 1]
        if failing >= 2:
            assert str(na.StopRule("margin", leads)) == known[failing - 2]


# The bound


@given(samples=st.integers(1, 400), share=st.floats(0.01, 1))
@moderate(60)
def test_at_the_bound_the_count_is_reached_in_one_of_twenty_draws(samples, share):
    correct = max(1, math.ceil(share * samples))
    p = lower_bound(correct, samples)
    tail = sum(
        math.comb(samples, k) * p**k * (1 - p) ** (samples - k) for k in range(correct, samples + 1)
    )
    assert tail == pytest.approx(0.05, rel=1e-6)


def test_bound_is_a_root_if_all_samples_are_correct():
    assert lower_bound(10, 10) == pytest.approx(0.05 ** (1 / 10))
    assert lower_bound(1, 1) == pytest.approx(0.05)


# The guarantee

PASSES, CHANCES, SHARES = 12, np.array([0.9, 0.72, 0.55]), np.array([0.5, 0.3, 0.2])
"""Chances that a pass votes for the correct class, 0, each in this share of the samples."""


def random_trajectories(rng, samples):
    """Draw trajectories of two classes whose lead is a random walk."""
    chance = rng.choice(CHANCES, samples, p=SHARES)
    votes = np.where(rng.random((samples, PASSES)) < chance[:, None], 1, -1)
    known = []
    for lead in np.cumsum(votes, axis=1):
        # At a tie the previous leader still leads, because it reached its count first.
        leader = np.where(lead != 0, lead, np.concatenate(([0], lead[:-1]))) < 0
        passes = np.arange(PASSES)
        known.append(trajectory(*zip(passes, leader.astype(int), abs(lead), strict=True)))
    return known


def true_accuracy(leads):
    """Compute the exact probability that the rule decides a sample correctly."""
    total = 0.0
    for chance, share in zip(CHANCES, SHARES, strict=True):
        at = np.zeros(2 * PASSES + 1)
        at[PASSES] = 1  # the lead of class 0, from -PASSES
        lead = np.arange(-PASSES, PASSES + 1)
        correct = tied = 0.0
        for k in range(PASSES):
            tied = at[PASSES + 1] * (1 - chance)
            at = np.roll(at, 1) * chance + np.roll(at, -1) * (1 - chance)
            needed = leads[min(k, len(leads) - 1)]
            stops = (abs(lead) >= needed) & (needed > 0)
            correct += at[stops & (lead > 0)].sum()
            at = np.where(stops, 0, at)
        total += share * (correct + at[lead > 0].sum() + tied)
    return total


@pytest.mark.parametrize(("accuracy", "samples"), [(0.87, 200), (0.89, 200), (0.87, 1000)])
def test_guaranteed_accuracy_holds_on_fresh_samples(accuracy, samples):
    rng, met, shares = np.random.default_rng(0), [], []
    min_correct = math.ceil(accuracy * samples)
    error = accuracy - lower_bound(min_correct, samples)
    for _ in range(300):
        runs = random_trajectories(rng, samples)
        sequence = rule_sequence(runs, correct_at(runs, np.zeros(samples, np.int64)))
        if sequence.total[0] < min_correct:  # calibration would fail
            continue
        shares.append(true_accuracy(sequence.boldest(min_correct)[0]))
        met.append(shares[-1] >= accuracy - error)
    # One guarantee in twenty may fail: 15 of 300. 24 lie within three standard errors of that.
    assert np.sum(~np.array(met)) <= 24
    assert abs(np.mean(shares) - accuracy) < error  # the rules are not needlessly cautious


def test_accuracy_of_complete_samples_matches_the_arithmetic():
    known = random_trajectories(np.random.default_rng(1), 4000)
    sequence = rule_sequence(known, correct_at(known, np.zeros(4000, np.int64)))
    assert sequence.total[0] / 4000 == pytest.approx(true_accuracy((99,)), abs=0.02)


@pytest.mark.parametrize("name", ["unlayered", "queued"])
def test_guarantee_holds_on_the_digits_test_part_and_saves_rounds(name):
    digits, bundle = load_dataset("digits"), shipped_bundle(f"{name}")
    policy, size = bundle.policy.name, bundle.policy.group_size
    run = RunSettings(input=bundle.policy.input).with_changes(policy=policy, group_size=size)
    parts = [
        record(bundle, list(part), run, targets=part.labels.tolist())
        for part in (digits.validation, digits.test)
    ]
    for result in calibrate(parts[0], (0.9, 0.95)):
        quiet, early = stop_points(parts[1], ["quiet", result.until])
        assert result.measured >= result.accuracy
        assert early.accuracy >= result.accuracy - result.error
        assert early.mean("rounds") < 0.4 * quiet.mean("rounds")


# Unsuitable recordings


def whole(samples=4, **changes):
    """Return a recording until quiet, with some fields replaced."""
    made = record(relay(), [SpikeTrain([0, 0, 1000], [0, 1, 1])] * samples, RunSettings(Fifo(), 1))
    return replace(made, target=np.ones(samples, np.int64), **changes)


def test_accuracy_above_that_of_complete_samples_is_rejected():
    recording = whole()
    (result,) = calibrate(recording, [0.9])
    assert (result.measured, result.samples, result.policy) == (1.0, 4, na.PolicySpec("fifo", 1))
    assert result.error == pytest.approx(0.9 - 0.05 ** (1 / 4))
    with pytest.raises(
        ValueError, match=r"^`accuracies` must be at most 0.75, the accuracy without early"
    ):
        calibrate(replace(recording, target=np.array([1, 0, 1, 1])), [0.9])


@pytest.mark.parametrize("accuracy", [0.7, 0.1 * 7, 0.7 + 1e-12])
def test_exactly_the_required_accuracy_is_enough_despite_rounding(accuracy):
    (result,) = calibrate(
        replace(whole(100), target=(np.arange(100) < 70).astype(np.int64)), [accuracy]
    )
    assert (result.accuracy, result.measured, result.samples) == (accuracy, accuracy, 100)
    known = replace(relay(), policy=result.policy, calibration=(result,))
    assert str(na.Network(known, until=f"confidence({accuracy})").settings.until) == result.until


@pytest.mark.parametrize("accuracy", [0.0, 1.0, math.nan, 1, "0.9", True])
def test_accuracy_must_lie_between_0_and_1(accuracy):
    with pytest.raises(ValueError, match=r"^`accuracies` must be numbers between 0 and 1, got"):
        calibrate(whole(), [accuracy])


def test_unsuitable_recording_is_rejected():
    for other, message in (
        (whole(0), "^the recording has no samples"),
        (replace(whole(), info=replace(whole().info, custom_policy=True)), "with a custom policy"),
        (
            replace(whole(), info=replace(whole().info, until="first-spike")),
            "^`until` of the recording must be 'quiet'",
        ),
    ):
        with pytest.raises(na.RecordingError, match=message):
            calibrate(other, [0.9])
    for choose, value in ((boldest_lead, 1), (slowest_lead, 0.5)):
        with pytest.raises(na.RecordingError, match=r"^the recording has no samples"):
            choose(whole(0), value)


# In a bundle


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"accuracy": 0.0}, r"^`accuracy` must be a float between 0 and 1, both excluded, got 0\."),
        ({"accuracy": 1.0, "measured": 1}, r"^`accuracy` must be a float between 0 and 1, both ex"),
        ({"accuracy": math.nan}, r"^`accuracy` must be a float between 0 and 1, both excluded, go"),
        ({"accuracy": "0.9"}, r"^`accuracy` must be a float between 0 and 1, both excluded, got '"),
        ({"error": 0.91}, r"^`error` must be a number from 0 to 0\.9, got 0\.91$"),
        ({"error": -0.01}, r"^`error` must be a number from 0 to 0\.9, got -0\.01$"),
        ({"measured": 0.89}, r"^`measured` must be a number from 0\.9 to 1, got 0\.89$"),
        ({"samples": 0}, r"^`samples` must be an integer of at least 1, got 0$"),
        ({"leads": ()}, r"^`leads` must be a tuple of 1 to 4096 integers, got \(\)$"),
        ({"leads": [1]}, r"^`leads` must be a tuple of 1 to 4096 integers, got \[1\]$"),
        ({"leads": (1,) * 4097}, r"^`leads` must be a tuple of 1 to 4096 integers, got \(1, 1, 1,"),
        ({"leads": (1, -1)}, r"^`leads\[1\]` must be an integer from 0 to 999999999, got -1$"),
        ({"leads": (0, 0)}, r"^`leads` must have an entry above 0, or the rule never stops$"),
        ({"policy": "fifo"}, r"^`policy` must be a PolicySpec, got 'fifo'$"),
    ],
)
def test_invalid_calibration_is_rejected(fields, message):
    with pytest.raises(na.BundleError, match=message):
        replace(calibration(), **fields)


def test_accuracy_is_calibrated_once_per_policy():
    bundle = rich_bundle()
    with pytest.raises(
        na.BundleError,
        match=r"^`calibration\[1\]\.accuracy` must be different from all others with the same",
    ):
        replace(bundle, calibration=(calibration(), calibration(leads=(3,))))
    with pytest.raises(
        na.BundleError, match=r"^`calibration` must be a list of at most 64 entries, got 65$"
    ):
        replace(bundle, calibration=[calibration(k / 100) for k in range(6, 71)])


# In a network


def confident():
    """Return a bundle with two calibrations."""
    return replace(
        relay(),
        policy=na.PolicySpec("fifo", 1),
        calibration=(calibration(), calibration(0.95, (9,))),
    )


async def test_confidence_selects_the_calibrated_rule(no_leaks):
    sample = SpikeTrain([0, 0, 1000], [0, 1, 1])
    network = na.Network(confident(), until="confidence(0.90)")
    async with network:
        assert str(network.settings.until) == "margin(2,1)"
        recorder = network.recorder()
        decision = await network.decide(sample, recorder=recorder)
        assert decision == await network.decide(sample, until="margin(2,1)")
        assert (decision.stopped, decision.label) == (True, 1)
        assert not (await network.decide(sample, until="confidence(.95)")).stopped
        assert [decision] == await network.decide_all([sample], until="confidence(0.9)")
    recording = recorder.finish()
    assert (
        recording.info.until == "margin(2,1)"
    )  # the rule itself, so that replaying needs no calibration
    assert rerun(recording, confident()) == recording


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"until": "confidence(0.8)"},
            r"is calibrated for confidence\(0.9\), confidence\(0.95\); ",
        ),
        ({"until": "confidence(95)"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence()"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence(p)"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence(nan)"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence(0.9"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": f"confidence(0.{'9' * 40})"}, r"must be confidence\(p\) with p between 0 and"),
        (
            {"until": "confidence(0.9)", "policy": "random"},
            "is calibrated for fifo, F = 1, prioritised input, and this",
        ),
        (
            {"until": "confidence(0.9)", "group_size": 2},
            "this call uses fifo, F = 2, prioritised ",
        ),
        ({"until": "confidence(0.9)", "input": "queued"}, "this call uses fifo, F = 1, queued in"),
    ],
)
async def test_confidence_is_rejected_with_other_options_than_calibrated(
    options, message, no_leaks
):
    async with na.Network(confident()) as network:
        with pytest.raises(na.StopRuleError, match=message):
            await network.decide(SpikeTrain([], []), **options)


async def test_default_confidence_is_rejected_under_another_policy(no_leaks):
    async with na.Network(confident(), until="confidence(0.9)") as network:
        with pytest.raises(na.StopRuleError, match="this call uses random, F = 1"):
            network.session(policy="random")
        network.session(policy="random", until="quiet").close()


@pytest.mark.parametrize("accuracy", [1e-05, 0.1 * 7, 5e-324, 0.12345678901234567])
def test_accuracy_can_be_written_in_any_float_format(accuracy):
    known = replace(confident(), calibration=(calibration(accuracy, error=0.0),))
    for written in (accuracy, f"{accuracy:.17e}"):
        network = na.Network(known, until=f"confidence({written})")
        assert str(network.settings.until) == "margin(2,1)"


async def test_confidence_is_rejected_with_custom_populations(no_leaks):
    async def silent(inbox, fired, population):
        async for _ in inbox:
            await fired.put([])

    name = relay().model.populations[0].name
    message = rf"calibration is not valid with custom populations \('{name}'\); use margin"
    with pytest.raises(na.StopRuleError, match=message):
        na.Network(confident(), populations={name: silent}, until="confidence(0.9)")
    async with na.Network(confident(), populations={name: silent}) as network:
        with pytest.raises(na.StopRuleError, match=message):
            await network.decide(SpikeTrain([], []), until="confidence(0.9)")
        with pytest.raises(na.StopRuleError, match=message):
            network.session(until="confidence(0.9)")
        network.session(until="margin(2,1)").close()


async def test_error_without_calibration_explains_how_to_calibrate():
    with pytest.raises(
        na.StopRuleError, match="the bundle has no calibration; calibrate it with `neuroasy"
    ):
        na.Network(relay(), until="confidence(0.9)")
    with pytest.raises(na.StopRuleError, match="must be a rule other than confidence"):
        stop_points(whole(), ["confidence(0.9)"])
