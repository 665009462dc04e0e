"""What does a data set cost on a GPU, relative to all cores of the CPU?

Contenders take turns in one process, and their decisions are equal:

- ``cuda``: ``neuroasync.train.decide_all`` on the GPU, without an event record;
- ``cpu``: the same in threads on all cores, which is what ``Network.decide_all`` does.

Without a CUDA device there is nothing to measure, and the program says so.

::

    python -m bench.gpu_decisions [--quick] [--json]
"""

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Final

import numpy as np
import torch

from bench.gpu_training import table, times_in_turn
from bench.training_steps import GROUP_SIZE, TIMESTEPS, Task
from neuroasync import Bundle
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.policies import PolicyName
from neuroasync.train import decide_all

__all__ = ["main", "measure", "report"]

SAMPLES: Final = (1024, 8192)
POLICIES: Final[tuple[PolicyName, ...]] = ("random", "layer-sync")


def measure(task: Task, policy: PolicyName, rounds: int) -> dict[str, dict[str, float]]:
    """Return the seconds per data set of each contender, and their ratio to those of ``cuda``.

    Raises:
        RuntimeError: the decisions differ.
    """
    bundle, samples = Bundle(task.model()), task.samples(task.batch_size)
    decide = partial(decide_all, bundle, samples, policy=policy, group_size=GROUP_SIZE)
    calls: dict[str, Callable[[], list[Decision]]] = {
        "cuda": partial(decide, device="cuda"),
        "cpu": partial(decide, device="cpu"),
    }
    if calls["cuda"]() != calls["cpu"]():
        raise RuntimeError("the decisions of the CUDA engine and the CPU differ")
    return times_in_turn(calls, rounds)


def report(task: Task, policy: PolicyName, results: dict[str, dict[str, float]]) -> str:
    """Return a table of one task."""
    layers = "-".join(map(str, task.layers))
    lines = [
        f"{task.batch_size} samples, {policy}, {layers}, {TIMESTEPS} timesteps, {task.events} "
        f"events each, F = {GROUP_SIZE}, CPU threads: {task.threads}",
        *table(results),
    ]
    return "\n".join([*lines, "same decisions: cuda, cpu"])


def main() -> None:
    """Measure each size and policy, and print a table, or a line of JSON with ``--json``."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_decisions", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="run a small task with few rounds")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each task")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("nothing measured: torch finds no CUDA device")
        return
    threads = len(os.sched_getaffinity(0))
    tasks = [Task(size, threads=threads) for size in SAMPLES]
    if options.quick:
        tasks = [Task(64, (200, 16, 16, 4), 20, threads)]
    for task in tasks:
        for policy in POLICIES:
            results = measure(task, policy, 3 if options.quick else 15)
            if options.json:
                about = {"torch": torch.__version__, "numpy": np.__version__}
                about["gpu"] = torch.cuda.get_device_name()
                line = {"task": asdict(task), "policy": policy, "versions": about}
                print(json.dumps(line | {"results": results}))
            else:
                print(report(task, policy, results), end="\n\n")


if __name__ == "__main__":
    main()
