"""The command ``run``: its table, its JSON and its recordings."""

import json
from dataclasses import replace

import numpy as np
import pytest

from neuroasync import write_bundle, write_spikes
from neuroasync.cli.decide_samples import run_in_loop
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.recording.file import read_recording
from neuroasync.metrics import connection_sparsity, footprint, workload
from neuroasync.runtime.network import Network
from tests.helpers.cli_files import SAMPLES, golden_bundle, some_trains

NUMBERS = (
    "spikes_per_sample", "steps_per_sample", "rounds_per_sample", "rounds_to_decision",
    "synops_per_sample",
)  # fmt: skip


def test_json_is_one_object_with_the_documented_fields(cli, files):
    result = cli("run", files.net, files.events, "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1
    found = json.loads(result.stdout)
    assert found["samples"] == SAMPLES
    assert 0 <= found["accuracy"] <= 1
    assert isinstance(found["undecided"], int)
    for name in NUMBERS:
        assert isinstance(found[name], int | float)
        assert found[name] > 0
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]


def test_reported_numbers_equal_those_of_the_runtime(cli, files):
    trains = some_trains()

    async def decide():
        async with Network.load(files.net, policy="momentum", group_size=3) as network:
            return [
                await network.decide(train, seed=sample_seed(7, i))
                for i, train in enumerate(trains)
            ]

    decisions = run_in_loop(decide())
    result = cli(
        "run", files.net, files.events, "--json", "--seed", 7, "--policy", "momentum",
        "--group-size", 3,
    )  # fmt: skip
    found = json.loads(result.stdout)
    right = [d.label == label for d, label in zip(decisions, trains.labels, strict=True)]
    assert found["accuracy"] == pytest.approx(np.mean(right))
    for key, values in {
        "spikes_per_sample": [d.total_spikes for d in decisions],
        "steps_per_sample": [d.steps for d in decisions],
        "rounds_per_sample": [d.rounds for d in decisions],
        "synops_per_sample": [d.synops for d in decisions],
    }.items():
        assert found[key] == pytest.approx(np.mean(values))


def test_json_has_the_neurobench_metrics_and_a_recording_makes_them_exact(cli, files):
    out = files.folder / "run.npz"
    common = ("run", files.net, files.events, "--until", "votes(2)", "--json")
    counted = json.loads(cli(*common).stdout)
    recorded = json.loads(cli(*common, "--record", out).stdout)
    model = golden_bundle().model
    found = recorded["neurobench"]
    assert found["parameter_count"] == model.parameters
    assert found["footprint"] == footprint(model).total
    assert found["connection_sparsity"] == connection_sparsity(model)
    exact = workload(read_recording(out), golden_bundle())
    assert recorded["stopped"] == counted["stopped"] == exact.stopped > 0
    assert found["activation_sparsity"] == exact.activation_sparsity
    assert found["synaptic_operations"] == {
        "effective_macs": exact.effective_macs,
        "effective_acs": exact.effective_acs,
        "dense": exact.dense,
    }
    # An index has two events in one bin, which counts alone cannot tell apart.
    operations = {"effective_macs": None, "effective_acs": None, "dense": exact.dense}
    assert counted["neurobench"] == found | {"synaptic_operations": operations}


def test_without_labels_no_accuracy_is_reported(cli, files):
    write_spikes(some_trains(labels=None), files.events)
    found = json.loads(cli("run", files.net, files.events, "--json").stdout)
    assert found["accuracy"] is None
    table = cli("run", files.net, files.events).stdout
    assert "accuracy" in table


def test_table_shows_the_settings_and_fits_100_columns(cli, files):
    options = ("--policy", "fifo", "--group-size", 5, "--input", "queued", "--until", "margin(2)")
    result = cli("run", files.net, files.events, *options)
    assert result.exit_code == 0
    assert "fifo, F = 5, queued input, until margin(2)" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_recording_contains_its_settings(cli, files):
    out = files.folder / "run.npz"
    result = cli(
        "run", files.net, files.events, "--policy", "momentum", "--group-size", 3, "--input",
        "queued", "--until", "votes(2)", "--max-forward-steps", 5000, "--record", out,
    )  # fmt: skip
    assert result.exit_code == 0
    assert str(out.name) in "".join(result.stdout.split())
    info = read_recording(out).info
    assert (info.policy, info.group_size, info.input) == ("momentum", 3, "queued")
    assert (info.until, info.max_forward_steps) == ("votes(2)", 5000)


@pytest.mark.parametrize("chosen", ["3:5", "3:", ":2", "5:6"])
def test_spikes_of_a_sample_do_not_depend_on_the_selection(cli, files, chosen):
    whole, part = files.folder / "whole.npz", files.folder / "part.npz"
    common = ("run", files.net, files.events, "--policy", "random", "--group-size", 2)
    assert cli(*common, "--record", whole).exit_code == 0
    assert cli(*common, "--record", part, "--samples", chosen).exit_code == 0
    all_of_it, some = read_recording(whole), read_recording(part)
    expected = range(SAMPLES)[slice(*(int(k) if k else None for k in chosen.split(":")))]
    assert some.number.tolist() == list(expected)
    for k, number in enumerate(expected):
        assert some.sample_digest(k) == all_of_it.sample_digest(number)
        assert some.target[k] == some_trains().labels[number]


def test_another_seed_gives_another_order(cli, files):
    digests = set()
    for seed in (0, 1):
        out = files.folder / f"{seed}.npz"
        cli("run", files.net, files.events, "--policy", "random", "--seed", seed, "--record", out)
        digests.add(read_recording(out).digest)
    assert len(digests) == 2


def test_names_from_a_bundle_cannot_drive_the_terminal(cli, files):
    evil = replace(golden_bundle(), meta={"note": "\x1b[2Jgone\nerror: not me"})
    write_bundle(evil, files.net)
    result = cli("inspect", files.net)
    assert "\x1b" not in result.stdout
    assert "\nerror" not in result.stdout


def passes_of(path):
    """Return the numbers of passes in a recording."""
    return read_recording(path).passes.tolist()


def test_duration_is_that_of_the_option_or_the_bundle(cli, files):
    out = files.folder / "run.npz"
    common = ("run", files.net, files.events, "--record", out)
    assert cli(*common, "--duration", "15ms").exit_code == 0
    assert passes_of(out) == [15] * SAMPLES
    write_bundle(replace(golden_bundle(), golden=(), duration_us=9000), files.net)
    assert cli(*common).exit_code == 0
    assert passes_of(out) == [9] * SAMPLES
    assert cli(*common, "--duration", "15ms").exit_code == 0
    assert passes_of(out) == [15] * SAMPLES


@pytest.mark.parametrize(
    ("text", "error"),
    [("5", "must be a whole number of µs with a unit"), ("0ms", "at least 1 µs, got 0ms"),
     ("1ms", "--duration must be longer than the samples, whose last event is at ")],
)  # fmt: skip
def test_a_duration_that_cannot_be_is_refused(cli, files, text, error):
    result = cli("run", files.net, files.events, "--duration", text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert error in result.stderr


def test_until_trained_is_the_rule_of_the_meta(cli, files):
    result = cli("run", files.net, files.events, "--until", "trained")
    assert "until margin(2)" in result.stdout
    write_bundle(replace(golden_bundle(), meta={}), files.net)
    result = cli("run", files.net, files.events, "--until", "trained")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the bundle does not state the stop rule of its training" in result.stderr
