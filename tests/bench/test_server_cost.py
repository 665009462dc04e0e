"""The benchmark of the server's cost compares it with an echo in the same run."""

import json
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the CPU time of a process")


def test_quick_run_measures_the_server_and_the_echo(tmp_path):
    options = ["--quick", "--connections", "2", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "bench.server_cost", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.iterdir()
    (answer,) = json.loads(path.read_text())["answers"]
    server, echo = answer["lines"]
    assert (server["name"], echo["name"]) == ("server, 2 connections", "echo, 2 connections")
    assert min(server["ratio"], server["figures"]["min"], echo["figures"]["min"]) > 0
    assert answer["checks"] == ["every sample has exactly one decision, equal to that of run"]
