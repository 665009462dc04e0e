"""Does a server keep its memory and its guarantees for minutes beside hostile clients?

Honest clients send samples on schedule, while others misbehave in every way that this folder knows.
At the end, every honest sample must have exactly one decision, equal to that of ``run``, the counts
of the server must add up, and its memory must be within 2 % of that after the first minute.

::

    python -m bench.soak [--minutes N] [--rate N] [--workers N]
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from bench.attacking_clients import ATTACKS, run_attack
from bench.load_generator import sample_frames
from bench.misbehaving_clients import harass
from bench.report import add_out_option, print_and_save
from bench.result import CheckError, Line, Result
from bench.server_checks import check_all_answered, check_counts_add_up, check_decisions
from bench.server_guarantees import Clients, LoadPlan, latency, watched_memory
from neuroasync import read_spikes
from neuroasync.shipped import shipped_file

__all__ = ["main", "soak"]

_SETTLED_S: Final = 60
"""The memory is compared with that after this time, in seconds."""

_SPAN_S: Final = 60
"""The memory is the median over this time, in seconds: a turn of all misbehaving clients."""

_ATTACK_S: Final = 2.0
"""How long each attack lasts in a turn, in seconds."""

_MAX_GROWTH: Final = 0.02


def soak(plan: LoadPlan) -> Result:
    """Run honest and hostile clients side by side.

    Args:
        plan: The load, with a rate and a duration of at least three minutes.

    Raises:
        CheckError: a decision is missing or wrong, the counts do not add up, or memory grows.
    """
    assert plan.rate is not None
    spikes = read_spikes(plan.events)
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(plan.clients + 1, context) as pool,
        plan.start_server("--send-timeout", "1") as server,
        watched_memory(server) as memory_mb,
    ):
        frames = sample_frames(spikes)
        hostile = pool.submit(_misbehave, server.port, frames, plan.seconds)
        outcomes = Clients(plan, spikes, pool).run(server.port, plan.rate, plan.seconds)
        done = hostile.result()
        last_mb = statistics.median(memory_mb[-_SPAN_S:])
        time.sleep(plan.rest_s)
        counts = server.counts()
    first_mb = statistics.median(memory_mb[_SETTLED_S : _SETTLED_S + _SPAN_S])
    check_all_answered(outcomes)
    check_decisions(plan.bundle, outcomes, spikes)
    check_counts_add_up(counts)
    if last_mb > (1 + _MAX_GROWTH) * first_mb:
        raise CheckError(f"memory grew from {first_mb:.1f} MB after a minute to {last_mb:.1f} MB")
    figures = {
        "samples": float(sum(o.sent for o in outcomes)),
        "hostile clients": float(sum(done.values())),
        "MB after 1 min": first_mb,
        "MB at the end": last_mb,
    }
    return Result(
        "soak", f"{plan.seconds / 60:.0f} minutes beside hostile clients",
        "ms from the due time of a sample to its decision", "",
        (Line("honest clients", latency(outcomes), figures=figures),),
        ("every honest sample has one decision, equal to that of run; counts add up",),
        (", ".join(f"{way} {count}" for way, count in done.items()),),
    )  # fmt: skip


def _misbehave(port: int, frames: Sequence[bytes], seconds: float) -> dict[str, int]:
    """Run all misbehaving clients and attacks in turn, and return the number of clients of each."""
    done: dict[str, int] = {}
    end_s, turn = time.monotonic() + seconds, 0
    while (left_s := end_s - time.monotonic()) > 0:
        rest_s = max(1.0, _SPAN_S - _ATTACK_S * len(ATTACKS))
        for way, count in harass(port, frames, min(rest_s, left_s), turn).items():
            done[way] = done.get(way, 0) + count
        for attack in ATTACKS:
            if (left_s := end_s - time.monotonic()) > 0:
                opened, _ = run_attack(attack, port, min(_ATTACK_S, left_s))
                done[attack.name] = done.get(attack.name, 0) + opened
        turn += 1
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 if a guarantee does not hold."""
    parser = argparse.ArgumentParser("python -m bench.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N", help="at least 3")
    parser.add_argument(
        "--rate", type=float, default=300.0, metavar="N", help="honest samples per second"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="number of server processes"
    )
    add_out_option(parser)
    options = parser.parse_args(arguments)
    if options.minutes < 3:
        parser.error("--minutes must be at least 3")
    with (
        shipped_file("digits-unlayered.nab") as bundle,
        shipped_file("digits-test-rate.npz") as events,
    ):
        plan = LoadPlan(
            Path(bundle), Path(events), connections=50, clients=1, workers=options.workers,
            seconds=60 * options.minutes, rate=options.rate,
        )  # fmt: skip
        return print_and_save(lambda _: [soak(plan)], options.out, "a guarantee does not hold")


if __name__ == "__main__":
    sys.exit(main())
