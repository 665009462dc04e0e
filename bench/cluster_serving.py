"""What does serving on a Ray cluster cost, and what does a client notice when a replica is killed?

A local Ray cluster serves a network on two replicas, beside ``neuroasync serve`` with the same
network. A client asks both in turns for decisions on samples of digits, one after the other.

Then several connections send samples without a break, every other connection in chunks, while
replicas are killed at random moments. The benchmark stops with an error if a sample has no answer,
or two, or another one than ``run``. The time to recover is the longest time from a kill until a
connection has the answer to the sample that it was waiting for. The benchmark needs the extras
``ray`` and ``serve``, and Linux.

::

    python -m bench.cluster_serving [--quick] [--kills N]
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import ray
import websockets
from ray import serve
from rich.console import Console

from bench.environment import describe
from bench.paired_timing import quantiles
from bench.report import add_out_option, as_json, print_result, save
from bench.result import CheckError, Line, Result
from bench.server_process import ServerProcess
from bench.worker_processes import pids_titled
from neuroasync import Network, SpikeTrain, SpikeTrains
from neuroasync.cluster.serving import deployment
from neuroasync.shipped import load_spikes, shipped_file

__all__ = ["main", "replica_pids"]

_APP: Final = "bench"
_CONNECTIONS: Final = 8
_CHUNKS: Final = 4
_TIMEOUT_S: Final = 120.0
_SEED: Final = 5
_QUESTION: Final = "What do replicas cost, and what does a client notice when one is killed?"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 if an answer is missing or wrong."""
    parser = argparse.ArgumentParser("python -m bench.cluster_serving", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="send few samples, kill twice")
    parser.add_argument("--kills", type=int, metavar="N", help="number of kills")
    add_out_option(parser)
    options = parser.parse_args(arguments)
    kills = options.kills or (2 if options.quick else 10)
    samples = 100 if options.quick else 1000
    try:
        with shipped_file("digits-unlayered.nab") as bundle, ServerProcess(bundle) as local:
            port = _start_cluster()
            try:
                result = asyncio.run(_measure(local.port, port, samples, kills))
            finally:
                serve.shutdown()
                ray.shutdown()
    except CheckError as error:
        print(f"an answer is missing or wrong: {error}", file=sys.stderr)
        return 1
    console = Console(width=None if sys.stdout.isatty() else 200)
    print_result(result, console)
    console.print(f"wrote {save(as_json([result], describe()), options.out)}", highlight=False)
    return 0


