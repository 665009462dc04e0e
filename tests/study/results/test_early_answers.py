"""Early answers against the layered network with its own stop rule, by hand."""

from types import SimpleNamespace

from neuroasync.metrics.mean import Mean
from neuroasync.study import Mode
from neuroasync.study.results.early_answers import early_rows
from neuroasync.study.results.statistics import CaseResults

FULL = Mode("layer-sync", 8, "queued")
RANDOM = Mode("random", 8, "queued")


def run(mode, accuracy, rounds, spikes, chosen=True):
    """Return the fields of a run that the rows read."""
    return SimpleNamespace(
        mode=mode, accuracy=accuracy, rounds_per_sample=rounds, spikes_per_sample=spikes,
        chosen_within_a_point=chosen,
    )  # fmt: skip


def results(**runs):
    """Return study results with the runs of each training, a list for each seed."""
    measurements = [
        SimpleNamespace(
            network=SimpleNamespace(training=training.replace("_", "-"), seed=seed), runs=of
        )
        for training, seeds in runs.items()
        for seed, of in enumerate(seeds)
    ]
    trainings = tuple(dict.fromkeys(m.network.training for m in measurements))
    case = SimpleNamespace(input="queued", trainings=trainings, trained_mode=lambda _: RANDOM)
    return CaseResults(case, measurements)


LAYERED = [
    [run(FULL, 0.5, 99, 99, chosen=False), run(FULL, 0.75, 16, 80), run(RANDOM, 0.75, 12, 80)],
    [run(FULL, 0.5, 24, 120), run(FULL, 1.0, 1, 1, chosen=False), run(RANDOM, 0.625, 12, 70)],
]
UNLAYERED = [[run(RANDOM, 0.875, 12, 40)], [run(RANDOM, 0.5, 8, 60)]]


def test_networks_are_compared_with_the_layered_one_and_its_rule():
    rows = list(early_rows(results(layered=LAYERED, unlayered_random=UNLAYERED)))
    assert [(row.training, row.mode) for row in rows] == [
        ("layered", FULL), ("layered", RANDOM), ("unlayered-random", RANDOM),
    ]  # fmt: skip
    first = rows[0]
    assert (first.accuracy.value, first.rounds.value, first.spikes.value) == (0.625, 20.0, 100.0)
    assert (first.change, first.of_rounds, first.of_spikes) == (
        Mean(0.0, 0.0), first.rounds, first.spikes,
    )  # fmt: skip
    last = rows[2]
    assert (last.accuracy.value, last.rounds.value, last.spikes.value) == (0.6875, 10.0, 50.0)
    assert last.change.value == ((0.875 - 0.75) + (0.5 - 0.5)) / 2
    assert (last.of_rounds, last.of_spikes) == (first.rounds, first.spikes)


def test_without_a_layered_network_there_are_no_rows():
    assert list(early_rows(results(unlayered_random=UNLAYERED))) == []
