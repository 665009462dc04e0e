"""The command ``calibrate``: the bundle that it writes, its output, and its errors."""

import json
from dataclasses import replace

import numpy as np
import pytest

from neuroasync import read_bundle, write_bundle, write_spikes
from neuroasync.cli.decide_samples import run_in_loop
from neuroasync.runtime.network import Network
from tests.helpers.cli_files import SAMPLES, some_trains
from tests.helpers.small_networks import readout


@pytest.fixture
def validation(files):
    """Write the samples with the labels that the network gives them, and return the path.

    Without a stop rule, the network therefore has an accuracy of 1.
    """

    async def decided():
        async with Network(read_bundle(files.net)) as network:
            return await network.decide_all(some_trains(), seed=0)

    labels = [decision.label for decision in run_in_loop(decided())]
    trains = some_trains(labels=tuple(labels))
    path = files.folder / "validation.npz"
    write_spikes(trains, path)
    return path


def test_calibrate_writes_the_bundle_with_its_calibrations(cli, files, validation):
    out = files.folder / "calibrated.nab"
    result = cli("calibrate", files.net, validation, "-o", out, "--accuracy", "0.9")
    assert result.exit_code == 0, result.stderr
    written, net = read_bundle(out), read_bundle(files.net)
    assert replace(written, calibration=()) == net
    (calibration,) = written.calibration
    assert (calibration.accuracy, calibration.samples, calibration.policy) == (
        0.9,
        SAMPLES,
        net.policy,
    )
    assert f"{calibration.error:.3f}" in result.stdout
    ran = cli("run", out, validation, "--until", "confidence(0.9)", "--json")
    assert json.loads(ran.stdout)["accuracy"] == calibration.measured
    assert "confidence(0.9)" in cli("inspect", out).stdout


def test_json_of_calibrate_has_the_calibrations_of_the_bundle(cli, files, validation):
    out = files.folder / "calibrated.nab"
    result = cli("calibrate", files.net, validation, "-o", out, "--accuracy", "0.9", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    (found,) = document["calibration"]
    (written,) = read_bundle(out).calibration
    assert {name: found[name] for name in ("accuracy", "samples", "error", "measured")} == {
        "accuracy": 0.9,
        "samples": SAMPLES,
        "error": written.error,
        "measured": written.measured,
    }
    assert found["mean_rounds"] > 0


def test_calibrations_for_other_settings_are_added(cli, files, validation):
    first, second = files.folder / "a.nab", files.folder / "b.nab"
    assert cli("calibrate", files.net, validation, "-o", first).exit_code == 0
    more = ("--policy", "fifo", "--group-size", 1, "--accuracy", "0.5")
    assert cli("calibrate", first, validation, "-o", second, *more).exit_code == 0
    both = read_bundle(second).calibration
    assert both[:-1] == read_bundle(first).calibration
    assert (both[-1].policy.name, both[-1].policy.group_size) == ("fifo", 1)
    again = files.folder / "c.nab"
    assert cli("calibrate", second, validation, "-o", again, *more).exit_code == 0
    assert again.read_bytes() == second.read_bytes()


def test_calibration_that_is_not_possible_is_rejected_and_nothing_is_written(
    cli, files, validation
):
    out = files.folder / "out.nab"
    wrong = files.folder / "wrong.npz"
    labels = np.roll(np.arange(SAMPLES) % 4, 1)
    write_spikes(some_trains(labels=tuple(int(k) for k in labels)), wrong)
    unlabelled = files.folder / "unlabelled.npz"
    write_spikes(some_trains(labels=None), unlabelled)
    for events, options, message in (
        (wrong, ("--accuracy", "0.99"), "error: --accuracy must be at most"),
        (wrong, (), "error: without a stop rule, the network has an accuracy of"),
        (
            validation,
            ("--accuracy", "1.5"),
            "error: --accuracy must be between 0 and 1, got 1.5",
        ),
        (unlabelled, (), "must have the label of every sample, but has no labels"),
    ):
        result = cli("calibrate", files.net, events, "-o", out, *options)
        assert result.exit_code == 2
        assert message in result.stderr
        assert not out.exists()


def test_calibration_of_leaky_integrators_is_rejected(cli, files, validation):
    network, out = files.folder / "readout.nab", files.folder / "out.nab"
    write_bundle(readout(), network)
    result = cli("calibrate", network, validation, "-o", out)
    assert result.exit_code == 2
    assert "error: the output 'output' consists of leaky integrators" in result.stderr
    assert not out.exists()
