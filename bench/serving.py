"""What does ``neuroasync serve`` hold, and does it keep its promises beyond?

The command runs as a process of its own, on the same cores as its clients. First the rate is
looked for that it just holds. Then, each with a fresh server:

- ``hold``: at that rate; every sample gets one decision, the one that ``run`` gives for it;
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
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.answer import Answer, CheckError, Line
from bench.answered import check_answered, check_books, check_equal, check_settled
from bench.hostile import harass
from bench.load import Load, Outcome, run_load, sample_frames
from bench.machine import describe
from bench.pairing import Quantiles, quantiles
from bench.report import as_json, print_answer, save
from bench.served import Served
from neuroasync import SpikeTrains, read_spikes
from neuroasync.shipped import shipped_file

__all__ = ["Plan", "main", "measure"]

_HELD_MS: Final = 250.0
"""A rate is held if 99 of 100 decisions come within this time of when their sample was due."""
_UNIT: Final = "ms from when a sample was due to its decision"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        bundle, events: paths.
        connections: at a time.
        clients: processes that they are in.
        workers: of the server.
        seconds: of each load.
        search_s: of each load while the rate is looked for.
        rest_s: how long to look whether anything of clients is left; connections that linger are
            cut after 5 s.
        rate: samples a second of all connections, where it is not to be looked for.
    """

    bundle: Path
    events: Path
    connections: int = 1000
    clients: int = 2
    workers: int = 2
    seconds: float = 60.0
    search_s: float = 5.0
    rest_s: float = 8.0
    rate: float | None = None

    def served(self, *options: str) -> Served:
        """A fresh server."""
        sessions = str(2 * self.connections)
        workers = str(self.workers)
        return Served(self.bundle, "--workers", workers, "--max-sessions", sessions, *options)


class _Clients:
    """Processes that put load on a server."""

    def __init__(self, plan: Plan, spikes: SpikeTrains, pool: ProcessPoolExecutor) -> None:
        self._plan = plan
        self._spikes = spikes
        self._pool = pool

    def start(self, port: int, rate: float, seconds: float) -> "list[Future[list[Outcome]]]":
        """Begin to send; the outcomes come from all processes."""
        plan, n = self._plan, self._plan.clients
        shares = [len(range(k, plan.connections, n)) for k in range(n)]
        loads = [
            Load(
                "127.0.0.1", port, share, sum(shares[:k]), rate * share / plan.connections, seconds
            )
            for k, share in enumerate(shares)
        ]
        return [self._pool.submit(run_load, load, self._spikes) for load in loads]

    def run(self, port: int, rate: float, seconds: float) -> list[Outcome]:
        """Send, and wait for all that comes of it."""
        return [o for future in self.start(port, rate, seconds) for o in future.result()]


def measure(plan: Plan, console: Console | None = None) -> list[Answer]:
    """Find the rate, then look at the four promises.

    Raises:
        CheckError: one is not kept.
    """
    spikes = read_spikes(plan.events)
    answers = []
    with ProcessPoolExecutor(plan.clients + 1, multiprocessing.get_context("spawn")) as pool:
        clients = _Clients(plan, spikes, pool)
        rate = plan.rate or _held_rate(plan, clients, console)
        for ask in (_hold, _overload, _hostile, _end):
            answer = ask(plan, clients, spikes, rate, pool)
            while ask is _hold and plan.rate is None and not _is_held(answer):
                rate *= 0.85  # not for so long
                answer = ask(plan, clients, spikes, rate, pool)
            answers.append(answer)
            if console is not None:
                print_answer(answer, console)
    return answers


def _is_held(answer: Answer) -> bool:
    values = answer.lines[0].values
    return values is not None and values.p99 <= _HELD_MS


