"""What does a training step cost in time and memory, relative to plain dense formulations?

A step comprises the conversion of events to tensors, the forward pass, the loss, the backward pass
and Adam. All contenders use the same samples, weights, loss and number of threads:

- ``neuroasync``: the event record, as ``fit`` runs it, in random order;
- ``dense``: ``bench.torch_engine.forward``, the same forward steps and gradient in plain
  torch, float32, on the CPU. It processes the whole network and all samples, one forward step after
  the other. It does so twice, because the places where the surrogate gradient acts are known only
  at the end of a pass;
- ``snntorch``: a layer-synchronous step of the same network in snnTorch, if it is installed. It is
  a different computation, which one would use instead.

Each contender runs in a separate process. Rounds alternate between the processes, so that noise of
the machine affects all alike. Extra memory is the high-water mark of resident memory during the
measured steps, minus the memory of the same process before the first of them (with libraries,
samples and compiled code loaded).

A last line says what a batch of a large data set costs whose events are not sorted as the kernels
need them: ``Batches`` sorts all of them once, and ``make_batch`` those of one batch, every time.

::

    python -m bench.training [--quick] [--json] [--threads N]
"""

import argparse
import ctypes
import gc
import importlib.util
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from bench.training_steps import GROUP_SIZE, STEPS, TIMESTEPS, Task
from neuroasync import parse_topology
from neuroasync.train import Batches, make_batch

__all__ = ["check_same", "main", "measure", "measure_batches", "report", "targets_of"]

_DENSE: Final = {("dense", "time_ratio"): 8.0, ("dense", "memory_ratio"): 3.0}
_SNNTORCH: Final = {64: 3.0, 256: 2.0}
"""Targets for the time of snnTorch with one thread, by the size of the batch."""


def _work(name: str, task: Task, pipe: Connection) -> None:
    """Run the process of a contender: prepare, then run a step on each request."""
    torch.set_num_threads(task.threads)
    model, samples = task.model(), task.samples(task.batch_size)
    STEPS[name](task, model)(samples.take(np.arange(1)))  # Compile and load before measuring.
    step = STEPS[name](task, model)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # Reset the high-water mark of memory.
    idle = _status_bytes("VmRSS")
    votes, gradients = step(samples)
    pipe.send((votes.sum(1).numpy(), [g.numpy().copy() for g in gradients()]))
    while pipe.recv():
        began = time.perf_counter()
        step(samples)
        pipe.send(time.perf_counter() - began)
    pipe.send(_status_bytes("VmHWM") - idle)


def _status_bytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def measure(task: Task, rounds: int) -> dict[str, dict[str, float]]:
    """Return the figures of each contender: seconds per step, extra bytes, ratios to neuroasync.

    Raises:
        RuntimeError: votes or gradients of the event record and plain torch differ.
    """
    # Otherwise idle threads of one process would spin at the expense of the others.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    context = multiprocessing.get_context("spawn")
    names = [n for n in STEPS if n != "snntorch" or importlib.util.find_spec("snntorch")]
    pipes, processes, first = {}, [], {}
    for name in names:
        pipes[name], child_end = context.Pipe()
        processes.append(context.Process(target=_work, args=(name, task, child_end), daemon=True))
        processes[-1].start()
        child_end.close()
        first[name] = pipes[name].recv()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            pipe.send(True)
            seconds[name].append(pipe.recv())
    extra = {}
    for name, pipe in pipes.items():
        pipe.send(False)
        extra[name] = pipe.recv()
    for process in processes:
        process.join()
    check_same(first["neuroasync"], first["dense"])
    record_seconds = seconds["neuroasync"]
    return {
        name: {
            "p50_s": statistics.median(seconds[name]),
            "min_s": min(seconds[name]),
            "extra_bytes": extra[name],
            "time_ratio": statistics.median(
                a / b for a, b in zip(seconds[name], record_seconds, strict=True)
            ),
            "memory_ratio": extra[name] / max(1, extra["neuroasync"]),
            "votes_per_sample": float(first[name][0].sum()) / task.batch_size,
        }
        for name in names
    }


