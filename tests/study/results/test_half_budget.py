"""What is decided in half the rounds on average, worked out by hand."""

from types import SimpleNamespace

import pytest

from neuroasync.study import Mode
from neuroasync.study.results.half_budget import deadline_rows, whole_mode
from neuroasync.study.results.statistics import CaseResults, Mean

WHOLE = Mode("layer-sync", 8, "queued")
RANDOM = Mode("random", 8, "queued")


def run(mode, until, validation, rounds, accuracy):
    return SimpleNamespace(
        mode=mode, until=until, chosen=False, validation_accuracy=validation,
        validation_rounds=rounds, accuracy=accuracy, rounds_per_sample=rounds + 0.5,
    )  # fmt: skip


def results(**runs):
    found = [
        SimpleNamespace(
            network=SimpleNamespace(training=training.replace("_", "-"), seed=0, name=training),
            runs=of,
        )
        for training, of in runs.items()
    ]
    trainings = tuple(m.network.training for m in found)
    case = SimpleNamespace(
        name="case", input="queued", trainings=trainings, own_mode=lambda training: RANDOM
    )
    return CaseResults(case, found)


LAYERED = [
    run(WHOLE, "quiet", 0.9, 30.0, 0.91),
    run(WHOLE, "votes(2)", 0.95, 15.5, 0.92),  # the best, but late
    run(WHOLE, "first-spike", 0.5, 10.0, 0.55),
]
UNLAYERED = [
    run(RANDOM, "quiet", 0.9, 28.0, 0.9),
    run(RANDOM, "margin(2)", 0.8, 15.0, 0.79),
    run(RANDOM, "votes(2)", 0.8, 14.0, 0.81),  # as good as the one above, and sooner
    run(RANDOM, "first-spike", 0.4, 5.0, 0.99),  # the best on held-out samples does not count
]


def test_the_best_rule_on_validation_samples_in_half_the_rounds_decides():
    rows = list(deadline_rows(results(layered=LAYERED, unlayered_random=UNLAYERED)))
    assert [(row.training, row.mode) for row in rows] == [
        ("layered", WHOLE), ("unlayered-random", RANDOM),
    ]  # fmt: skip
    assert [(row.accuracy, row.rounds) for row in rows] == [
        (Mean(0.55, None), Mean(10.5, None)),
        (Mean(0.81, None), Mean(14.5, None)),
    ]


@pytest.mark.parametrize(
    "found", [results(unlayered_random=UNLAYERED), results(layered=LAYERED[:2])]
)
def test_without_a_deadline_or_a_rule_in_time_there_is_no_row(found):
    assert list(deadline_rows(found)) == []


def test_the_layered_network_is_beside_the_unlayered_one_in_the_order_of_the_latter():
    control = [run(RANDOM, "quiet", 0.9, 40.0, 0.9), run(RANDOM, "votes(2)", 0.6, 12.0, 0.61)]
    rows = list(
        deadline_rows(
            results(
                layered=LAYERED + control, unlayered_random=UNLAYERED, unlayered_momentum=UNLAYERED
            )
        )
    )
    assert [(row.training, row.mode, row.accuracy.value) for row in rows] == [
        ("layered", WHOLE, 0.55),
        ("layered", RANDOM, 0.61),
        ("unlayered-random", RANDOM, 0.81),
        ("unlayered-momentum", RANDOM, 0.81),
    ], "one mode, so one row of the layered network there"


def test_the_deadline_comes_from_layer_sync_with_the_input_of_the_case():
    assert whole_mode(results(layered=LAYERED)) == WHOLE