def _held_rate(plan: Plan, clients: _Clients, console: Console | None) -> float:
    """Samples a second that are just held: a fifth more are not."""
    held, rate = 0.0, 1000.0
    with plan.served() as server:
        while not held or rate > held:
            latency = _latency(clients.run(server.port, rate, plan.search_s))
            if console is not None:
                told = f"{rate:.0f} samples a second: p99 {latency.p99:.0f} ms"
                console.print(told, highlight=False)
            if latency.p99 <= _HELD_MS:
                held, rate = rate, 1.2 * rate
            elif held:
                break
            else:
                rate /= 1.2
            if rate < 1:
                raise CheckError(f"no rate is held: 99 of 100 decisions in {_HELD_MS:.0f} ms")
    return held


def _hold(
    plan: Plan, clients: _Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
) -> Answer:
    del pool
    with plan.served() as server, _watched(server) as memory_mb:
        before_s = server.cpu_s()
        outcomes = clients.run(server.port, rate, plan.seconds)
        cpu_s = server.cpu_s() - before_s
        counts = server.counts()
    sent = sum(o.sent for o in outcomes)
    if any(o.withheld or o.dropped or o.refused or o.code for o in outcomes):
        raise CheckError("hold: a sample was withheld, dropped or refused, or a connection closed")
    check_answered(outcomes)
    check_equal(plan.bundle, outcomes, spikes)
    check_books(counts, outcomes)
    figures = {
        "samples/s": rate,
        "samples": float(sent),
        "server µs/sample": 1e6 * cpu_s / max(1, sent),
        **_memory(memory_mb),
    }
    return Answer(
        "hold",
        f"{plan.connections} connections at the rate that is just held",
        _UNIT,
        "",
        (_line("at the rate", outcomes, figures), _server_line(outcomes)),
        (f"{sent} samples sent, {sent} decisions, each equal to that of run; counts add up",),
    )


def _overload(
    plan: Plan, clients: _Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
) -> Answer:
    del pool
    lines, checks = [], []
    for way in ("drop-oldest", "error"):
        with plan.served("--when-full", way) as server, _watched(server) as memory_mb:
            outcomes = clients.run(server.port, 2 * rate, plan.seconds)
            counts = server.counts()
        check_answered(outcomes)
        check_equal(plan.bundle, outcomes, spikes)
        check_books(counts, outcomes)
        lost = counts["samples_dropped"] + counts["samples_refused"]
        figures = {
            "samples/s": 2 * rate,
            "samples": counts["samples_sent"],
            "decided": counts["samples_accepted"],
            "dropped": counts["samples_dropped"],
            "refused": counts["samples_refused"],
            "withheld": float(sum(o.withheld for o in outcomes)),
            **_memory(memory_mb),
        }
        lines += [_line(way, outcomes, figures), _server_line(outcomes, way)]
        checks.append(
            f"{way}: accepted {counts['samples_accepted']:.0f} + lost {lost:.0f} = sent "
            f"{counts['samples_sent']:.0f}, for server and clients; decisions equal those of run"
        )
    return Answer(
        "overload", "twice that rate", _UNIT, "", tuple(lines), tuple(checks),
        ("withheld: due while the socket was full, and so not sent",),
    )  # fmt: skip


def _hostile(
    plan: Plan, clients: _Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
) -> Answer:
    with plan.served("--send-timeout", "1") as server:
        clients.run(server.port, rate / 4, min(1.0, plan.seconds))  # what is opened once, is
        files, tasks = _at_rest(server, plan.rest_s)
        frames = sample_frames(spikes)
        harassing = pool.submit(harass, server.port, frames, plan.seconds, 0)
        outcomes = clients.run(server.port, rate / 4, plan.seconds)
        done = harassing.result()
        files_after, tasks_after = _at_rest(server, plan.rest_s, files, tasks)
        counts = server.counts()
    check_answered(outcomes)
    check_equal(plan.bundle, outcomes, spikes)
    if files_after > files or tasks_after > tasks:
        raise CheckError(
            f"hostile: {files_after} open files and {tasks_after} tasks, {files} and {tasks} before"
        )
    check_settled(counts)
    figures = {"samples/s": rate / 4, "hostile clients": float(sum(done.values()))}
    figures["malformed"] = counts["messages_malformed"]
    figures["slow cut off"] = counts['connections_cut_total{reason="slow-reader"}']
    ways = ", ".join(f"{way} {count}" for way, count in done.items())
    return Answer(
        "hostile", "good clients beside hostile ones", _UNIT, "",
        (_line("the good ones", outcomes, figures),),
        (
            f"afterwards no session is open; open files {files_after}, before {files}; "
            f"tasks {tasks_after}, before {tasks}",
            "every sample of the good ones has one decision, that of run",
        ),
        (ways,),
    )  # fmt: skip


