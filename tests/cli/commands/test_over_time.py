"""The commands ``run``, ``calibrate`` and ``train`` with labels over time."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neuroasync as na
from neuroasync import metrics
from tests.helpers.cli_files import golden_bundle, some_trains
from tests.helpers.labels_over_time import changing_samples

MS = 1000


@pytest.fixture
def over(files):
    """Write a network with a vote window and samples with labels over time; return both."""
    bundle = replace(golden_bundle(), vote_window=na.VoteWindow(3 * MS))
    na.write_bundle(bundle, files.folder / "over.nab")
    rows = [[-1, *([k % 4] * 4), *([(k + 1) % 4] * (3 + k))] for k in range(6)]
    spikes = na.SpikeTrains.from_trains(
        some_trains(), (12,), labels_over_time=na.LabelsOverTime.from_samples(rows, MS)
    )
    na.write_spikes(spikes, files.folder / "over.npz")
    return bundle, spikes


def test_run_reports_what_the_metrics_say(cli, over):
    bundle, spikes = over
    result = cli("run", "over.nab", "over.npz", "--json", "--seed", 3, "--policy", "fifo",
                 "--decisions", "d.npz")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    decisions = na.decide_over_time(bundle, spikes, seed=3, policy="fifo")
    expected = metrics.summarise_over_time(decisions, spikes.labels_over_time).to_json()
    each = found["over_time"].pop("decisions")
    assert found["over_time"] == expected
    assert found["accuracy"] == expected["accuracy"]
    assert [d["labels"] for d in each] == [d.labels.tolist() for d in decisions]
    with np.load("d.npz") as file:
        assert file["labels"].tolist() == np.concatenate([d.labels for d in decisions]).tolist()
        assert file["offsets"].tolist() == spikes.labels_over_time.offsets.tolist()
        assert file["every_us"].tolist() == [MS]
        assert file["confidence"].max() <= 1


@pytest.mark.parametrize(("lost", "kept"), [("r.npz", "d.npz"), ("d.npz", "r.npz")])
def test_one_file_is_written_if_the_other_cannot_be(cli, over, monkeypatch, lost, kept):
    replace_file = os.replace

    def fail_for_one(source, target):
        if str(target).endswith(lost):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace_file(source, target)

    monkeypatch.setattr("neuroasync.core.formats.atomic_write.os.replace", fail_for_one)
    result = cli("run", "over.nab", "over.npz", "--record", "r.npz", "--decisions", "d.npz")
    assert result.exit_code == 2
    assert f"'{lost}': cannot be written: No space left on device" in result.stderr
    assert ("r.npz" in result.stdout) == (kept == "r.npz")
    assert (Path(kept).exists(), Path(lost).exists()) == (True, False)


def test_run_prints_the_accuracy_and_the_confusion(cli, over):
    result = cli("run", "over.nab", "over.npz", "--samples", "2:5", "--record", "r.npz")
    assert result.exit_code == 0, result.stderr
    for text in ("of the intervals", "balanced accuracy", "followed", "class, decided as %"):
        assert text in result.stdout
    assert na.read_recording("r.npz").number.tolist() == [2, 3, 4]
    assert cli("replay", "r.npz", "--bundle", "over.nab").exit_code == 0


@pytest.mark.parametrize("command", ["run", "calibrate"])
def test_intervals_that_do_not_fit_the_vote_window_are_refused(cli, over, command):
    bundle, _ = over
    na.write_bundle(replace(bundle, vote_window=na.VoteWindow(2500)), "other.nab")
    output = ("-o", "c.nab") if command == "calibrate" else ()
    result = cli(command, "other.nab", "over.npz", *output)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: `vote_window` must be a multiple of the interval")


def test_options_that_labels_over_time_do_not_support_are_refused(cli, over):
    for options, message in (
        (("--engine", "coroutines"), "error: --engine must be 'auto'"),
        (("--record", "x.npz", "--decisions", "x.npz"), "error: --record and --decisions must be"),
    ):
        result = cli("run", "over.nab", "over.npz", *options)
        assert result.exit_code == 2
        assert result.stderr.startswith(message)
    result = cli("compare", "over.nab", "over.npz")
    assert result.exit_code == 2
    assert "has labels over time, which `compare` does not support" in result.stderr


def test_calibrate_changes_the_confidence_only(cli, over):
    bundle, _ = over
    result = cli("calibrate", "over.nab", "over.npz", "-o", "c.nab", "--json")
    assert result.exit_code == 0, result.stderr
    found, written = json.loads(result.stdout), na.read_bundle("c.nab")
    assert replace(written, vote_window=bundle.vote_window) == bundle
    assert found["vote_window"] == {"duration_us": 3 * MS, "scale": written.vote_window.scale}
    assert set(found["calibration_error"]) == {"before", "after"}
    assert "calibration error" in cli("calibrate", "over.nab", "over.npz", "-o", "d.nab").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "over.nab", "over.npz", "--until", "votes(2)"), "--until must be quiet for samp"),
        (("run", "over.nab", "over.npz", "--duration", "8ms"), "--duration cannot be used with"),
        (("run", "net.nab", "over.npz"), "the network has no vote window"),
        (("run", "net.nab", "events.npz", "--decisions", "d.npz"), "--decisions requires samples"),
        (("calibrate", "net.nab", "over.npz", "-o", "c.nab"), "the network has no vote window"),
        (
            ("calibrate", "over.nab", "over.npz", "-o", "c.nab", "--accuracy", 0.9),
            "--accuracy is for stop rules",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(cli, files, over, arguments, message):
    result = cli(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_labels_beyond_the_classes_are_refused(cli, files, over):
    _, spikes = over
    labels = na.LabelsOverTime(
        spikes.labels_over_time.labels + 4, spikes.labels_over_time.offsets, MS
    )
    beyond = na.SpikeTrains(spikes.t_us, spikes.index, spikes.offsets, None, (12,), labels)
    na.write_spikes(beyond, "beyond.npz")
    result = cli("run", "over.nab", "beyond.npz")
    assert result.exit_code == 2
    assert "has labels up to 7, but the network has classes 0 to 3" in result.stderr


TOPOLOGY = "timestep_us=1000; input 6; hidden d8; output d3"


def test_train_chooses_the_loss_and_says_so(cli):
    pytest.importorskip("torch")
    na.write_spikes(changing_samples(20), "train.npz")
    options = ("--recipe", "unlayered-random", "--topology", TOPOLOGY, "--epochs", 2)
    result = cli("train", "--train", "train.npz", *options, "-o", "mine.nab")
    assert result.exit_code == 0, result.stderr
    assert (
        "so the loss is windowed: at the end of each interval, the votes of the last 10000 µs count"
        in result.stderr
    )
    bundle = na.read_bundle("mine.nab")
    assert bundle.vote_window.duration_us == 10_000
    assert bundle.meta["train.loss"] == "windowed"
    assert "until" not in bundle.meta
    assert (bundle.meta["train.lr"], bundle.meta["train.batch_size"]) == (0.01, 8)
    assert cli("run", "mine.nab", "train.npz").exit_code == 0
    again = cli("train", "--config", "mine.toml", "-o", "again.nab")
    assert again.exit_code == 0, again.stderr
    assert na.read_bundle("again.nab") == bundle


def test_train_takes_a_vote_window(cli):
    pytest.importorskip("torch")
    na.write_spikes(changing_samples(20), "train.npz")
    options = (
        "--recipe",
        "layered",
        "--topology",
        TOPOLOGY,
        "--epochs",
        1,
        "--lr",
        0.02,
        "--vote-window",
    )
    result = cli("train", "--train", "train.npz", *options, "6ms", "-o", "mine.nab")
    assert result.exit_code == 0, result.stderr
    assert "the votes of the last 6000 µs" in result.stderr
    bundle = na.read_bundle("mine.nab")
    assert (bundle.vote_window.duration_us, bundle.meta["train.lr"]) == (6000, 0.02)
    for text, message in (
        ("5ms", "error: --vote-window must be a multiple of the interval of the labels, 2000 µs"),
        ("x", "error: --vote-window must be"),
    ):
        result = cli("train", "--train", "train.npz", *options, text)
        assert result.exit_code == 2
        assert message in result.stderr
    mixed = changing_samples(20)
    na.write_spikes(
        na.SpikeTrains(mixed.t_us, mixed.index, mixed.offsets, [0] * 20, (6,)), "other.npz"
    )
    result = cli("train", "--train", "train.npz", "--validation", "other.npz", *options, "6ms")
    assert (
        "validation must have labels as train has, one every 2000 µs, got one per" in result.stderr
    )
    result = cli("train", "--train", "other.npz", *options, "6ms")
    assert result.exit_code == 2
    assert "must be samples with labels over time" in result.stderr


def test_inspect_shows_the_vote_window(cli, files, over):
    assert "3,000 µs, scale 0.5 (decisions over time)" in cli("inspect", "over.nab").stdout
    found = json.loads(cli("inspect", "over.nab", "--json").stdout)
    assert found["vote_window"] == {"duration_us": 3000, "scale": 0.5}
    assert json.loads(cli("inspect", "net.nab", "--json").stdout)["vote_window"] is None


def test_nir_files_keep_the_vote_window(cli, over):
    pytest.importorskip("nir")
    pytest.importorskip("h5py")
    assert cli("export", "over.nab", "-o", "over.nir").exit_code == 0
    result = cli("import", "over.nir", "-o", "again.nab")
    assert result.exit_code == 0, result.stderr
    assert na.read_bundle("again.nab") == over[0]


def test_error_about_an_option_that_was_not_given_names_the_argument(cli):
    pytest.importorskip("torch")
    result = cli("train", "digits", "--recipe", "layered", "--vote-window", "3us", "-o", "mine.nab")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: `train` must be samples with labels over time")
