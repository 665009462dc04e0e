"""The command ``stress``: its table, its JSON, its picture, and its errors."""

import json

import pytest

from neuroasync import PolicySpec, read_bundle, read_spikes, write_spikes
from neuroasync.metrics import stress_test
from tests.helpers.cli_files import some_trains


def test_stress_prints_a_line_for_each_strength_within_80_columns(cli, files, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = cli("stress", files.net, files.events, "--seeds", "2")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[4].split()[0] == "none"
    kinds = list(dict.fromkeys(line.split()[0] for line in lines[5:-4]))
    assert kinds == [
        "input-loss", "synapse-loss", "weight-noise", "weight-bits", "order", "delay", "jitter",
    ]  # fmt: skip
    titles = ("run mode", "seeds", "samples")
    for line, title in zip(lines[-3:], titles, strict=True):
        assert line.startswith(title)
    assert max(map(len, lines)) <= 80


def test_json_of_stress_is_that_of_the_function(cli, files):
    stresses = "input-loss 0.2; order fifo queued"
    result = cli(
        "stress", files.net, files.events, "--json", "--stresses", stresses, "--samples", "1:4",
        "--seed", "7", "--seeds", "2", "--mode", "momentum F=3", "--until", "votes(1)",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    expected = stress_test(
        read_bundle(files.net), read_spikes(files.events)[1:4], stresses, seed=7, seeds=2, first=1,
        mode=PolicySpec("momentum", 3), until="votes(1)",
    )  # fmt: skip
    assert json.loads(result.stdout) == expected.to_json()


@pytest.mark.parametrize("labels", [(0, 1, 2, 3, 0, 1), None])
def test_stress_draws_a_picture(cli, files, labels):
    write_spikes(some_trains(labels=labels), files.folder / "some.npz")
    path = files.folder / "stress.png"
    options = ("--stresses", "input-loss; weight-bits 4", "--seeds", "1", "--plot", path)
    result = cli("stress", files.net, files.folder / "some.npz", *options)
    assert result.exit_code == 0, result.stderr
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "stress.png" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stresses", "delya 1ms"), "did you mean 'delay'?"),
        (("--stresses", "delay 1500us"), "must be a multiple of the timestep"),
        (("--stresses", "order rand"), "did you mean 'random'?"),
        (("--mode", "random F=1,8"), "--mode must be one run mode, got 2 in 'random F=1,8'"),
        (("--seeds", "2", "--seed", str(2**64 - 1)), "--seed must be at most"),
        (("--samples", "3:3"), "--samples must be A:B"),
    ],
)
def test_bad_options_are_refused(cli, files, options, message):
    result = cli("stress", files.net, files.events, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_picture_must_not_overwrite_an_input(cli, files):
    result = cli("stress", files.net, files.events, "--plot", files.events)
    assert result.exit_code == 2
    assert "must not overwrite an input" in result.stderr
