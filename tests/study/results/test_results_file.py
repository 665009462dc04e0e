"""``results.json``: complete and consistent with recordings and bundles."""

from collections import Counter
from dataclasses import fields

import pytest

from neuroasync import read_bundle, read_recording, read_spikes
from neuroasync.metrics import stop_points
from neuroasync.study import run_study
from neuroasync.study.design.stop_rules import FIXED
from neuroasync.study.results.records import NetworkRecord, RunRecord
from tests.helpers.small_studies import GRID, results_of

TRAININGS = ("layered-paper", "layered", "unlayered-random", "unlayered-momentum", "unlayered-any")
REQUIRED_FIELDS = {
    "case", "dataset", "training", "seed", "policy", "group_size", "input", "until", "chosen",
    "accuracy", "spikes_per_sample", "rounds_per_sample", "rounds_to_decision", "config",
    "versions", "bundle_digest",
}  # fmt: skip


def mode_of(run):
    """Return the mode of a run."""
    return run["policy"], run["group_size"], run["input"]


def test_runs_and_networks_have_the_documented_fields(finished):
    results = finished.results
    assert set(results) == {"format", "networks", "runs"}
    assert {f.name for f in fields(RunRecord)} >= REQUIRED_FIELDS
    assert all(set(run) == {f.name for f in fields(RunRecord)} for run in results["runs"])
    named = {f.name for f in fields(NetworkRecord)}
    assert all(set(network) == named for network in results["networks"])


def test_every_network_mode_and_rule_has_one_run(finished):
    runs = finished.results["runs"]
    modes = [(mode.policy, mode.group_size, mode.input) for mode in GRID]
    expected = {
        (training, seed, *mode, rule)
        for training in TRAININGS
        for seed in (0, 1)
        for mode in modes
        for rule in FIXED
    }
    found = [(r["training"], r["seed"], *mode_of(r), r["until"]) for r in runs]
    assert len(found) == len(set(found))
    assert set(found) >= expected
    assert all(rule.startswith("margin(") for *_, rule in set(found) - expected)


def test_each_mode_has_one_chosen_rule_per_criterion(finished):
    runs = finished.results["runs"]
    modes = {(run["config"], *mode_of(run)) for run in runs}
    for flag in ("chosen", "chosen_within_a_point"):
        chosen = Counter((run["config"], *mode_of(run)) for run in runs if run[flag])
        assert set(chosen) == modes
        assert set(chosen.values()) == {1}
        for mode in modes:
            candidates = [run for run in runs if (run["config"], *mode_of(run)) == mode]
            quiet = next(run for run in candidates if run["until"] == "quiet")
            best = next(run for run in candidates if run[flag])
            if flag == "chosen":  # in some modes no lead occurs within half of the rounds
                assert best["until"].startswith("margin(")
                is_in_half = 2 * best["validation_rounds"] <= quiet["validation_rounds"]
                assert is_in_half or best["until"] == "margin(1)"
            else:
                min_accuracy = quiet["validation_accuracy"] - 0.01
                good = [run for run in candidates if run["validation_accuracy"] >= min_accuracy]
                assert best in good
                assert best["validation_rounds"] == min(run["validation_rounds"] for run in good)


def test_run_refers_to_its_network_and_bundle(finished):
    results = finished.results
    networks = {network["name"]: network for network in results["networks"]}
    for run in results["runs"]:
        network = networks[run["config"]]
        assert network["bundle_digest"] == run["bundle_digest"]
        assert network["config"]["seed"] == run["seed"]
        assert run["versions"]["torch"]
    for name, network in networks.items():
        bundle = read_bundle(finished.folder / "bundles" / f"{name}.nab")
        assert bundle.digest.hex() == network["bundle_digest"]
        assert bundle.meta["topology"] == network["topology"]
        assert bundle.policy.name == network["config"]["policy"]


def test_recording_in_the_trained_mode_gives_the_numbers_of_its_runs(finished):
    name = "task-unlayered-random-0"
    recording = read_recording(finished.folder / "recordings" / f"{name}-own.npz")
    runs = [r for r in finished.results["runs"] if r["config"] == name]
    by_rule = {r["until"]: r for r in runs if mode_of(r) == ("random", 8, "prioritised")}
    for point in stop_points(recording, FIXED):
        run = by_rule[point.rule]
        assert run["accuracy"] == point.accuracy
        assert run["rounds_per_sample"] == point.mean("rounds")
        assert run["spikes_per_sample"] == point.mean("spikes")
    quiet = by_rule["quiet"]
    spikes = recording.spikes_by_population()
    density = {name: count / len(recording) / 10 for name, count in spikes.items()}
    density["output"] *= 10 / 4
    assert quiet["spike_density"] == pytest.approx(density)
    assert quiet["synops_per_sample"] == recording.synops.mean()


def test_samples_come_from_the_files_and_trainer_and_runtime_agree(finished):
    test = read_spikes(finished.user_files.test)
    for measurement in finished.measurements:
        assert measurement.target == test.labels.tolist()
        assert measurement.network.samples == {"train": 40, "validation": 12, "test": 12}
        agreement = measurement.network.agreement
        assert (agreement.samples, agreement.equal, agreement.disagreements) == (12, 12, [])
        assert measurement.network.checked_by_coroutines == 3 * len(GRID)


def test_progress_rises_from_0_to_1_and_names_the_network(finished):
    parts = [part for part, _ in finished.progress]
    assert parts == sorted(parts)
    assert parts[0] == 0
    assert parts[-1] == 1
    assert finished.progress[0][1] == "task-layered-paper-0"


def test_two_runs_give_the_same_bytes(finished, tmp_path):
    run_study(finished.plan, tmp_path / "again")
    assert results_of(tmp_path / "again") == results_of(finished.folder)
