"""Every example runs and prints the expected output."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

EXPECTED = {
    "hand_built_network.py": r"left, .*, 1 in flight\nreplayed 3 spikes, all identical\n"
    r"output(.|\n)*",
    "compare_orders.py": r"order +right +spikes +rounds\n(\S+ +\d+% +\d+ +\d+\n){4}wrote .*\n",
    "decide.py": r"first guess: \d after \d+ spikes\n(decided: \d after \d+ rounds\n){5}",
    "custom_population.py": r"decided: \d; the last vote came before 5000 µs: True\n",
    "custom_policy.py": r"fifo: (1\d|2\d) of 40 right\nnewest-first: (1\d|2\d|3\d) of 40 right\n",
    "replay_camera.py": r"( *\d+ ms: (top|bottom) (left|right), \d+ spikes\n){20}"
    r"29589 events; .*\n",
    "sensor_gateway.py": r"(\{\"sample\":.*\}\n)+"
    r"events: [1-9]\d* accepted \+ [1-9]\d* dropped \+ 0 refused\n= (\d+) of \2 sent\n",
    "starlette_app.py": r"GET /: hello\n(\d after \d+ rounds\n){3}",
    "udp_sender.py": r"sending to 127\.0\.0\.1:\d+\nsent [1-9]\d* events\n",
    "training.py": r"validation accuracy after 2 epochs: [3-9]\d %\n",
}


def run(script: Path, *arguments: str | Path, folder: Path) -> str:
    """Run a script in ``folder``, so that it cannot depend on the files of the clone."""
    env = os.environ | {"PYTHONIOENCODING": "utf-8"}
    process = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        cwd=folder,
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_every_example_is_tested():
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_prints_the_expected_output(name, tmp_path):
    arguments = {"training.py": "2", "compare_orders.py": tmp_path / "orders.png"}
    extra = [arguments[name]] if name in arguments else []
    if name == "udp_sender.py":
        extra = ["127.0.0.1", "9", "2"]
    assert re.fullmatch(EXPECTED[name], run(ROOT / "examples" / name, *extra, folder=tmp_path))