def _end(
    plan: Plan, clients: _Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
) -> Answer:
    del pool
    grace_s = 10.0
    with plan.served("--grace", str(grace_s)) as server:
        running = clients.start(server.port, rate, plan.seconds + 60)
        while server.counts()["decisions"] < 2 * plan.connections:
            time.sleep(0.1)
        time.sleep(min(2.0, plan.seconds))
        code, seconds = server.end()
        outcomes = [o for future in running for o in future.result()]
    if code != 0 or seconds > grace_s:
        raise CheckError(f"end: exit code {code} after {seconds:.1f} s, expected 0 in {grace_s} s")
    check_equal(plan.bundle, outcomes, spikes)
    for o in outcomes:
        if sorted(o.decided) != list(range(len(o.decided))) or o.code != 1001 or o.twice:
            raise CheckError(f"end: connection {o.number} has a hole, or was closed by {o.code}")
    decided = sum(len(o.decided) for o in outcomes)
    figures = {
        "exit code": float(code),
        "seconds": seconds,
        "decided": float(decided),
        "refused": float(sum(len(o.refused) for o in outcomes)),
        "not read": float(sum(o.sent - o.answered for o in outcomes)),
    }
    return Answer(
        "end", "SIGTERM while it is busy", _UNIT, "",
        (_line("up to the end", outcomes, figures),),
        (
            "exit code 0: all that was accepted was answered; each connection got its decisions "
            "without a hole, then close code 1001",
        ),
        ("not read: sent when the server had stopped reading; it never took them",),
    )  # fmt: skip


def _at_rest(server: Served, rest_s: float, files: int = 0, tasks: float = 0) -> tuple[int, float]:
    """Open files and tasks of a server that all clients have left; least of some looks.

    Args:
        server: maybe still noticing that they have left.
        rest_s: how long to look.
        files: no need to look longer once there are no more than these, and
        tasks: than these.
    """
    deadline_s, least_files, least_tasks = time.monotonic() + rest_s, 10**9, 1e9
    while time.monotonic() < deadline_s:
        counts = server.counts()
        if not counts["sessions_open"] and not counts["samples_open"]:
            least_files = min(least_files, server.files())
            least_tasks = min(least_tasks, counts["tasks"])
            if files and least_files <= files and least_tasks <= tasks:
                break
        time.sleep(0.2)
    if least_files == 10**9:
        raise CheckError(f"{counts['sessions_open']:.0f} sessions are still open")
    return least_files, least_tasks


@contextmanager
def _watched(server: Served) -> Iterator[list[float]]:
    """Resident memory of the server, MB, once a second."""
    memory_mb, over = [server.rss_mb()], threading.Event()

    def look() -> None:
        while not over.wait(1.0):
            memory_mb.append(server.rss_mb())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield memory_mb
    finally:
        over.set()
        thread.join()


def _memory(memory_mb: Sequence[float]) -> dict[str, float]:
    """At the start, after a third of the time, and at the end."""
    third = memory_mb[min(len(memory_mb) - 1, -(-len(memory_mb) // 3))]
    return {"MB at start": memory_mb[0], "MB at 1/3": third, "MB at end": memory_mb[-1]}


def _latency(outcomes: Sequence[Outcome]) -> Quantiles:
    return quantiles([ms for o in outcomes for ms in o.latency_ms])


def _line(name: str, outcomes: Sequence[Outcome], figures: dict[str, float]) -> Line:
    return Line(name, _latency(outcomes), figures=figures)


def _server_line(outcomes: Sequence[Outcome], name: str = "") -> Line:
    values = quantiles([ms for o in outcomes for ms in o.server_ms])
    return Line(f"{name} in the server, waiting included".strip(), values)


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
        plan = Plan(
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
