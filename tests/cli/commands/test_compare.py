"""The command ``compare``: its table, its JSON, its picture, and its errors."""

import json

from neuroasync import read_bundle, read_spikes, write_spikes
from neuroasync.interchange import compare
from tests.helpers.cli_files import some_trains


def test_compare_prints_one_line_for_each_run_within_80_columns(cli, files, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = cli("compare", files.net, files.events)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines[3:]] == [
        [policy, mode, size]
        for policy in ("layer-sync", "random", "momentum", "fifo")
        for mode in ("prioritised", "queued")
        for size in ("1", "8")
    ]
    assert max(map(len, lines)) <= 80


def test_json_of_compare_has_the_runs_of_the_function(cli, files):
    result = cli(
        "compare", files.net, files.events, "--json", "--group-size", "2", "--group-size", "2",
        "--samples", "1:3", "--seed", "7", "--until", "votes(1)",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    expected = compare(
        read_bundle(files.net), read_spikes(files.events)[1:3], group_sizes=[2], seed=7, first=1,
        until="votes(1)",
    )  # fmt: skip
    assert document["samples"] == 2
    for found, run in zip(document["runs"], expected, strict=True):
        without_time = {k: v for k, v in run.to_json().items() if k != "latency_ms"}
        assert {k: v for k, v in found.items() if k != "latency_ms"} == without_time


def test_samples_without_labels_have_no_accuracy_but_a_share_of_same_labels(cli, files):
    write_spikes(some_trains(labels=None), files.folder / "plain.npz")
    result = cli("compare", files.net, files.folder / "plain.npz", "--json")
    runs = json.loads(result.stdout)["runs"]
    assert {run["accuracy"] for run in runs} == {None}
    assert runs[0]["same_labels"] == 1


def test_compare_draws_a_picture(cli, files):
    path = files.folder / "orders.png"
    result = cli("compare", files.net, files.events, "--plot", path)
    assert result.exit_code == 0, result.stderr
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "orders.png" in result.stdout


def test_the_picture_must_not_overwrite_an_input(cli, files):
    result = cli("compare", files.net, files.events, "--plot", files.events)
    assert result.exit_code == 2
    assert "must not overwrite an input" in result.stderr
