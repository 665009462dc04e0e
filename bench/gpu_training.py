"""What does a training step cost on a GPU, relative to the CPU and to snnTorch on the same GPU?

A step comprises the same as in ``bench.training``. Contenders take turns in one process:

- ``cuda``: the CUDA engine, in random order;
- ``cpu``: the event record on all cores, with the same spikes;
- ``snntorch``: a layer-synchronous step of the same network in snnTorch on the same GPU, if it is
  installed. It is a different computation, which one would use instead.

Without a CUDA device there is nothing to measure, and the program says so.

::

    python -m bench.gpu_training [--quick] [--json]
"""

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, Final

import numpy as np
import torch

from bench.training import check_same
from bench.training_steps import (
    GROUP_SIZE,
    TIMESTEPS,
    Gradients,
    Step,
    Task,
    neuroasync_step,
    snntorch_step,
)

__all__ = ["main", "measure", "report", "table", "times_in_turn"]

BATCHES: Final = (64, 256, 1024)


def measure(task: Task, rounds: int) -> dict[str, dict[str, float]]:
    """Return the seconds per step of each contender, and their ratio to those of ``cuda``.

    Raises:
        RuntimeError: votes or gradients of the CUDA engine and the CPU differ.
    """
    model, samples = task.model(), task.samples(task.batch_size)
    steps: dict[str, Step] = {
        "cuda": neuroasync_step(task, model, "cuda"),
        "cpu": neuroasync_step(task, model),
    }
    if importlib.util.find_spec("snntorch"):
        steps["snntorch"] = snntorch_step(task, model, "cuda")
    first = {name: _arrays(step(samples)) for name, step in steps.items()}
    check_same(first["cuda"], first["cpu"])
    return times_in_turn({name: partial(step, samples) for name, step in steps.items()}, rounds)


def times_in_turn(
    calls: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, dict[str, float]]:
    """Return the seconds that each call takes, and their ratio to those of ``cuda``."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            torch.cuda.synchronize()
            began = time.perf_counter()
            call()
            torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - began)
    return {
        name: {
            "p50_s": statistics.median(taken),
            "min_s": min(taken),
            "time_ratio": statistics.median(
                a / b for a, b in zip(taken, seconds["cuda"], strict=True)
            ),
        }
        for name, taken in seconds.items()
    }


def _arrays(result: tuple[torch.Tensor, Gradients]) -> tuple[Any, list[Any]]:
    votes, gradients = result
    return votes.sum(1).cpu().numpy(), [g.cpu().numpy().copy() for g in gradients()]


def report(task: Task, results: dict[str, dict[str, float]]) -> str:
    """Return a table of one task."""
    layers = "-".join(map(str, task.layers))
    lines = [
        f"batch {task.batch_size}, {layers}, {TIMESTEPS} timesteps, {task.events} events each, "
        f"F = {GROUP_SIZE}, CPU threads: {task.threads}",
        *table(results),
    ]
    return "\n".join([*lines, "same votes and gradients: cuda, cpu"])


def table(results: dict[str, dict[str, float]]) -> list[str]:
    """Return the lines of a table of the results of :func:`times_in_turn`."""
    return [
        f"{'':11}{'p50 ms':>9}{'min ms':>9}{'time':>8}",
        *(
            f"{name:11}{1e3 * line['p50_s']:9.1f}{1e3 * line['min_s']:9.1f}"
            f"{line['time_ratio']:7.1f}x"
            for name, line in results.items()
        ),
    ]


def main() -> None:
    """Measure each batch size and print a table, or a line of JSON with ``--json``."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_training", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="run a small task with few rounds")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each batch size")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("nothing measured: torch finds no CUDA device")
        return
    threads = len(os.sched_getaffinity(0))
    tasks = [Task(size, threads=threads) for size in BATCHES]
    if options.quick:
        tasks = [Task(8, (200, 16, 16, 4), 20, threads)]
    for task in tasks:
        results = measure(task, 3 if options.quick else 15)
        if options.json:
            about = {"torch": torch.__version__, "numpy": np.__version__}
            about["gpu"] = torch.cuda.get_device_name()
            print(json.dumps({"task": asdict(task), "versions": about, "results": results}))
        else:
            print(report(task, results), end="\n\n")


if __name__ == "__main__":
    main()
