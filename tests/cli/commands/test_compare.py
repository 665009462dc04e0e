"""The command ``compare``: its table, its JSON, its certificate, its picture, and its errors."""

import json

import pytest

from neuroasync import read_bundle, read_spikes, write_spikes
from neuroasync.metrics import compare_modes
from tests.helpers.cli_files import some_trains


def test_compare_prints_one_line_for_each_run_within_80_columns(cli, files, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = cli("compare", files.net, files.events)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    modes = [("layer-sync", "prioritised")] + [
        (policy, mode)
        for policy in ("random", "momentum", "fifo")
        for mode in ("prioritised", "queued")
    ]
    expected = [[policy, mode, size] for policy, mode in modes for size in ("1", "8")]
    assert [line.split()[:3] for line in lines[3:17]] == expected
    titles = ("worst order", "mean", "spread", "in every order", "sampled", "samples")
    for line, title in zip(lines[18:], titles, strict=True):
        assert line.startswith(title)
    assert max(map(len, lines)) <= 80


def test_json_of_compare_has_the_runs_of_the_function(cli, files):
    result = cli(
        "compare", files.net, files.events, "--json", "--group-size", "2", "--group-size", "2",
        "--samples", "1:3", "--seed", "7", "--until", "votes(1)",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    modes = "layer-sync F=2; random,momentum,fifo F=2 prioritised,queued"
    expected = compare_modes(
        read_bundle(files.net), read_spikes(files.events)[1:3], modes, seed=7, first=1,
        until="votes(1)",
    )  # fmt: skip
    assert document["samples"] == 2
    assert document["certificate"]["worst"] == expected.certificate.worst
    assert document["certificate"]["seed"] == 7
    for found, run in zip(document["runs"], expected.runs, strict=True):
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


def test_the_picture_distinguishes_orders_by_their_noise(cli, files, monkeypatch):
    drawn = []
    monkeypatch.setattr("neuroasync.plot.save_png", lambda figure, _: drawn.append(figure))
    modes = "momentum F=1,2; momentum F=1,2 noise=0.5"
    result = cli("compare", files.net, files.events, "--modes", modes, "--plot", "orders.png")
    assert result.exit_code == 0, result.stderr
    names = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert names == ["momentum, prioritised", "momentum, noise 0.5, prioritised"]


def test_the_picture_must_not_overwrite_an_input(cli, files):
    result = cli("compare", files.net, files.events, "--plot", files.events)
    assert result.exit_code == 2
    assert "must not overwrite an input" in result.stderr


def test_compare_writes_the_certificate_into_a_bundle(cli, files):
    path = files.folder / "certified.nab"
    options = ("--modes", "random F=2 x2; fifo", "--orders", "3", "-o", path, "--json")
    result = cli("compare", files.net, files.events, *options)
    assert result.exit_code == 0, result.stderr
    document, before = json.loads(result.stdout), read_bundle(files.net)
    after = read_bundle(path)
    assert document["written"] == str(path)
    assert len(document["runs"]) == document["certificate"]["orders"] == 4
    expected = compare_modes(
        before, read_spikes(files.events), "random F=2 x2; fifo", orders=3
    ).certificate
    assert after.certificate == expected
    assert (after.model, after.meta) == (before.model, before.meta)
    shown = json.loads(cli("inspect", path, "--json").stdout)["certificate"]
    assert shown == document["certificate"]
    assert "worst order" in cli("inspect", path).stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--modes", "rand"), "did you mean 'random'?"),
        (("--modes", "fifo", "--group-size", "2"), "--group-size cannot be combined with --modes"),
        (("--orders", "2", "--seed", str(2**64 - 1)), "--seed must be at most"),
    ],
)
def test_bad_options_are_refused(cli, files, options, message):
    result = cli("compare", files.net, files.events, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_certificate_needs_labels(cli, files):
    write_spikes(some_trains(labels=None), files.folder / "plain.npz")
    result = cli("compare", files.net, files.folder / "plain.npz", "-o", files.folder / "c.nab")
    assert result.exit_code == 2
    assert "must have the label of every sample for -o" in result.stderr
