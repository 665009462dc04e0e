"""What does serving on a Ray cluster cost, and what does a client notice of what happens to it?

A Ray cluster of five nodes on this machine serves a network on two replicas, deployed by ``serve
deploy``, beside ``neuroasync serve`` with the same network. A client asks both in turns for
decisions on samples of digits, one after the other. Then several connections ask the cluster
without a break, which tells how much CPU time its processes take for each sample.

Then several connections send samples without a break, every other connection in chunks, while
replicas are killed at random moments, while Ray Serve adds and removes replicas according to the
load, and while a node is killed and another one drained. The benchmark stops with an error if a
sample has no answer, or two, or another one than ``run``, or if a connection ends. The time to
recover is the longest time from a kill until a connection has the answer to the sample that it was
waiting for. The benchmark needs the extras ``ray`` and ``serve``, and Linux.

::

    python -m bench.cluster_serving [--quick] [--kills N]
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import websockets

from bench.paired_timing import quantiles
from bench.report import add_out_option, print_and_save
from bench.result import CheckError, Line, Result
from bench.server_process import ServerProcess
from bench.serving_clients import ServingClient, as_message, run_clients
from bench.serving_cluster import APP, ServingCluster
from bench.worker_processes import pids_titled
from neuroasync import Network, SpikeTrains
from neuroasync.shipped import load_spikes, shipped_file

__all__ = ["main"]

_CONNECTIONS: Final = 8
_SEED: Final = 5
_QUESTION: Final = "What do replicas cost, and what does a client notice when they change?"


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

    def measure(_: object) -> Iterable[Result]:
        with (
            shipped_file("digits-unlayered.nab") as bundle,
            ServerProcess(bundle) as local,
            ServingCluster() as cluster,
        ):
            yield asyncio.run(_measure(local.port, cluster, samples, kills))

    return print_and_save(measure, options.out, "an answer is missing or wrong")


async def _measure(local: int, cluster: ServingCluster, samples: int, kills: int) -> Result:
    spikes = load_spikes("digits")
    async with Network.load("unlayered") as network:
        decisions = await network.decide_all(spikes, seed=_SEED)
    expected = [decision.votes.tolist() for decision in decisions]
    lines = await _compare(local, cluster.port, spikes, samples, expected)
    lines.append(await _load(cluster, spikes))
    lines.append(await _kill_replicas(cluster, spikes, kills))
    lines.append(await _autoscale(cluster, spikes))
    lines.append(await _lose_nodes(cluster, spikes))
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
                await client.send(as_message(spikes[number], True))
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


async def _run_clients(
    cluster: ServingCluster,
    spikes: SpikeTrains,
    during: Callable[[list[ServingClient]], Awaitable[None]],
    *,
    chunks: int = 4,
) -> list[ServingClient]:
    """Run clients of the cluster; see :func:`bench.serving_clients.run_clients`."""
    address, network = f"127.0.0.1:{cluster.port}", Network.load("unlayered")
    return await run_clients(_CONNECTIONS, address, network, spikes, during, chunks=chunks)


async def _load(cluster: ServingCluster, spikes: SpikeTrains) -> Line:
    """Send samples without a break, and return the CPU time that each process takes for one."""
    roles = {
        "proxy": "ray::ProxyActor", "gateway": f"ray::ServeReplica:{APP}:Gateway",
        "replicas": f"ray::ServeReplica:{APP}:Replica",
    }  # fmt: skip
    pids = {role: pids_titled(title) for role, title in roles.items()}
    used_ms: dict[str, float] = {}

    async def load(clients: list[ServingClient]) -> None:
        for client in clients:
            await client.next_answer_s()
        sent, began_s = sum(client.sent for client in clients), time.monotonic()
        before = {role: sum(map(_cpu_s, found)) for role, found in pids.items()}
        await asyncio.sleep(8)
        count = sum(client.sent for client in clients) - sent
        for role, found in pids.items():
            used_ms[f"{role}_cpu_ms"] = 1e3 * (sum(map(_cpu_s, found)) - before[role]) / count
        used_ms["samples_per_s"] = count / (time.monotonic() - began_s)

    await _run_clients(cluster, spikes, load, chunks=1)
    return Line(f"{_CONNECTIONS} connections", None, figures=used_ms)


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process, s."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _kill_replicas(cluster: ServingCluster, spikes: SpikeTrains, kills: int) -> Line:
    """Kill replicas at random moments, and return the times to recover."""
    moments = random.Random(_SEED)
    recovery_ms: list[float] = []
    restored_s: list[float] = []

    async def kill(clients: list[ServingClient]) -> None:
        for _ in range(kills):
            await asyncio.sleep(moments.uniform(1, 4))
            await cluster.until_replicas(2)
            replicas = pids_titled(f"ray::ServeReplica:{APP}:Replica")
            killed_s = time.monotonic()
            os.kill(moments.choice(replicas), signal.SIGKILL)
            last_s = max(await asyncio.gather(*(client.next_answer_s() for client in clients)))
            recovery_ms.append(1e3 * (last_s - killed_s))
            await asyncio.sleep(1)
            await cluster.until_replicas(2)
            restored_s.append(time.monotonic() - killed_s)

    clients = await _run_clients(cluster, spikes, kill)
    figures = _figures(clients) | {"kills": kills, "restored_s_max": max(restored_s)}
    return Line("time to recover from a kill", quantiles(recovery_ms), figures=figures)


async def _autoscale(cluster: ServingCluster, spikes: SpikeTrains) -> Line:
    """Let Ray Serve add replicas under load, and remove them when most clients have ended."""
    times_s: dict[str, float] = {}

    async def scale(clients: list[ServingClient]) -> None:
        await asyncio.to_thread(cluster.deploy, 1, 3)
        began_s = time.monotonic()
        await cluster.until_replicas(3)
        times_s["up_s"] = time.monotonic() - began_s
        await asyncio.sleep(2)
        for client in clients[2:] + clients[:1]:
            client.is_ending = True
        began_s = time.monotonic()
        await cluster.until_replicas(1)
        times_s["down_s"] = time.monotonic() - began_s
        await asyncio.sleep(2)

    clients = await _run_clients(cluster, spikes, scale)
    return Line("autoscaling from 2 to 3 to 1", None, figures=_figures(clients) | times_s)


async def _lose_nodes(cluster: ServingCluster, spikes: SpikeTrains) -> Line:
    """Kill a node with replicas, then drain the one that takes its place."""

    async def lose(clients: list[ServingClient]) -> None:
        for lose_node in (cluster.kill_node, cluster.drain_node):
            await asyncio.to_thread(lose_node)
            await asyncio.gather(*(client.next_answer_s() for client in clients))
            await asyncio.sleep(2)
            await cluster.until_replicas(2)

    await asyncio.to_thread(cluster.deploy, 2, 2)
    await cluster.until_replicas(2)
    clients = await _run_clients(cluster, spikes, lose)
    return Line("a node is killed, another drained", None, figures=_figures(clients))


def _figures(clients: list[ServingClient]) -> dict[str, Any]:
    return {
        "samples": sum(client.sent for client in clients),
        "longest_s": max(client.longest_s for client in clients),
    }


if __name__ == "__main__":
    sys.exit(main())
