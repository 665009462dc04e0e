"""Servers as processes, such as the command ``neuroasync serve``: start, observe and end them."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["PythonServer", "ServerProcess"]

_TIMEOUT_S: Final = 120.0
_PROCESS_CLOCK: Final = 2  # CPUCLOCK_SCHED of Linux
_NETWORK_LABEL: Final = re.compile(r'network="[^"]*",?')


class PythonServer:
    """A Python module that runs as a server inside a ``with`` block.

    The first line that it prints has its address, such as ``http://127.0.0.1:8000``.

    Args:
        module: name of the module.
        *arguments: arguments of its command line.

    Attributes:
        port: port at 127.0.0.1.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if "http://" not in line:
            raise RuntimeError(f"the server did not start: {line!r}, {self._process.wait()}")
        self.port = int(re.split(r"\D", line.partition("http://127.0.0.1:")[2])[0])

    def __enter__(self) -> Self:
        """Return the server, which accepts connections already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill the server if it still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def end(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and the seconds until the process ended."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_TIMEOUT_S), time.monotonic() - began

    def rss_mb(self) -> float:
        """Return the resident memory of all processes (MB)."""
        return sum(_status_kb(pid, "VmRSS") for pid in self._pids()) / 1024

    def files(self) -> int:
        """Return the number of open files of all processes."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self._pids())

    def cpu_s(self) -> float:
        """Return the CPU time of all processes so far (s)."""
        # A negative number is the clock of the CPU time of another process; see clock_getres(2).
        return sum(time.clock_gettime((~pid << 3) | _PROCESS_CLOCK) for pid in self._pids())

    def _pids(self) -> list[int]:
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]


class ServerProcess(PythonServer):
    """The command ``neuroasync serve``.

    Args:
        bundle: path of the bundle.
        *options: options of the command.
    """

    def __init__(self, bundle: Path, *options: str) -> None:
        super().__init__("neuroasync", "serve", str(bundle), "--port", "0", *options)

    def counts(self) -> dict[str, float]:
        """Return the values of ``/metrics`` by name, without the prefix ``neuroasync_``.

        Values are summed over the networks of the server.

        The sum of each family is added under its name without ``_total``.
        """
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            lines = response.read().decode().splitlines()
        counts_by_name: dict[str, float] = {}
        for line in lines:
            if line.startswith("#"):
                continue
            name, value = line.rsplit(" ", 1)
            name = _NETWORK_LABEL.sub("", name.removeprefix("neuroasync_")).replace("{}", "")
            counts_by_name[name] = counts_by_name.get(name, 0.0) + float(value)
            family = name.partition("{")[0].removesuffix("_total")
            if family != name and "_bucket" not in family:
                counts_by_name[family] = counts_by_name.get(family, 0.0) + float(value)
        return counts_by_name


def _status_kb(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)
