"""Accuracy with half of the rounds, by hand."""

from types import SimpleNamespace

import pytest

from neuroasync.metrics.mean import Mean
from neuroasync.study import Mode
from neuroasync.study.results.half_budget import full_budget_mode, half_budget_rows
from neuroasync.study.results.statistics import CaseResults

FULL = Mode("layer-sync", 8, "queued")
RANDOM = Mode("random", 8, "queued")


def run(mode, until, validation, rounds, accuracy):
    """Return the fields of a run that the half-budget rows read."""
    return SimpleNamespace(
        mode=mode, until=until, chosen=False, validation_accuracy=validation,
        validation_rounds=rounds, accuracy=accuracy, rounds_per_sample=rounds + 0.5,
    )  # fmt: skip


def results(**runs):
    """Return study results with the runs of each training."""
    measurements = [
        SimpleNamespace(
            network=SimpleNamespace(training=training.replace("_", "-"), seed=0, name=training),
            runs=of,
        )
        for training, of in runs.items()
    ]
    trainings = tuple(m.network.training for m in measurements)
    case = SimpleNamespace(
        name="case", input="queued", trainings=trainings, trained_mode=lambda training: RANDOM
    )
    return CaseResults(case, measurements)


LAYERED = [
    run(FULL, "quiet", 0.9, 30.0, 0.91),
    run(FULL, "votes(2)", 0.95, 15.5, 0.92),  # the best, but over the budget
    run(FULL, "first-spike", 0.5, 10.0, 0.55),
]
UNLAYERED = [
    run(RANDOM, "quiet", 0.9, 28.0, 0.9),
    run(RANDOM, "margin(2)", 0.8, 15.0, 0.79),
    run(RANDOM, "votes(2)", 0.8, 14.0, 0.81),  # as good as the one above, with fewer rounds
    run(RANDOM, "first-spike", 0.4, 5.0, 0.99),  # the best on held-out samples does not count
]


def test_best_rule_on_validation_samples_within_the_budget_is_taken():
    rows = list(half_budget_rows(results(layered=LAYERED, unlayered_random=UNLAYERED)))
    assert [(row.training, row.mode) for row in rows] == [
        ("layered", FULL), ("unlayered-random", RANDOM),
    ]  # fmt: skip
    assert [(row.accuracy, row.rounds) for row in rows] == [
        (Mean(0.55, None), Mean(10.5, None)),
        (Mean(0.81, None), Mean(14.5, None)),
    ]


@pytest.mark.parametrize(
    "measurements", [results(unlayered_random=UNLAYERED), results(layered=LAYERED[:2])]
)
def test_network_without_a_budget_or_a_rule_within_it_has_no_row(measurements):
    assert list(half_budget_rows(measurements)) == []


def test_layered_network_is_also_shown_in_the_mode_of_the_unlayered_one():
    control = [run(RANDOM, "quiet", 0.9, 40.0, 0.9), run(RANDOM, "votes(2)", 0.6, 12.0, 0.61)]
    rows = list(
        half_budget_rows(
            results(
                layered=LAYERED + control, unlayered_random=UNLAYERED, unlayered_momentum=UNLAYERED
            )
        )
    )
    assert [(row.training, row.mode, row.accuracy.value) for row in rows] == [
        ("layered", FULL, 0.55),
        ("layered", RANDOM, 0.61),
        ("unlayered-random", RANDOM, 0.81),
        ("unlayered-momentum", RANDOM, 0.81),
    ], "both unlayered networks have the same mode, so layered has one row there"


def test_budget_comes_from_layer_sync_with_the_input_of_the_case():
    assert full_budget_mode(results(layered=LAYERED)) == FULL
