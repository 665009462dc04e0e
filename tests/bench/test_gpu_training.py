"""The training benchmark of GPUs says when there is none, and prints each contender."""

import pytest

pytest.importorskip("torch")

import torch

from bench.gpu_training import main, report
from bench.training_steps import Task


def test_without_a_device_nothing_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["bench.gpu_training"])
    main()
    assert capsys.readouterr().out == "nothing measured: torch finds no CUDA device\n"


def test_table_has_a_line_for_each_contender():
    line = {"p50_s": 0.002, "min_s": 0.001, "time_ratio": 1.0}
    text = report(Task(64), {"cuda": line, "cpu": line | {"time_ratio": 10.0}})
    assert "cuda             2.0      1.0    1.0x\ncpu              2.0      1.0   10.0x" in text