def _start_cluster() -> int:
    """Start Ray and the deployment, and return the port at 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(deployment("unlayered", replicas=2), name=_APP)
    return port


async def _measure(local: int, cluster: int, samples: int, kills: int) -> Result:
    spikes = load_spikes("digits")
    async with Network.load("unlayered") as network:
        decisions = await network.decide_all(spikes, seed=_SEED)
    expected = [decision.votes.tolist() for decision in decisions]
    lines = await _compare(local, cluster, spikes, samples, expected)
    lines.append(await _kill_replicas(cluster, spikes, kills))
    return Result(
        "cluster-serving", _QUESTION, "ms from sending a sample to its answer", "local server",
        tuple(lines), ("every sample has exactly one answer, equal to that of run",), (),
    )  # fmt: skip


async def _compare(
    local: int, cluster: int, spikes: SpikeTrains, samples: int, expected: list[list[int]]
) -> list[Line]:
    """Ask both servers in turns, and return a line for each."""
    times_ms: dict[int, list[float]] = {local: [], cluster: []}
    query = f"/stream?seed={_SEED}"
    async with (
        websockets.connect(f"ws://127.0.0.1:{local}{query}") as first,
        websockets.connect(f"ws://127.0.0.1:{cluster}{query}") as second,
    ):
        for number in range(min(samples, len(spikes))):
            for port, client in ((local, first), (cluster, second)):
                began_s = time.perf_counter()
                await client.send(_message(spikes[number], True))
                answer = json.loads(await client.recv())
                times_ms[port].append(1e3 * (time.perf_counter() - began_s))
                if answer["votes"] != expected[number]:
                    raise CheckError(f"sample {number}: {answer}")
    ratios = np.array(times_ms[cluster]) / np.array(times_ms[local])
    low, median, high = np.quantile(ratios, (0.1, 0.5, 0.9)).tolist()
    return [
        Line("local server", quantiles(times_ms[local])),
        Line("two replicas", quantiles(times_ms[cluster]), median, (low, high)),
    ]


@dataclass(slots=True)
class _Client:
    """A connection that sends samples one after the other.

    Attributes:
        number: number of the connection.
        answers: the answers in their order.
        sent: number of samples sent.
        answered_s: when each answer arrived.
        is_ending: whether no further sample is to be sent.
    """

    number: int
    answers: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0
    answered_s: list[float] = field(default_factory=list)
    is_ending: bool = False

    async def next_answer_s(self) -> float:
        """Wait for the next answer, and return when it arrived."""
        count = len(self.answered_s)
        while len(self.answered_s) == count:  # noqa: ASYNC110  # a pause of 10 ms is short enough
            await asyncio.sleep(0.01)
        return self.answered_s[count]

    async def run(self, port: int, spikes: SpikeTrains) -> None:
        """Send samples until the end is requested, then listen for answers that are too many."""
        chunks = _CHUNKS if self.number % 2 else 1
        url = f"ws://127.0.0.1:{port}/stream?seed={self.number}"
        async with websockets.connect(url, ping_interval=None) as client:
            while not self.is_ending:
                train = spikes[self.sent % len(spikes)]
                bounds = np.linspace(0, len(train), chunks + 1).astype(int).tolist()
                for begin, end in itertools.pairwise(bounds):
                    part = SpikeTrain(train.t_us[begin:end], train.index[begin:end])
                    await client.send(_message(part, end == len(train)))
                    await asyncio.sleep(0.005 if chunks > 1 else 0)
                self.sent += 1
                self.answers.append(json.loads(await client.recv()))
                self.answered_s.append(time.monotonic())
            try:
                async with asyncio.timeout(1):
                    self.answers.append(json.loads(await client.recv()))
            except TimeoutError:
                return


async def _kill_replicas(port: int, spikes: SpikeTrains, kills: int) -> Line:
    """Kill replicas at random moments, check all answers, and return the times to recover."""
    clients = [_Client(number) for number in range(_CONNECTIONS)]
    moments = random.Random(_SEED)
    recovery_ms: list[float] = []
    restored_s: list[float] = []
    async with asyncio.timeout(kills * _TIMEOUT_S), asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(client.run(port, spikes))
        for _ in range(kills):
            await asyncio.sleep(moments.uniform(1, 4))
            replicas = await _until_replicas(2)
            killed_s = time.monotonic()
            os.kill(moments.choice(replicas), signal.SIGKILL)
            last_s = max(await asyncio.gather(*(client.next_answer_s() for client in clients)))
            recovery_ms.append(1e3 * (last_s - killed_s))
            await _until_replicas(2)
            restored_s.append(time.monotonic() - killed_s)
        for client in clients:
            client.is_ending = True
    lost, double = await _check(clients, spikes)
    figures = {
        "kills": kills, "samples": sum(client.sent for client in clients), "lost": lost,
        "double": double, "replica_restored_s_max": max(restored_s),
    }  # fmt: skip
    return Line("time to recover from a kill", quantiles(recovery_ms), figures=figures)


async def _check(clients: Sequence[_Client], spikes: SpikeTrains) -> tuple[int, int]:
    """Return how many samples have no answer, and how many have several; both must be 0."""
    lost = double = 0
    async with Network.load("unlayered") as network:
        for client in clients:
            numbers = [answer["sample"] for answer in client.answers]
            lost += client.sent - len(set(numbers))
            double += len(numbers) - len(set(numbers))
            trains = [spikes[n % len(spikes)] for n in range(client.sent)]
            decisions = await network.decide_all(trains, seed=client.number)
            for answer in client.answers:
                if answer.get("votes") != decisions[answer["sample"]].votes.tolist():
                    raise CheckError(f"connection {client.number}: {answer}")
    if lost or double:
        raise CheckError(f"{lost} samples have no answer, {double} have several")
    return lost, double


async def _until_replicas(count: int) -> list[int]:
    """Wait until so many replicas take requests, and return their process ids."""
    async with asyncio.timeout(_TIMEOUT_S):
        while True:
            status = serve.status().applications[_APP].deployments["Replica"]
            pids = replica_pids(_APP)
            if status.replica_states.get("RUNNING", 0) == count == len(pids):
                return pids
            await asyncio.sleep(0.1)


def replica_pids(application: str) -> list[int]:
    """Return the processes of an application's replicas, which Ray names after the deployment."""
    return pids_titled(f"ray::ServeReplica:{application}:Replica")


def _message(events: SpikeTrain, is_last: bool) -> str:
    fields = {"t_us": events.t_us.tolist(), "index": events.index.tolist(), "end": is_last}
    return json.dumps(fields)


if __name__ == "__main__":
    sys.exit(main())
