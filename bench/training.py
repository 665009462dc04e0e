"""What does a training step cost, in time and memory, beside plain dense formulations of it?

A step is what the optimiser sees: events to tensors, forward, loss, backward, Adam. Contenders,
all on the same samples, weights, loss and number of threads:

- ``neuroasync``: the event record, as ``fit`` runs it, in random order;
- ``dense``: ``neuroasync.train.dense``, the same forward steps and the same gradient in plain
  torch, float32, on the CPU: whole network, all samples, one forward step after the other;
- ``snntorch``: a layer-synchronous step of the same network in snnTorch, if it is installed:
  another computation, and what one would use instead.

Each runs in a process of its own; rounds go around the processes, so that what else the machine
does falls on all of them. Memory is the high-water mark of resident memory in the measured steps,
over the same process before the first of them (libraries, samples and compiled code loaded).

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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from neuroasync import Model, SpikeTrains, parse_topology
from neuroasync.policies import Random
from neuroasync.settings import RunSettings
from neuroasync.train import SpikingNetwork, make_batch, start_firing
from neuroasync.train.dense import run_dense
from neuroasync.train.losses import vote_loss
from neuroasync.wiring import Wiring

TARGETS: Final = {
    ("dense", "time_ratio"): 8.0,
    ("dense", "memory_ratio"): 3.0,
    ("snntorch", "time_ratio"): 1.0,
}
"""What the event record should save: the least ratio of a contender's cost to its own."""
TIMESTEPS: Final = 10
DECAY: Final = 0.9
RATE: Final = 0.05
LR: Final = 1e-4
GROUP_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured: ``layers`` of neurons, input first, and input events per timestep."""

    batch_size: int
    layers: tuple[int, ...] = (2312, 64, 64, 64, 10)
    events: int = 150
    threads: int = 1

    def model(self) -> Model:
        """The network, with dyadic weights: sums are exact, so contenders fire the same spikes."""
        inputs, *sizes = self.layers
        stack = "; ".join(f"p{k} d{size}" for k, size in enumerate(sizes))
        text = f"timestep_us=1000 decay={DECAY}; input {inputs}; {stack}"
        network = SpikingNetwork(parse_topology(text), device="cpu", threads=self.threads)
        samples = self.samples(32)
        start_firing(network, make_batch(network.model, samples, range(32), range(32)), RATE, 0)
        with torch.no_grad():
            network.values.copy_((network.values * 4096).round() / 4096)
        return network.to_model()

    def samples(self, number: int) -> SpikeTrains:
        """Random input, the same each time: Poisson numbers of distinct inputs a timestep."""
        rng = np.random.default_rng(2408)
        frames = rng.random((number * TIMESTEPS, self.layers[0])) < self.events / self.layers[0]
        frame, index = np.nonzero(frames)
        offsets = np.searchsorted(frame, TIMESTEPS * np.arange(number + 1))
        labels = rng.integers(0, self.layers[-1], number)
        return SpikeTrains(frame % TIMESTEPS * 1000, index, offsets, labels, (self.layers[0],))


Step = Callable[[SpikeTrains], tuple[Tensor, list[Tensor]]]
"""Runs one step; returns the votes of each sample, and the gradient of each weight [out, in]."""


def neuroasync_step(task: Task, model: Model) -> Step:
    """The event record; torch itself gets one thread, as in ``fit``."""
    torch.set_num_threads(1)
    network = SpikingNetwork(model, device="cpu", threads=task.threads)
    optimizer = torch.optim.Adam([network.values], LR, fused=True)

    def step(samples: SpikeTrains) -> tuple[Tensor, list[Tensor]]:
        batch = network.batch(samples, range(len(samples)), range(len(samples)))
        optimizer.zero_grad()
        run = network(batch, RunSettings(Random(), GROUP_SIZE))
        _loss(run.votes, samples).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return run.votes.detach().sum(1), _by_connection(network.values.grad, model)

    return step


def dense_step(task: Task, model: Model) -> Step:
    """The same forward steps and gradient in plain torch."""
    wiring = Wiring(model)
    weights = torch.from_numpy(wiring.wires.weights.copy()).requires_grad_()
    surrogate = SpikingNetwork(model, device="cpu", threads=1).surrogate
    optimizer = torch.optim.Adam([weights], LR, fused=True)

    def step(samples: SpikeTrains) -> tuple[Tensor, list[Tensor]]:
        batch = make_batch(model, samples, range(len(samples)), range(len(samples)))
        optimizer.zero_grad()
        run = run_dense(weights, wiring, batch, RunSettings(Random(), GROUP_SIZE), surrogate)
        _loss(run.votes, samples).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return run.votes.detach().sum(1), _by_connection(weights.grad, model)

    return step


def snntorch_step(task: Task, model: Model) -> Step:
    """Layer-synchronous layers of snnTorch, with its arctangent surrogate."""
    import snntorch

    layers = [
        torch.nn.Linear(a, b, bias=False)
        for a, b in zip(task.layers[:-1], task.layers[1:], strict=True)
    ]
    for layer, connection in zip(layers, model.connections, strict=True):
        layer.weight.data = torch.from_numpy(connection.weight.copy())
    neurons = [
        snntorch.Leaky(
            beta=DECAY, spike_grad=snntorch.surrogate.atan(alpha=3.0), reset_mechanism="zero",
            reset_delay=False,
        )
        for _ in layers
    ]  # fmt: skip
    optimizer = torch.optim.Adam([layer.weight for layer in layers], LR, fused=True)

    def step(samples: SpikeTrains) -> tuple[Tensor, list[Tensor]]:
        frames = torch.zeros(TIMESTEPS, len(samples), task.layers[0])
        sample = np.repeat(np.arange(len(samples)), np.diff(samples.offsets))
        frames[np.array(samples.t_us // 1000), sample, np.array(samples.index)] = 1.0
        optimizer.zero_grad()
        potentials = [neuron.init_leaky() for neuron in neurons]
        votes = []
        for spikes in frames:
            for k, (layer, neuron) in enumerate(zip(layers, neurons, strict=True)):
                spikes, potentials[k] = neuron(layer(spikes), potentials[k])
            votes.append(spikes)
        out = torch.stack(votes, 1)
        _loss(out, samples).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return out.detach().sum(1), [
            layer.weight.grad for layer in layers if layer.weight.grad is not None
        ]

    return step


STEPS: Final[dict[str, Callable[[Task, Model], Step]]] = {
    "neuroasync": neuroasync_step,
    "dense": dense_step,
    "snntorch": snntorch_step,
}


def _loss(votes: Tensor, samples: SpikeTrains) -> Tensor:
    labels = torch.from_numpy(np.array(samples.labels))
    passes = torch.full((len(samples),), votes.shape[1])
    return vote_loss(votes, labels, passes, "accumulated", 0.5)


def _by_connection(flat: Tensor | None, model: Model) -> list[Tensor]:
    """Gradients of dense connections out of the flat layout, which has sources first."""
    if flat is None:
        return []
    found, at = [], 0
    for c in model.connections:
        found.append(flat[at : at + c.weight.size].view(c.weight.shape[::-1]).t())
        at += c.weight.size
    return found


def _work(name: str, task: Task, pipe: Connection) -> None:
    """A contender's process: gets ready, then runs a step whenever asked."""
    torch.set_num_threads(task.threads)
    model, samples = task.model(), task.samples(task.batch_size)
    STEPS[name](task, model)(samples.take(np.arange(1)))  # compiles, loads, and is thrown away
    step = STEPS[name](task, model)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins here
    idle = _status_bytes("VmRSS")
    votes, gradients = step(samples)
    pipe.send((votes.numpy(), [g.numpy().copy() for g in gradients]))
    while pipe.recv():
        began = time.perf_counter()
        step(samples)
        pipe.send(time.perf_counter() - began)
    pipe.send(_status_bytes("VmHWM") - idle)


