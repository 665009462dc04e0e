"""How long does a new process take to its first decision?"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.paired_timing import quantiles
from bench.reference_networks import as_bundle, dense_stack, samples
from bench.result import CheckError, Line, Result, Scale, scaled
from neuroasync import Network, write_bundle, write_spikes
from neuroasync.core.events.spike_trains import SpikeTrains

__all__ = ["measure"]

_DECIDE = """\
import asyncio, sys, neuroasync
async def main():
    async with neuroasync.Network.load(sys.argv[1]) as network:
        decision = await network.decide(neuroasync.read_spikes(sys.argv[2])[0])
        print(decision.label, decision.total_spikes, decision.steps)
asyncio.run(main())
"""
_PYPERF_OPTIONS = (
    "--processes=1",
    "--values=3",
    "--warmups=1",
    "--loops=1",
    "--inherit-environ=PYTHONPATH",
)
_PYTHON = "python"
_LIBRARIES = "import numpy, numba"
_IMPORT = "import neuroasync"
_FIRST = "second start to first decision"


async def measure(scale: Scale) -> Result:
    """Time commands in rounds with pyperf, which isolates and times processes."""
    bundle, trains = as_bundle(dense_stack()), samples(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_bundle(bundle, folder / "net.nab")
        write_spikes(SpikeTrains.from_trains(trains, bundle.model.input_shape), folder / "in.npz")
        (folder / "first.py").write_text(_DECIDE)
        decide = [str(folder / name) for name in ("first.py", "net.nab", "in.npz")]
        commands = {
            _PYTHON: ["-c", "pass"],
            _LIBRARIES: ["-c", _LIBRARIES],
            _IMPORT: ["-c", _IMPORT],
            _FIRST: decide,
        }
        async with Network(bundle) as network:
            here = await network.decide(trains[0])
        check = _check(decide, f"{here.label} {here.total_spikes} {here.steps}")
        rounds = 2 if scale.quick else 10
        seconds = np.array([_round(commands, folder, r) for r in range(rounds)])
    times = dict(zip(commands, seconds.T, strict=True))
    beyond = times[_IMPORT] - times[_LIBRARIES]
    lines = [_line(label, taken, times[_PYTHON]) for label, taken in times.items()]
    lines[-1] = _line(_FIRST, times[_FIRST], times[_PYTHON], "<= 1000 ms")
    lines.append(_line("neuroasync beyond numpy and numba", beyond, None, "<= 150 ms"))
    return Result(
        "start",
        "How long do the import and the first decision take in a new process?",
        "ms",
        _PYTHON,
        tuple(lines),
        (check,),
        ("kernels were compiled before, so this is a second start",),
    )


def _check(decide: list[str], expected: str) -> str:
    """Check the decision of the command, which also leaves compiled kernels on disk."""
    command = [sys.executable, *decide]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment())
    if done.stdout.strip() != expected:
        raise CheckError(f"first decision: {done.stdout.strip()!r}, here it is {expected!r}")
    return f"first decision in a new process: label, spikes, steps {expected}, same as here"


def _round(commands: dict[str, list[str]], folder: Path, number: int) -> list[float]:
    return [_time(command, folder / f"{number}-{k}") for k, command in enumerate(commands.values())]


def _time(command: list[str], path: Path) -> float:
    """Return the median seconds of three runs of the command."""
    import pyperf

    call = [sys.executable, "-m", "pyperf", "command", "-q", *_PYPERF_OPTIONS, "-o", str(path)]
    call += ["--", sys.executable, *command]
    subprocess.run(call, check=True, capture_output=True, env=_environment())
    return float(pyperf.Benchmark.load(str(path)).median())


def _environment() -> dict[str, str]:
    """Return the environment with the package of this checkout first on the path."""
    import neuroasync

    return os.environ | {"PYTHONPATH": str(Path(neuroasync.__file__).parents[1])}


def _line(name: str, seconds: Any, baseline: Any, target: str = "") -> Line:
    values = scaled(quantiles(seconds), 1e-3)
    if baseline is None:
        return Line(name, values, target=target)
    low, ratio, high = np.quantile(seconds / baseline, (0.1, 0.5, 0.9)).tolist()
    return Line(name, values, ratio, (low, high), target)
