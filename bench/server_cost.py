"""How much CPU time does ``neuroasync serve`` take for a decision, beside an echo?

The echo is a server of uvicorn on the same event loop with the same websocket library, which
answers each message with one of the size of a decision (``bench.echo_server``). Both servers are
one process and run at the same time; they take turns with the same messages, one sample of digits
each. In a turn, every connection sends its next sample as soon as it has the answer to the one
before, until all samples of the turn are answered. The CPU time of the server process, with that of
the system on its behalf, is divided by their number.

Afterwards, the benchmark compares every decision with that of ``run``, and stops with an error if
one differs or is missing.

::

    python -m bench.server_cost [--quick] [--connections N ...]
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import uvloop

from bench.load_generator import Client, ConnectionOutcome, sample_frames
from bench.paired_timing import quantiles
from bench.report import add_out_option, print_and_save
from bench.result import Line, Result
from bench.server_checks import check_all_answered, check_decisions
from bench.server_process import PythonServer, ServerProcess
from neuroasync import read_spikes
from neuroasync.shipped import shipped_file

__all__ = ["Plan", "main", "measure"]

_TARGET: Final = 4.0
"""Maximum ratio between the cost of a decision and that of an echo."""

_TIMEOUT_S: Final = 60.0
_QUESTION: Final = "CPU time of the server process for a decision, beside an echo of uvicorn"
_UNIT: Final = "µs of CPU for each message, including the system; a value is the mean of a turn"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        connections: numbers of connections.
        rounds: turns of each server for each number of connections.
        samples: samples of a turn.
    """

    connections: tuple[int, ...] = (8, 64, 512)
    rounds: int = 15
    samples: int = 4096


class _Turn:
    """The samples that the connections of a server send in one turn.

    Attributes:
        is_answered: completes with the last answer.
    """

    def __init__(self, samples: int) -> None:
        self._unsent = self._unanswered = samples
        self.is_answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self) -> bool:
        """Take a sample to send; return whether there was one."""
        self._unsent -= 1
        return self._unsent >= 0

    def count_answer(self) -> None:
        """Count an answer."""
        self._unanswered -= 1
        if not self._unanswered:
            self.is_answered.set_result(None)


class _LoopClient(Client):
    """A connection that sends a sample after each answer, as long as the turn has one."""

    turn: _Turn

    def __init__(self, number: int, frames: Sequence[bytes]) -> None:
        super().__init__(f"/stream?seed={number}", ConnectionOutcome(number))
        self._frames = frames

    def send_next(self) -> None:
        """Send the next sample of the turn, if there is one."""
        if self.turn.take():
            number = 7 * self.outcome.number + self.outcome.sent
            self.send(self._frames[number % len(self._frames)], time.monotonic())

    def message_received(self, payload: bytes) -> None:
        """Record the answer."""
        self.record(payload)
        self.send_next()
        self.turn.count_answer()

    def record(self, payload: bytes) -> None:
        """Record a decision."""
        super().message_received(payload)


class _EchoLoopClient(_LoopClient):
    """A connection to the echo, whose answers have no content."""

    def record(self, payload: bytes) -> None:
        """Count the answer."""


@dataclass(frozen=True, slots=True)
class _Contender:
    """A server with its connections.

    Attributes:
        server: the process.
        clients: its connections.
        costs_us: CPU time of a message in each turn (µs).
    """

    server: PythonServer
    clients: list[_LoopClient]
    costs_us: list[float]

    @classmethod
    async def connect(
        cls, server: PythonServer, kind: type[_LoopClient], connections: int, frames: list[bytes]
    ) -> "_Contender":
        """Open the connections."""
        loop, clients = asyncio.get_running_loop(), []
        for number in range(connections):
            make = partial(kind, number, frames)
            _, client = await loop.create_connection(make, "127.0.0.1", server.port)
            await client.opened
            clients.append(client)
        return cls(server, clients, [])

    async def take_turn(self, samples: int) -> None:
        """Send samples over all connections, and note the CPU time of each."""
        turn, began_s = _Turn(samples), self.server.cpu_s()
        for client in self.clients:
            client.turn = turn
            client.send_next()
        async with asyncio.timeout(_TIMEOUT_S):
            await turn.is_answered
        self.costs_us.append(1e6 * (self.server.cpu_s() - began_s) / samples)

    async def leave(self) -> None:
        """Close the connections."""
        for client in self.clients:
            client.leave()
        await asyncio.wait([client.lost for client in self.clients], timeout=_TIMEOUT_S)


