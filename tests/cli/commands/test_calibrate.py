"""``calibrate``: the bundle it writes, what it says, what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

from neuroasync import read_bundle, write_spikes
from neuroasync.cli.decide_samples import run_in_loop
from neuroasync.runtime.network import Network
from tests.helpers.cli_files import SAMPLES, some_trains


@pytest.fixture
def validation(files):
    """The samples with the labels that the network gives: whole ones are all right."""

    async def decided():
        async with Network(read_bundle(files.net)) as network:
            return await network.decide_all(some_trains(), seed=0)

    labels = [decision.label for decision in run_in_loop(decided())]
    trains = some_trains(labels=tuple(labels))
    path = files.folder / "validation.npz"
    write_spikes(trains, path)
    return path


def test_what_is_written_is_the_bundle_and_its_calibrations(cli, files, validation):
    out = files.folder / "calibrated.nab"
    result = cli("calibrate", files.net, validation, "-o", out, "--accuracy", "0.9")
    assert result.exit_code == 0, result.stderr
    written, net = read_bundle(out), read_bundle(files.net)
    assert replace(written, calibration=()) == net
    (found,) = written.calibration
    assert (found.accuracy, found.samples, found.policy) == (0.9, SAMPLES, net.policy)
    assert f"{found.error:.3f}" in result.stdout
    ran = cli("run", out, validation, "--until", "confidence(0.9)", "--json")
    assert json.loads(ran.stdout)["accuracy"] == found.measured
    assert "confidence(0.9)" in cli("inspect", out).stdout


def test_calibrations_of_other_orders_are_added(cli, files, validation):
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


def test_what_cannot_be_promised_is_refused_and_nothing_written(cli, files, validation):
    out = files.folder / "out.nab"
    wrong = files.folder / "wrong.npz"
    labels = np.roll(np.arange(SAMPLES) % 4, 1)
    write_spikes(some_trains(labels=tuple(int(k) for k in labels)), wrong)
    unlabelled = files.folder / "unlabelled.npz"
    write_spikes(some_trains(labels=None), unlabelled)
    for events, options, message in (
        (wrong, ("--accuracy", "0.99"), "error: accuracies: 0.99, expected at most"),
        (wrong, (), "error: whole samples have an accuracy of"),
        (validation, ("--accuracy", "1.5"), "error: accuracies: 1.5, expected numbers between"),
        (unlabelled, (), "has no labels; expected the right class of every sample"),
    ):
        result = cli("calibrate", files.net, events, "-o", out, *options)
        assert result.exit_code == 2
        assert message in result.stderr
        assert not out.exists()
