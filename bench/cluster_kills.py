"""Does a cluster give the same results when its workers are killed, and how soon does it recover?

A local Ray cluster of two workers decides a data set (``evaluation``), runs a study of two networks
(``study``) and trains a network by both workers (``training``), while its worker processes are
killed (SIGKILL), chosen at random, at random moments from a seed, in as many runs as it takes. Each
is also done on this machine. The benchmark ends with an error if a result differs: the decisions, a
byte of ``results.json`` or of a bundle.

The time to recover is the time from a kill until as many workers as before run and the work reports
progress, or has ended. Linux only; it needs the extras ``ray``, ``train`` and ``viz``.

::

    python -m bench.cluster_kills [--quick] [--kills N]
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from rich.console import Console

from bench.paired_timing import quantiles
from bench.report import add_out_option, print_and_save
from bench.result import CheckError, Line, Result
from bench.worker_processes import pids_titled
from neuroasync import Decision, Network
from neuroasync.cluster import Cluster
from neuroasync.datasets import load_dataset
from neuroasync.shipped import shipped_spikes
from neuroasync.study import StudyPlan, run_study
from neuroasync.study.design.builtin_cases import CASES, quick_case
from neuroasync.train.recipes import RECIPES, train_dataset

__all__ = ["Killer", "Work", "main", "measure"]

_SEED: Final = 7
_WORKERS: Final = 2
_PAUSE_S: Final = (0.3, 3.0)
"""Shortest and longest time from a recovery to the next kill, s."""
_POLL_S: Final = 0.01
_TIMEOUT_S: Final = 60.0
_MAX_RUNS: Final = 20
_REPEATS: Final = 500
_EPOCHS: Final = 40
_TRAININGS: Final = ("layered", "unlayered-any")

OnProgress: TypeAlias = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Work:
    """Work that can be done on a cluster.

    Attributes:
        name: its name.
        title: what Ray calls the processes that do it.
        run: does it, on this machine if there is no cluster, and returns the result; calls its
            second argument at each progress.
    """

    name: str
    title: str
    run: Callable[[Cluster | None, OnProgress], Any]


@dataclass(slots=True)
class Killer:
    """Kills workers in a thread of its own, until the end of a ``with`` block.

    Attributes:
        title: beginning of the titles of their processes.
        kills: maximum number of kills.
        moments: source of the moments and of the choice.
        recovery_s: time from each kill until the work has recovered, s.
        progress_s: when the work last reported progress.
    """

    title: str
    kills: int
    moments: random.Random
    recovery_s: list[float] = field(default_factory=list)
    progress_s: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Killer":
        """Begin to kill."""
        self._thread = threading.Thread(target=self._run, name="killer")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill no more, and wait for the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def on_progress(self, *_: object) -> None:
        """Take notice that the work goes on."""
        self.progress_s = time.monotonic()

    def _run(self) -> None:
        while len(self.recovery_s) < self.kills:
            if self._ended.wait(self.moments.uniform(*_PAUSE_S)):
                return
            if not (before := pids_titled(self.title)):
                continue
            killed, killed_s = self.moments.choice(before), time.monotonic()
            os.kill(killed, signal.SIGKILL)
            while not (self._has_recovered(before, killed, killed_s) or self._ended.is_set()):
                if time.monotonic() - killed_s > _TIMEOUT_S:
                    return  # the work has an error, which it raises
                time.sleep(_POLL_S)
            self.recovery_s.append(time.monotonic() - killed_s)

    def _has_recovered(self, before: Sequence[int], killed: int, killed_s: float) -> bool:
        if self.progress_s <= killed_s:
            return False
        now = pids_titled(self.title)
        if killed in now or len(now) < len(before):
            self.progress_s = killed_s  # The progress must come after the replacement.
            return False
        return True


def measure(work: Work, cluster: Cluster, kills: int) -> Line:
    """Return the times to recover, after the results were compared.

    Raises:
        CheckError: a result on the cluster differs, or the work ended too early to be killed.
    """
    expected = work.run(None, lambda *_: None)
    moments, recovery_s = random.Random(_SEED), list[float]()
    for runs in range(1, _MAX_RUNS + 1):
        killer = Killer(work.title, kills - len(recovery_s), moments)
        with killer:
            result = work.run(cluster, killer.on_progress)
        recovery_s += killer.recovery_s
        if result != expected:
            raise CheckError(f"{work.name}: the result after {len(recovery_s)} kills differs")
        if len(recovery_s) == kills:
            figures = {"kills": float(kills), "runs": float(runs)}
            return Line(work.name, quantiles(recovery_s), figures=figures)
    raise CheckError(f"{work.name}: only {len(recovery_s)} kills in {_MAX_RUNS} runs")


def _evaluation(repeats: int) -> Work:
    spikes = shipped_spikes()
    samples = spikes.take(np.arange(repeats * len(spikes)) % len(spikes))

    async def decide(cluster: Cluster | None, on_progress: OnProgress) -> list[Decision]:
        async with Network.load("unlayered") as network:
            return await network.decide_all(samples, cluster=cluster, on_decision=on_progress)

    return Work("evaluation", "ray::call", lambda *args: asyncio.run(decide(*args)))


def _study() -> Work:
    case = quick_case(CASES["digits"])
    case = replace(case, recipes={name: case.recipes[name] for name in _TRAININGS})

    def run(cluster: Cluster | None, on_progress: OnProgress) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "study"
            run_study(StudyPlan((case,), (0,)), out, on_progress, cluster=cluster)
            files = [out / "results.json", *sorted((out / "bundles").iterdir())]
            return {file.name: file.read_bytes() for file in files}

    return Work("study", "ray::call", run)


def _training(epochs: int) -> Work:
    digits, recipe = load_dataset("digits"), RECIPES["digits"]["unlayered-any"]
    recipe = recipe.with_training(epochs=epochs, device="cpu")

    def run(cluster: Cluster | None, on_progress: OnProgress) -> bytes:
        if cluster is None:
            return train_dataset(digits, recipe, name="bench").digest
        training = cluster.train_dataset(
            digits, recipe, name="bench", workers=_WORKERS, on_batch=on_progress
        )
        return asyncio.run(training).digest

    return Work("training", "ray::TrainWorker", run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 if a result differs."""
    parser = argparse.ArgumentParser("python -m bench.cluster_kills", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="kill twice, with little work")
    parser.add_argument("--kills", type=int, metavar="N", help="number of kills of each work")
    add_out_option(parser)
    options = parser.parse_args(arguments)
    kills = options.kills or (2 if options.quick else 10)
    repeats, epochs = (_REPEATS // 5, _EPOCHS // 4) if options.quick else (_REPEATS, _EPOCHS)

    def measure_works(console: Console) -> list[Result]:
        del console
        with Cluster("local", cpus=_WORKERS) as cluster:
            works = _evaluation(repeats), _study(), _training(epochs)
            lines = [measure(work, cluster, kills) for work in works]
        result = Result(
            "cluster-kills", "How soon does work recover from a killed worker?",
            "s from a kill to the recovery", "none", tuple(lines),
            ("all results equal those of one machine",),
        )  # fmt: skip
        return [result]

    return print_and_save(measure_works, options.out, "a result is wrong")


if __name__ == "__main__":
    sys.exit(main())