def measure(plan: Plan, bundle: Path, events: Path) -> Result:
    """Measure the cost of a decision and of an echo for each number of connections.

    Raises:
        CheckError: a decision is missing or wrong.
    """
    spikes = read_spikes(events)
    frames = sample_frames(spikes)
    # The echo limits no rates; few connections exceed the default of the server.
    options = ("--max-sessions", str(2 * max(plan.connections)), "--max-messages-per-s", "1e6")
    lines: list[Line] = []
    outcomes: list[ConnectionOutcome] = []
    with ServerProcess(bundle, *options) as server:
        size = uvloop.run(_answer_bytes(server, frames))
        with PythonServer("bench.echo_server", str(size)) as echo:
            for connections in plan.connections:
                contenders = uvloop.run(_take_turns(plan, server, echo, frames, connections))
                outcomes = [client.outcome for client in contenders[0].clients]
                check_all_answered(outcomes)
                check_decisions(bundle, outcomes, spikes)
                lines += _lines(contenders, connections)
    return Result(
        "server-cost", _QUESTION, _UNIT, "the echo with as many connections", tuple(lines),
        ("every sample has exactly one decision, equal to that of run",),
        (
            f"a decision has {size} bytes, and so has an answer of the echo",
            "the rate limit of the server is 1e6 messages per second for each connection",
        ),
    )  # fmt: skip


async def _answer_bytes(server: ServerProcess, frames: list[bytes]) -> int:
    """Return the typical size of a decision, after the server has answered its first samples."""
    sizes: list[int] = []

    class SizeClient(_LoopClient):
        def record(self, payload: bytes) -> None:
            sizes.append(len(payload))

    contender = await _Contender.connect(server, SizeClient, 1, frames)
    await contender.take_turn(100)
    await contender.leave()
    return int(statistics.median(sizes))


async def _take_turns(
    plan: Plan, server: ServerProcess, echo: PythonServer, frames: list[bytes], connections: int
) -> tuple[_Contender, _Contender]:
    """Let both servers take turns, after one turn to warm up; return the server and the echo."""
    contenders = (
        await _Contender.connect(server, _LoopClient, connections, frames),
        await _Contender.connect(echo, _EchoLoopClient, connections, frames),
    )
    for _ in range(plan.rounds + 1):
        for contender in contenders:
            await contender.take_turn(plan.samples)
    for contender in contenders:
        del contender.costs_us[0]
        await contender.leave()
    return contenders


def _lines(contenders: tuple[_Contender, _Contender], connections: int) -> list[Line]:
    """Return a line for the server and one for the echo, with ratios to the echo."""
    lines = []
    echo_us = np.array(contenders[1].costs_us)
    for contender, name, target in zip(
        contenders, ("server", "echo"), (f"ratio at most {_TARGET:g}", ""), strict=True
    ):
        costs_us = np.array(contender.costs_us)
        ratios = costs_us / echo_us
        low, median, high = np.quantile(ratios, (0.1, 0.5, 0.9)).tolist()
        lines.append(
            Line(
                f"{name}, {connections} connections", quantiles(costs_us), median, (low, high),
                target, {"min": float(costs_us.min())},
            )
        )  # fmt: skip
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 if a decision is missing or wrong."""
    parser = argparse.ArgumentParser("python -m bench.server_cost", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="run few turns with few samples")
    parser.add_argument(
        "--connections", type=int, nargs="+", default=Plan().connections, metavar="N"
    )
    add_out_option(parser)
    options = parser.parse_args(arguments)
    connections = tuple(options.connections)
    plan = Plan(connections, 3, 1024) if options.quick else Plan(connections)
    with (
        shipped_file("digits-unlayered.nab") as bundle,
        shipped_file("digits-test-rate.npz") as events,
    ):
        return print_and_save(
            lambda _: [measure(plan, bundle, events)], options.out, "a decision is missing or wrong"
        )


if __name__ == "__main__":
    sys.exit(main())
