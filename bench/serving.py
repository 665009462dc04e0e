"""What does ``neuroasync serve`` hold, and does it keep its promises beyond?

The command runs as a process of its own, on the same cores as its clients. First the rate is
looked for that it just holds. Then, each with a fresh server:

- ``hold``: at that rate, or what of it is held for so long; every sample gets one decision, the
  one that ``run`` gives for it;
- ``overload``: twice that rate, from a server that drops and one that refuses; both sides count
  the same, and the counts add up;
- ``hostile``: good clients beside some that vanish, send garbage, or read nothing; nothing of
  them is left;
- ``end``: SIGTERM while it is busy; what was accepted is answered.

It stops with an error if one of these does not hold. Times tell about this machine and hour.

::

    python -m bench.serving [--quick] [--workers N] [--bundle NET.nab --events EVENTS.npz]
"""

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.environment import describe
from bench.report import as_json, print_answer, save
from bench.result import Answer, CheckError
from bench.server_guarantees import PROMISES, Clients, LoadPlan, latency
from neuroasync import read_spikes
from neuroasync.shipped import shipped_file

__all__ = ["main", "measure"]

_HELD_MS: Final = 250.0
"""A rate is held if 99 of 100 decisions come within this time of when their sample was due."""


def measure(plan: LoadPlan, console: Console | None = None) -> list[Answer]:
    """Find the rate, then look at the four promises.

    Raises:
        CheckError: one is not kept.
    """
    spikes = read_spikes(plan.events)
    answers = []
    with ProcessPoolExecutor(plan.clients + 1, multiprocessing.get_context("spawn")) as pool:
        clients = Clients(plan, spikes, pool)
        rate = plan.rate or _held_rate(plan, clients, console)
        for ask in PROMISES:
            answer = ask(plan, clients, spikes, rate, pool)
            while answer.name == "hold" and plan.rate is None and not _is_held(answer):
                rate *= 0.85  # not for so long
                answer = ask(plan, clients, spikes, rate, pool)
            answers.append(answer)
            if console is not None:
                print_answer(answer, console)
    return answers


def _is_held(answer: Answer) -> bool:
    values = answer.lines[0].values
    return values is not None and values.p99 <= _HELD_MS


def _held_rate(plan: LoadPlan, clients: Clients, console: Console | None) -> float:
    """Samples a second that are just held: a fifth more are not."""
    held, rate = 0.0, 1000.0
    with plan.served() as server:
        while not held or rate > held:
            p99_ms = latency(clients.run(server.port, rate, plan.search_s)).p99
            if console is not None:
                told = f"{rate:.0f} samples a second: p99 {p99_ms:.0f} ms"
                console.print(told, highlight=False)
            if p99_ms <= _HELD_MS:
                held, rate = rate, 1.2 * rate
            elif held:
                break
            else:
                rate /= 1.2
            if rate < 1:
                raise CheckError(f"no rate is held: 99 of 100 decisions in {_HELD_MS:.0f} ms")
    return held


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 if a promise is not kept."""
    parser = argparse.ArgumentParser("python -m bench.serving", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="50 connections, 5 s each")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="of the server")
    parser.add_argument("--rate", type=float, metavar="N", help="samples/s, instead of a search")
    parser.add_argument("--bundle", type=Path, metavar="NET.nab")
    parser.add_argument("--events", type=Path, metavar="EVENTS.npz")
    results = Path(__file__).parent / "results"
    parser.add_argument("--out", type=Path, default=results, help="folder of the results")
    asked = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    with (
        shipped_file("digits-unlayered.nab") as bundle,
        shipped_file("digits-test-rate.npz") as events,
    ):
        plan = LoadPlan(
            asked.bundle or bundle,
            asked.events or events,
            connections=50 if asked.quick else 1000,
            workers=asked.workers,
            seconds=5.0 if asked.quick else 60.0,
            search_s=2.0 if asked.quick else 5.0,
            rate=asked.rate,
        )
        try:
            answers = measure(plan, console)
        except CheckError as error:
            print(f"a promise is not kept: {error}", file=sys.stderr)
            return 1
    run = as_json(answers, describe()) | {"workers": asked.workers}
    console.print(f"wrote {save(run, asked.out)}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
