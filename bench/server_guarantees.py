"""The four promises of a server: each is a load, what must hold, and what it took."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.load_generator import Load, Outcome, run_load, sample_frames
from bench.misbehaving_clients import harass
from bench.paired_timing import Quantiles, quantiles
from bench.result import Answer, CheckError, Line
from bench.server_checks import check_answered, check_books, check_equal, check_settled
from bench.server_process import Served
from neuroasync import SpikeTrains

__all__ = ["PROMISES", "Clients", "LoadPlan", "latency"]

_UNIT: Final = "ms from when a sample was due to its decision"


@dataclass(frozen=True, slots=True)
class LoadPlan:
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


class Clients:
    """Processes that put load on a server."""

    def __init__(self, plan: LoadPlan, spikes: SpikeTrains, pool: ProcessPoolExecutor) -> None:
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


def _hold(
    plan: LoadPlan, clients: Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
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
    plan: LoadPlan, clients: Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
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
    plan: LoadPlan, clients: Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
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
    plan: LoadPlan, clients: Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
) -> Answer:
    del pool
    shutdown_timeout_s = 10.0
    with plan.served("--shutdown-timeout", str(shutdown_timeout_s)) as server:
        running = clients.start(server.port, rate, plan.seconds + 60)
        while (counts := server.counts())["sessions_open"] < plan.connections or (
            counts["decisions"] < 2 * plan.connections
        ):
            time.sleep(0.1)
        time.sleep(min(2.0, plan.seconds))
        code, seconds = server.end()
        outcomes = [o for future in running for o in future.result()]
    if code != 0 or seconds > shutdown_timeout_s:
        raise CheckError(
            f"end: exit code {code} after {seconds:.1f} s, expected 0 in {shutdown_timeout_s} s"
        )
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


def latency(outcomes: Sequence[Outcome]) -> Quantiles:
    """Of all decisions, ms."""
    return quantiles([ms for o in outcomes for ms in o.latency_ms])


def _line(name: str, outcomes: Sequence[Outcome], figures: dict[str, float]) -> Line:
    return Line(name, latency(outcomes), figures=figures)


def _server_line(outcomes: Sequence[Outcome], name: str = "") -> Line:
    values = quantiles([ms for o in outcomes for ms in o.server_ms])
    return Line(f"{name} in the server, waiting included".strip(), values)


PROMISES: Final = (_hold, _overload, _hostile, _end)
