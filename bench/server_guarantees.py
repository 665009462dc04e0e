"""The four guarantees of a server, each with a load, its checks and the measured cost."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.load_generator import ConnectionOutcome, Load, run_load, sample_frames
from bench.misbehaving_clients import harass
from bench.paired_timing import Quantiles, quantiles
from bench.result import CheckError, Line, Result
from bench.server_checks import (
    check_all_answered,
    check_counts_add_up,
    check_counts_agree,
    check_decisions,
)
from bench.server_process import ServerProcess
from neuroasync import SpikeTrains

__all__ = ["GUARANTEES", "Clients", "LoadPlan", "latency", "watched_memory"]

_UNIT: Final = "ms from the due time of a sample to its decision"


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The amount of load.

    Attributes:
        bundle, events: paths of the bundle and the spike file.
        connections: simultaneous connections.
        clients: number of client processes.
        workers: number of server processes.
        seconds: duration of each load.
        search_s: duration of each load during the search for the sustainable rate.
        rest_s: how long to wait until the server has released everything of its clients;
            lingering connections are closed after 5 s.
        rate: samples per second of all connections together; None to search for it.
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

    def start_server(self, *options: str) -> ServerProcess:
        """Start a new server."""
        sessions = str(2 * self.connections)
        workers = str(self.workers)
        return ServerProcess(
            self.bundle, "--workers", workers, "--max-sessions", sessions, *options
        )


class Clients:
    """The client processes that put load on a server."""

    def __init__(self, plan: LoadPlan, spikes: SpikeTrains, pool: ProcessPoolExecutor) -> None:
        self._plan = plan
        self._spikes = spikes
        self._pool = pool

    def start(
        self, port: int, rate: float, seconds: float
    ) -> "list[Future[list[ConnectionOutcome]]]":
        """Start sending; return a future per process for the outcomes of its connections."""
        plan, n = self._plan, self._plan.clients
        shares = [len(range(k, plan.connections, n)) for k in range(n)]
        loads = [
            Load(
                "127.0.0.1", port, share, sum(shares[:k]), rate * share / plan.connections, seconds
            )
            for k, share in enumerate(shares)
        ]
        return [self._pool.submit(run_load, load, self._spikes) for load in loads]

    def run(self, port: int, rate: float, seconds: float) -> list[ConnectionOutcome]:
        """Send, and return the outcomes of all connections."""
        return [o for future in self.start(port, rate, seconds) for o in future.result()]


def _hold(
    plan: LoadPlan, clients: Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
) -> Result:
    del pool
    with plan.start_server() as server, watched_memory(server) as memory_mb:
        before_s = server.cpu_s()
        outcomes = clients.run(server.port, rate, plan.seconds)
        cpu_s = server.cpu_s() - before_s
        counts = server.counts()
    sent = sum(o.sent for o in outcomes)
    if any(o.withheld or o.dropped or o.refused or o.code for o in outcomes):
        raise CheckError("hold: a sample was withheld, dropped or refused, or a connection closed")
    check_all_answered(outcomes)
    check_decisions(plan.bundle, outcomes, spikes)
    check_counts_agree(counts, outcomes)
    figures = {
        "samples/s": rate,
        "samples": float(sent),
        "server µs/sample": 1e6 * cpu_s / max(1, sent),
        **_memory(memory_mb),
    }
    return Result(
        "hold",
        f"{plan.connections} connections at the highest sustainable rate",
        _UNIT,
        "",
        (_line("at the rate", outcomes, figures), _server_line(outcomes)),
        (f"{sent} samples sent, {sent} decisions, each equal to that of run; counts add up",),
    )


def _overload(
    plan: LoadPlan, clients: Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
) -> Result:
    del pool
    lines, checks = [], []
    for way in ("drop-oldest", "error"):
        with plan.start_server("--when-full", way) as server, watched_memory(server) as memory_mb:
            outcomes = clients.run(server.port, 2 * rate, plan.seconds)
            counts = server.counts()
        check_all_answered(outcomes)
        check_decisions(plan.bundle, outcomes, spikes)
        check_counts_agree(counts, outcomes)
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
    return Result(
        "overload", "twice the sustainable rate", _UNIT, "", tuple(lines), tuple(checks),
        ("withheld: samples that were due while the socket was full, and so were not sent",),
    )  # fmt: skip


def _hostile(
    plan: LoadPlan, clients: Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
) -> Result:
    with plan.start_server("--send-timeout", "1") as server:
        # A first load opens the files and tasks that the server keeps for its whole life.
        clients.run(server.port, rate / 4, min(1.0, plan.seconds))
        files, tasks = _at_rest(server, plan.rest_s)
        frames = sample_frames(spikes)
        harassing = pool.submit(harass, server.port, frames, plan.seconds, 0)
        outcomes = clients.run(server.port, rate / 4, plan.seconds)
        done = harassing.result()
        files_after, tasks_after = _at_rest(server, plan.rest_s, files, tasks)
        counts = server.counts()
    check_all_answered(outcomes)
    check_decisions(plan.bundle, outcomes, spikes)
    if files_after > files or tasks_after > tasks:
        raise CheckError(
            f"hostile: {files_after} open files and {tasks_after} tasks, {files} and {tasks} before"
        )
    check_counts_add_up(counts)
    figures = {"samples/s": rate / 4, "hostile clients": float(sum(done.values()))}
    figures["malformed"] = counts["messages_malformed"]
    figures["slow cut off"] = counts['connections_cut_total{reason="slow-reader"}']
    ways = ", ".join(f"{way} {count}" for way, count in done.items())
    return Result(
        "hostile", "well-behaved clients beside misbehaving ones", _UNIT, "",
        (_line("well-behaved clients", outcomes, figures),),
        (
            f"afterwards no session is open; open files {files_after}, before {files}; "
            f"tasks {tasks_after}, before {tasks}",
            "every sample of well-behaved clients has one decision, equal to that of run",
        ),
        (ways,),
    )  # fmt: skip


def _end(
    plan: LoadPlan, clients: Clients, spikes: SpikeTrains, rate: float, pool: ProcessPoolExecutor
) -> Result:
    del pool
    shutdown_timeout_s = 10.0
    with plan.start_server("--shutdown-timeout", str(shutdown_timeout_s)) as server:
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
    check_decisions(plan.bundle, outcomes, spikes)
    for o in outcomes:
        if sorted(o.decided) != list(range(len(o.decided))) or o.code != 1001 or o.twice:
            raise CheckError(f"end: connection {o.number} has a gap, or was closed with {o.code}")
    decided = sum(len(o.decided) for o in outcomes)
    figures = {
        "exit code": float(code),
        "seconds": seconds,
        "decided": float(decided),
        "refused": float(sum(len(o.refused) for o in outcomes)),
        "not read": float(sum(o.sent - o.answered for o in outcomes)),
    }
    return Result(
        "end", "SIGTERM under load", _UNIT, "",
        (_line("up to the end", outcomes, figures),),
        (
            "exit code 0: all that was accepted was answered; each connection got its decisions "
            "without a gap, then close code 1001",
        ),
        ("not read: samples sent after the server had stopped reading",),
    )  # fmt: skip


def _at_rest(
    server: ServerProcess, rest_s: float, files: int = 0, tasks: float = 0
) -> tuple[int, float]:
    """Return the open files and tasks of a server after all clients have left.

    The minimum over repeated reads is returned.

    Args:
        server: a server that may still be closing connections.
        rest_s: maximum time to wait.
        files: stop early once there are at most this many files, and
        tasks: at most this many tasks.
    """
    deadline_s, min_files, min_tasks = time.monotonic() + rest_s, 10**9, 1e9
    while time.monotonic() < deadline_s:
        counts = server.counts()
        if not counts["sessions_open"] and not counts["samples_open"]:
            min_files = min(min_files, server.files())
            min_tasks = min(min_tasks, counts["tasks"])
            if files and min_files <= files and min_tasks <= tasks:
                break
        time.sleep(0.2)
    if min_files == 10**9:
        raise CheckError(f"{counts['sessions_open']:.0f} sessions are still open")
    return min_files, min_tasks


@contextmanager
def watched_memory(server: ServerProcess) -> Iterator[list[float]]:
    """Record the resident memory of the server (MB) once per second."""
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
    """Return the memory at the start, after a third of the time, and at the end."""
    third = memory_mb[min(len(memory_mb) - 1, -(-len(memory_mb) // 3))]
    return {"MB at start": memory_mb[0], "MB at 1/3": third, "MB at end": memory_mb[-1]}


def latency(outcomes: Sequence[ConnectionOutcome]) -> Quantiles:
    """Return the quantiles of the latency of all decisions (ms)."""
    return quantiles([ms for o in outcomes for ms in o.latency_ms])


def _line(name: str, outcomes: Sequence[ConnectionOutcome], figures: dict[str, float]) -> Line:
    return Line(name, latency(outcomes), figures=figures)


def _server_line(outcomes: Sequence[ConnectionOutcome], name: str = "") -> Line:
    values = quantiles([ms for o in outcomes for ms in o.server_ms])
    return Line(f"{name} in the server, including the time in the queue".strip(), values)


GUARANTEES: Final = (_hold, _overload, _hostile, _end)
