"""The benchmark of decisions on GPUs says when there is none, and compares equal decisions."""

import pytest

pytest.importorskip("torch")

import torch

from bench.gpu_decisions import main, measure, report
from bench.training_steps import Task
from tests.helpers.cuda_shim import CpuLauncher
from tests.train.cuda.test_decide_all import pretend


def test_without_a_device_nothing_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["bench.gpu_decisions"])
    main()
    assert capsys.readouterr().out == "nothing measured: torch finds no CUDA device\n"


def test_contenders_decide_alike(monkeypatch):
    pretend(monkeypatch, CpuLauncher(32))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    task = Task(4, (200, 16, 4), 20)
    results = measure(task, "random", 1)
    assert results["cuda"]["time_ratio"] == 1.0
    lines = report(task, "random", results).splitlines()
    assert lines[0].startswith("4 samples, random, 200-16-4, 10 timesteps, 20 events each, F = 8")
    assert [line.split()[0] for line in lines[2:4]] == ["cuda", "cpu"]
