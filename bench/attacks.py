"""Does ``neuroasync serve`` stay small and fast for honest clients while others attack it?

Each attack has its own server. An honest client sends samples over a websocket and asks for
``/health`` with a new connection each time, first alone and then beside the attack. The benchmark
reports the memory of the server before, at most and afterwards, and the latency of the client. The
attacker shares the cores with the server, so the benchmark also reports its CPU time.

::

    python -m bench.attacks [--seconds N] [--only NAME ...] [--max-files N]
"""

import argparse
import contextlib
import multiprocessing
import resource
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.attacking_clients import ATTACKS, Attack, run_attack
from bench.load_generator import frame
from bench.paired_timing import quantiles
from bench.server_process import ServerProcess
from neuroasync.messages import EventMessage, format_events
from neuroasync.shipped import shipped_file, shipped_spikes

__all__ = ["AttackOutcome", "main", "measure_attack"]

_MAX_GROWTH_MB: Final = 64.0
_MAX_DELAY_MS: Final = 250.0
_TIMEOUT_S: Final = 30.0
_REST_S: Final = 5.0
"""How long the server may take to release what the attack used, in seconds."""

_HANDSHAKE: Final = (
    b"GET /stream HTTP/1.1\r\nHost: honest\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_HEALTH: Final = b"GET /health HTTP/1.1\r\nHost: honest\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class AttackOutcome:
    """What an attack did to a server and to an honest client beside it.

    Attributes:
        name: Name of the attack.
        opened: Number of connections that the attack opened.
        attacker_cpu_s: CPU time of the attacker (s).
        mb_before: Memory of the server before the attack (MB).
        mb_most: Most memory during the attack (MB).
        mb_after: Memory after the attack (MB).
        alone_ms: p99 of a decision and of ``/health`` without the attack.
        beside_ms: p99 of a decision and of ``/health`` beside the attack.
        failures: Requests of the honest client that failed during the attack.
    """

    name: str
    opened: int
    attacker_cpu_s: float
    mb_before: float
    mb_most: float
    mb_after: float
    alone_ms: tuple[float, float]
    beside_ms: tuple[float, float]
    failures: int

    @property
    def holds(self) -> bool:
        """Whether the server stayed small and fast, and every honest request was answered."""
        delays = [b - a for a, b in zip(self.alone_ms, self.beside_ms, strict=True)]
        is_small = max(self.mb_most, self.mb_after) - self.mb_before < _MAX_GROWTH_MB
        return is_small and max(delays) < _MAX_DELAY_MS and not self.failures


class _HonestClient:
    """A client that asks for decisions over one websocket, and for ``/health``."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._websocket = _connect(server.port)
        self._websocket.sendall(_HANDSHAKE)
        while not self._websocket.recv(65536).endswith(b"\r\n\r\n"):
            pass
        self._frames = [
            frame(str(format_events(EventMessage(events, True))).encode(), 0x81)
            for events in shipped_spikes()[:20]
        ]

    def measure(self, seconds: float) -> tuple[tuple[float, float], float, int]:
        """Return both p99 (ms), the most memory of the server (MB), and the failed requests."""
        decisions, healths, most_mb, failures, k = [], [], 0.0, 0, 0
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            began_s = time.perf_counter()
            self._websocket.sendall(self._frames[k % len(self._frames)])
            if not self._websocket.recv(65536):
                raise ConnectionResetError("the server closed the websocket of the honest client")
            decisions.append(1e3 * (time.perf_counter() - began_s))
            began_s = time.perf_counter()
            failures += not self._is_healthy()
            healths.append(1e3 * (time.perf_counter() - began_s))
            most_mb = max(most_mb, self._server.rss_mb())
            k += 1
            time.sleep(0.01)
        return (quantiles(decisions).p99, quantiles(healths).p99), most_mb, failures

    def close(self) -> None:
        """Close the websocket."""
        self._websocket.close()

    def _is_healthy(self) -> bool:
        with contextlib.suppress(OSError), _connect(self._server.port) as connection:
            connection.sendall(_HEALTH)
            return connection.recv(65536).startswith(b"HTTP/1.1 200")
        return False


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)


def measure_attack(
    attack: Attack, bundle: Path, seconds: float, pool: ProcessPoolExecutor
) -> AttackOutcome:
    """Start a server, attack it, and return what happened."""
    with (
        ServerProcess(bundle) as server,
        contextlib.closing(_HonestClient(server)) as client,
    ):
        client.measure(0.5)
        alone_ms, mb_before, _ = client.measure(min(seconds, 5.0))
        attacking = pool.submit(run_attack, attack, server.port, seconds)
        beside_ms, mb_most, failures = client.measure(seconds)
        opened, attacker_cpu_s = attacking.result()
        client.measure(_REST_S)
        return AttackOutcome(
            attack.name, opened, attacker_cpu_s, mb_before, mb_most, server.rss_mb(), alone_ms,
            beside_ms, failures,
        )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 if an attack succeeds."""
    parser = argparse.ArgumentParser("python -m bench.attacks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=15.0, help="duration of each attack")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="attacks whose names have this")
    parser.add_argument("--max-files", type=int, metavar="N", help="limit of open files")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table(
        "attack", "opened", "its CPU s", "MB before", "most", "after", "decision p99 ms", "beside",
        "/health p99 ms", "beside", "failed", "holds",
    )  # fmt: skip
    is_held = True
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool, shipped_file("digits-unlayered.nab") as bundle:
        pool.submit(time.sleep, 0).result()  # The attacker starts before the limit applies.
        if options.max_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (options.max_files, options.max_files))
        for attack in ATTACKS:
            if options.only and not any(name in attack.name for name in options.only):
                continue
            o = measure_attack(attack, bundle, options.seconds, pool)
            is_held &= o.holds
            row = [o.name, str(o.opened), f"{o.attacker_cpu_s:.1f}"]
            row += [f"{mb:.0f}" for mb in (o.mb_before, o.mb_most, o.mb_after)]
            for alone, beside in zip(o.alone_ms, o.beside_ms, strict=True):
                row += [f"{alone:.1f}", f"{beside:.1f}"]
            table.add_row(*row, str(o.failures), "yes" if o.holds else "no")
            console.print(" | ".join(row), highlight=False)
    console.print(table)
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main())