def measure_batches(task: Task, samples: int) -> dict[str, float]:
    """Return the milliseconds of sorting a data set once, and of a batch with and without that."""
    model = parse_topology(f"timestep_us=1000; input {task.layers[0]}; output d{task.layers[-1]}")
    sorted_set = task.samples(samples)
    # Within each sample, the events of a timestep become descending.
    sample = np.repeat(np.arange(samples), np.diff(sorted_set.offsets))
    order = np.lexsort((-sorted_set.index, sorted_set.t_us, sample))
    unsorted = replace(sorted_set, index=sorted_set.index[order])
    next(Batches(model, unsorted[:1]).epoch(0))  # Compile before measuring.
    began = time.perf_counter()
    batches = Batches(model, unsorted, task.batch_size)
    prepared = time.perf_counter()
    count = sum(1 for _ in batches.epoch(0))
    gathered = time.perf_counter()
    for chosen in batches.chosen(1):
        make_batch(model, unsorted, chosen, range(chosen.size))
    every = time.perf_counter() - gathered
    return {
        "sort_ms": 1e3 * (prepared - began),
        "batch_ms": 1e3 * (gathered - prepared) / count,
        "batch_unsorted_ms": 1e3 * every / count,
    }


def targets_of(task: Task) -> dict[tuple[str, str], float]:
    """Return the minimum ratios of the costs of contenders to those of the event record."""
    targets = dict(_DENSE)
    if task.threads == 1 and task.batch_size in _SNNTORCH:
        targets["snntorch", "time_ratio"] = _SNNTORCH[task.batch_size]
    return targets


def check_same(record: tuple[Any, Any], dense: tuple[Any, Any]) -> None:
    """Compare the votes and gradients of a first step.

    Raises:
        RuntimeError: votes differ, or a gradient by more than 1e-4 of the largest.
    """
    if not np.array_equal(record[0], dense[0]):
        raise RuntimeError("votes differ between the event record and plain torch")
    for gradient, expected in zip(record[1], dense[1], strict=True):
        worst = np.abs(gradient - expected).max()
        if worst > 1e-4 * np.abs(expected).max():
            raise RuntimeError(f"gradients differ by {worst} between the event record and torch")


def report(
    task: Task,
    results: dict[str, dict[str, float]],
    targets: Mapping[tuple[str, str], float],
) -> str:
    """Return a table of one task, with ``targets`` and whether they were met."""
    layers = "-".join(map(str, task.layers))
    lines = [
        f"batch {task.batch_size}, {layers}, {TIMESTEPS} timesteps, {task.events} events each, "
        f"F = {GROUP_SIZE}, threads: {task.threads}",
        f"{'':11}{'p50 ms':>9}{'min ms':>9}{'time':>8}{'extra MB':>10}{'memory':>8}  targets",
    ]
    for name, line in results.items():
        checks = [
            f"{key.split('_')[0]} {'met' if line[key] >= least else 'MISSED'} (>= {least:g}x)"
            for (whose, key), least in targets.items()
            if whose == name
        ]
        lines.append(
            f"{name:11}{1e3 * line['p50_s']:9.1f}{1e3 * line['min_s']:9.1f}"
            f"{line['time_ratio']:7.1f}x{line['extra_bytes'] / 2**20:10.1f}"
            f"{line['memory_ratio']:7.1f}x  {', '.join(checks)}"
        )
    return "\n".join([*lines, "same votes and gradients: neuroasync, dense"])


def main() -> None:
    """Measure each batch size and print a table, or a line of JSON with ``--json``."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="run a small task with few rounds")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each batch size")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    options = parser.parse_args()
    tasks = [Task(64, threads=options.threads), Task(256, threads=options.threads)]
    if options.quick:
        tasks = [Task(8, (200, 16, 16, 4), 20, options.threads)]
    for task in tasks:
        results = measure(task, 3 if options.quick else 15)
        if options.json:
            about = {"torch": torch.__version__, "numpy": np.__version__}
            print(json.dumps({"task": asdict(task), "versions": about, "results": results}))
        else:
            print(report(task, results, {} if options.quick else targets_of(task)), end="\n\n")
    batches = measure_batches(tasks[0], 200 if options.quick else 5000)
    if options.json:
        print(json.dumps({"task": asdict(tasks[0]), "batches": batches}))
    else:
        print(
            f"batches of {tasks[0].batch_size}: {batches['sort_ms']:.0f} ms to sort all samples, "
            f"then {batches['batch_ms']:.2f} ms each; {batches['batch_unsorted_ms']:.2f} ms each "
            "without"
        )


if __name__ == "__main__":
    main()
