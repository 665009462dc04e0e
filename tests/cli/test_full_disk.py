"""A command whose output file cannot be written has still reported its results."""

import errno
import json
import os

import pytest

COMMANDS = [
    ("run", "--record", "run.npz"),
    ("compare", "--modes", "fifo", "-o", "certified.nab"),
    ("compare", "--modes", "fifo", "--plot", "orders.png"),
    ("stress", "--stresses", "weight-bits 4", "--plot", "stress.png"),
]


@pytest.fixture
def full_disk(monkeypatch):
    """No file can be written."""

    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("neuroasync.core.formats.atomic_write.os.fsync", fail)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command[0]} {command[-1]}")
def test_results_are_reported_if_a_file_cannot_be_written(cli, files, full_disk, command):
    name, *options = command
    result = cli(name, files.net, files.events, *options)
    assert result.exit_code == 2
    assert f"'{options[-1]}': cannot be written: No space left on device" in result.stderr
    assert "rounds" in result.stdout
    assert options[-1] not in result.stdout
    result = cli(name, files.net, files.events, *options, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout).get("written") is None
