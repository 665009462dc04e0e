"""The statistical guarantee of a calibration: its bound, and fresh samples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.datasets import load_dataset
from neuroasync.metrics import calibrate, stop_points
from neuroasync.metrics.calibration import correct_at, lower_bound, rule_sequence
from neuroasync.shipped import shipped_bundle
from tests.helpers.calibrations import trajectory
from tests.helpers.recordings import moderate, record


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