def _status_bytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def measure(task: Task, rounds: int) -> dict[str, dict[str, float]]:
    """Figures of each contender: seconds of a step, extra bytes, and ratios to ``neuroasync``.

    Raises:
        RuntimeError: the event record and plain torch do not vote alike, or their gradients differ.
    """
    # Else the idle threads of one process spin for a while, at the cost of the others.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    context = multiprocessing.get_context("spawn")
    names = [n for n in STEPS if n != "snntorch" or importlib.util.find_spec("snntorch")]
    pipes, processes, first = {}, [], {}
    for name in names:
        pipes[name], theirs = context.Pipe()
        processes.append(context.Process(target=_work, args=(name, task, theirs), daemon=True))
        processes[-1].start()
        theirs.close()
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
    _check(first["neuroasync"], first["dense"])
    ours = seconds["neuroasync"]
    return {
        name: {
            "p50_s": statistics.median(seconds[name]),
            "min_s": min(seconds[name]),
            "extra_bytes": extra[name],
            "time_ratio": statistics.median(
                a / b for a, b in zip(seconds[name], ours, strict=True)
            ),
            "memory_ratio": extra[name] / max(1, extra["neuroasync"]),
            "votes_per_sample": float(first[name][0].sum()) / task.batch_size,
        }
        for name in names
    }


def _check(record: tuple[Any, Any], dense: tuple[Any, Any]) -> None:
    if not np.array_equal(record[0], dense[0]):
        raise RuntimeError("votes differ between the event record and plain torch")
    for found, expected in zip(record[1], dense[1], strict=True):
        worst = np.abs(found - expected).max()
        if worst > 1e-4 * np.abs(expected).max():
            raise RuntimeError(f"gradients differ by {worst} between the event record and torch")


def report(
    task: Task,
    found: dict[str, dict[str, float]],
    targets: Mapping[tuple[str, str], float] = TARGETS,
) -> str:
    """A table of one task, with targets and whether they were met."""
    layers = "-".join(map(str, task.layers))
    lines = [
        f"batch {task.batch_size}, {layers}, {TIMESTEPS} timesteps, {task.events} events each, "
        f"F = {GROUP_SIZE}, threads: {task.threads}",
        f"{'':11}{'p50 ms':>9}{'min ms':>9}{'time':>8}{'extra MB':>10}{'memory':>8}  targets",
    ]
    for name, line in found.items():
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
    """Measure, and print a table, or with ``--json`` a line of JSON, for each batch size."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="a small task, a few rounds")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each batch size")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    options = parser.parse_args()
    tasks = [Task(64, threads=options.threads), Task(256, threads=options.threads)]
    if options.quick:
        tasks = [Task(8, (200, 16, 16, 4), 20, options.threads)]
    for task in tasks:
        found = measure(task, 3 if options.quick else 15)
        if options.json:
            about = {"torch": torch.__version__, "numpy": np.__version__}
            print(json.dumps({"task": asdict(task), "versions": about, "found": found}))
        else:
            print(report(task, found, {} if options.quick else TARGETS), end="\n\n")


if __name__ == "__main__":
    main()
