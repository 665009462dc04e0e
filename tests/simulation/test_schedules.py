"""Whatever order tasks run in, and whatever is cancelled or fails, the promises hold.

``python -m tests.simulation --schedules 10000`` runs more schedules than this test.
"""

import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT
from tests.simulation.canaries import CANARIES, find
from tests.simulation.schedule import run_schedule

_SCHEDULES, _PER_TEST = 500, 50


@pytest.mark.parametrize("first", range(0, _SCHEDULES, _PER_TEST))
def test_promises_hold_in_every_schedule(first):
    for seed in range(first, first + _PER_TEST):
        run_schedule(seed)


@pytest.mark.parametrize("canary", CANARIES)
def test_schedules_find_a_planted_fault(canary):
    assert find(canary) is not None


@pytest.mark.parametrize("seed", [3, 4])
def test_seed_replays_the_same_schedule_in_another_process(seed):
    here = str(run_schedule(seed))
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", str(seed)],
            cwd=ROOT, env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == here


def test_failed_schedule_says_how_to_replay_it(monkeypatch):
    monkeypatch.setattr("tests.simulation.schedule.check_nothing_is_left", lambda loop: 1 / 0)
    with pytest.raises(ZeroDivisionError) as raised:
        run_schedule(7)
    assert raised.value.__notes__ == ["replay it with: python -m tests.simulation --seed 7"]
