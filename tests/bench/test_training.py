"""The training benchmark compares equal computations and marks a missed target."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.paths import ROOT

pytest.importorskip("torch")

from bench.training import check_same, report, targets_of
from bench.training_steps import Task


def line(seconds, extra, of):
    """Return a result line with ratios to the baseline ``of``, a pair of (seconds, bytes)."""
    ratios = {"time_ratio": seconds / of[0], "memory_ratio": extra / of[1]}
    return {"p50_s": seconds, "min_s": seconds, "extra_bytes": extra, **ratios}


def test_quick_run_measures_and_checks_every_contender():
    arguments = [sys.executable, "-m", "bench.training", "--quick", "--json", "--threads", "1"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps, batches = map(json.loads, done.stdout.splitlines())
    assert 0 < batches["batches"]["batch_ms"] < batches["batches"]["batch_unsorted_ms"]
    results = steps["results"]
    assert {"neuroasync", "dense"} <= set(results)
    assert results["neuroasync"]["votes_per_sample"] == results["dense"]["votes_per_sample"] > 0
    assert all(figures["min_s"] > 0 <= figures["extra_bytes"] for figures in results.values())
    assert results["neuroasync"]["time_ratio"] == results["neuroasync"]["memory_ratio"] == 1


def test_missed_target_is_marked_in_the_table():
    ours = (0.1, 2**20)
    figures = {"neuroasync": line(*ours, ours), "dense": line(0.9, 2 * 2**20, ours)}
    task = Task(64)
    *_, neuroasync, dense, _ = report(task, figures, targets_of(task)).splitlines()
    assert "met" not in neuroasync
    assert dense.endswith("9.0x       2.0    2.0x  time met (>= 8x), memory MISSED (>= 3x)")


def test_snntorch_has_a_target_with_one_thread_only():
    key = "snntorch", "time_ratio"
    assert targets_of(Task(64))[key] > targets_of(Task(256))[key] >= 2
    assert key not in targets_of(Task(64, threads=2))


def test_contenders_with_different_results_are_rejected():
    votes, gradient = np.array([[1.0, 2.0]]), np.array([[0.5, -1.0]])
    check_same((votes, [gradient]), (votes, [gradient + 5e-5]))
    with pytest.raises(RuntimeError, match="votes differ"):
        check_same((votes, [gradient]), (votes + 1, [gradient]))
    with pytest.raises(RuntimeError, match=r"gradients differ by 0\.01"):
        check_same((votes, [gradient]), (votes, [gradient + 0.01]))
