"""Which rate does ``neuroasync serve`` sustain, and does it keep its guarantees beyond it?

The server runs as a separate process on the same cores as its clients. First, the benchmark
searches for the highest rate that the server sustains. Then it runs, each with a new server:

- ``hold``: the sustainable rate. Every sample gets exactly one decision, equal to that of ``run``.
- ``overload``: twice that rate, for a server that drops and one that rejects samples. Server and
  clients agree on all counts, and the counts add up.
- ``hostile``: well-behaved clients beside some that vanish, send garbage or read nothing. The
  server releases everything that these used.
- ``end``: SIGTERM under load. Every accepted sample is answered.

The benchmark stops with an error if one of these does not hold. Times depend on the machine.

::

    python -m bench.serving [--quick] [--workers N] [--bundle NET.nab --events EVENTS.npz]
"""

import argparse
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.report import add_out_option, print_and_save
from bench.result import CheckError, Result
from bench.server_guarantees import GUARANTEES, Clients, LoadPlan, latency
from neuroasync import read_spikes
from neuroasync.shipped import shipped_file

__all__ = ["main", "measure"]

_HELD_MS: Final = 250.0
"""A rate is sustained if 99 % of decisions arrive within this time after the due time."""


def measure(plan: LoadPlan, console: Console) -> Iterator[Result]:
    """Search for the sustainable rate, then measure the four guarantees.

    Raises:
        CheckError: a guarantee does not hold.
    """
    spikes = read_spikes(plan.events)
    with ProcessPoolExecutor(plan.clients + 1, multiprocessing.get_context("spawn")) as pool:
        clients = Clients(plan, spikes, pool)
        rate = plan.rate or _held_rate(plan, clients, console)
        for measure in GUARANTEES:
            result = measure(plan, clients, spikes, rate, pool)
            while result.name == "hold" and plan.rate is None and not _is_held(result):
                rate *= 0.85  # The rate was sustained for the short search only.
                result = measure(plan, clients, spikes, rate, pool)
            yield result


def _is_held(result: Result) -> bool:
    values = result.lines[0].values
    return values is not None and values.p99 <= _HELD_MS


def _held_rate(plan: LoadPlan, clients: Clients, console: Console) -> float:
    """Return the sustainable rate in samples per second: 1.2 times as many are not sustained."""
    held, rate = 0.0, 1000.0
    with plan.start_server() as server:
        while not held or rate > held:
            p99_ms = latency(clients.run(server.port, rate, plan.search_s)).p99
            message = f"{rate:.0f} samples a second: p99 {p99_ms:.0f} ms"
            console.print(message, highlight=False)
            if p99_ms <= _HELD_MS:
                held, rate = rate, 1.2 * rate
            elif held:
                break
            else:
                rate /= 1.2
            if rate < 1:
                raise CheckError(
                    f"no rate is sustained with 99 % of decisions within {_HELD_MS:.0f} ms"
                )
    return held


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 if a guarantee does not hold."""
    parser = argparse.ArgumentParser("python -m bench.serving", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="use 50 connections and 5 s per load")
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="number of server processes"
    )
    parser.add_argument(
        "--rate", type=float, metavar="N", help="rate in samples/s; default: search for it"
    )
    parser.add_argument("--bundle", type=Path, metavar="NET.nab")
    parser.add_argument("--events", type=Path, metavar="EVENTS.npz")
    add_out_option(parser)
    options = parser.parse_args(arguments)
    with (
        shipped_file("digits-unlayered.nab") as bundle,
        shipped_file("digits-test-rate.npz") as events,
    ):
        plan = LoadPlan(
            options.bundle or bundle,
            options.events or events,
            connections=50 if options.quick else 1000,
            workers=options.workers,
            seconds=5.0 if options.quick else 60.0,
            search_s=2.0 if options.quick else 5.0,
            rate=options.rate,
        )
        return print_and_save(
            lambda console: measure(plan, console),
            options.out,
            "a guarantee does not hold",
            workers=options.workers,
        )


if __name__ == "__main__":
    sys.exit(main())
