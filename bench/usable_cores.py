"""How much more do processes on all cores decide than a single one?

It is less than the number of cores: virtual cores may share a physical one, all share the caches
and the memory, and other programs may use the machine. The processes are independent.
"""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Final

from neuroasync import Network, SpikeTrains
from neuroasync.core.cpu import cores

__all__ = ["usable_cores"]

_ROUNDS: Final = 5
_SECONDS: Final = 0.5
"""How long the processes decide in a round."""


def usable_cores(network: Network, samples: SpikeTrains) -> float:
    """Return the throughput of as many processes as there are cores, relative to one, at least 1.

    Args:
        network: the network, which must not be open.
        samples: what the processes decide over and over; a call must take much less than 0.5 s.
    """
    with _processes(network, samples, cores()) as pipes:
        ratios = [_throughput(pipes) / _throughput(pipes[:1]) for _ in range(_ROUNDS)]
    return max(1.0, statistics.median(ratios))


def _throughput(pipes: list[Connection]) -> float:
    """Return the sum of the rates at which the processes decide the samples, 1/s."""
    for pipe in pipes:
        pipe.send(True)
    return float(sum(pipe.recv() for pipe in pipes))


@contextmanager
def _processes(network: Network, samples: SpikeTrains, count: int) -> Iterator[list[Connection]]:
    """Start processes that decide when they are asked through their pipes, and end them."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pipes = []
        for _ in range(count):
            pipe, child_end = context.Pipe()
            work = context.Process(target=_work, args=(network, samples, child_end), daemon=True)
            work.start()
            child_end.close()
            stack.callback(work.join)
            pipes.append(stack.enter_context(pipe))
        for pipe in pipes:
            pipe.recv()  # It has loaded the kernels.
        yield pipes


def _work(network: Network, samples: SpikeTrains, pipe: Connection) -> None:
    """Decide the samples over and over for a while, whenever the pipe asks for it."""
    asyncio.run(_decide_for(0.0, network, samples))
    try:
        pipe.send(True)
        while pipe.recv():
            pipe.send(asyncio.run(_decide_for(_SECONDS, network, samples)))
    except (EOFError, BrokenPipeError):
        pass  # The other end was closed.


async def _decide_for(seconds: float, network: Network, samples: SpikeTrains) -> float:
    """Return how often the samples are decided, 1/s, within about this time."""
    count, began = 0, time.perf_counter()
    async with network:
        while not count or time.perf_counter() - began < seconds:
            await network.decide_all(samples, workers=1)
            count += 1
    return count / (time.perf_counter() - began)
