"""Paired timing: contenders take turns in one run, so that noise of the machine affects all alike.

pyperf is no substitute: it runs benchmarks one after the other in separate processes, cannot await
a contender inside a running event loop, and keeps means instead of percentiles.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Contender", "Quantiles", "Timings", "quantiles", "run_in_loop", "take_turns"]

T = TypeVar("T")


@dataclass(frozen=True)
class Contender:
    """A function to time.

    Attributes:
        name: unique name.
        run: does the work of call number k, counted from 0, and returns its outcome; a plain or
            async function. All contenders do the same work at the same k.
    """

    name: str
    run: Callable[[int], object | Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Quantiles of n values by nearest rank: p99 of 100 values is the 99th."""

    n: int
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, eq=False)
class Timings:
    """The measured times.

    Attributes:
        names: names of the contenders.
        seconds: f64[contenders, rounds, calls].
        outcomes: return values of each contender, in order of k.
    """

    names: tuple[str, ...]
    seconds: NDArray[np.float64]
    outcomes: dict[str, list[Any]]

    def quantiles(self, name: str) -> Quantiles:
        """Return the quantiles of the seconds that a call of ``name`` took."""
        return quantiles(self.seconds[self.names.index(name)])

    def mean(self, name: str) -> float:
        """Return the mean seconds of a call of ``name``, for rates."""
        return float(self.seconds[self.names.index(name)].mean())

    def least(self, name: str) -> float:
        """Return the seconds of a call of ``name`` that nothing interrupted.

        It is the mean over the calls of a round, of the least time that each took in any round.
        """
        return float(self.seconds[self.names.index(name)].min(axis=0).mean())

    def ratios(self, name: str, baseline: str) -> NDArray[np.float64]:
        """Return the time of ``name`` divided by that of the baseline, f64[rounds].

        Each round contributes the median of its calls: a single call that the machine
        interrupted would outweigh all others in a mean. Tails are visible in the quantiles.
        """
        typical: NDArray[np.float64] = np.median(self.seconds, axis=2)
        ratio: NDArray[np.float64] = (
            typical[self.names.index(name)] / typical[self.names.index(baseline)]
        )
        return ratio


def quantiles(values: NDArray[np.float64] | Sequence[float]) -> Quantiles:
    """Return the quantiles of at least one value."""
    flat = np.sort(np.asarray(values, np.float64).ravel())
    ranks = [int(np.ceil(q * flat.size)) - 1 for q in (0.5, 0.9, 0.99, 1.0)]
    p50, p90, p99, largest = (float(flat[max(rank, 0)]) for rank in ranks)
    return Quantiles(flat.size, p50, p90, p99, largest)


async def take_turns(
    contenders: Sequence[Contender], rounds: int, calls: int, *, warmup: int = 1
) -> Timings:
    """Time the contenders in rounds, in which each makes ``calls`` calls in a row.

    A turn has several calls because the first finds the caches as another contender left them.
    The order of turns is shuffled so that it differs from round to round.

    Args:
        contenders: contenders with different names.
        rounds: number of timed rounds.
        calls: calls of each contender in each round, timed one by one.
        warmup: number of untimed rounds before.
    """
    shuffled = random.Random(0)
    seconds = np.zeros((len(contenders), rounds, calls))
    outcomes: dict[str, list[Any]] = {c.name: [] for c in contenders}
    for r in range(-warmup, rounds):
        turns = list(enumerate(contenders))
        shuffled.shuffle(turns)
        first = (r + warmup) * calls
        for c, contender in turns:
            run, kept = contender.run, outcomes[contender.name]
            for k in range(calls):
                began = time.perf_counter()
                outcome = run(first + k)
                if isinstance(outcome, CoroutineType):
                    outcome = await outcome
                took = time.perf_counter() - began
                kept.append(outcome)
                if r >= 0:
                    seconds[c, r, k] = took
            await asyncio.sleep(0)  # The next contender starts with a fresh time slice.
    return Timings(tuple(c.name for c in contenders), seconds, outcomes)


def run_in_loop(main: Coroutine[Any, Any, T], loop: str = "uvloop") -> T:
    """Run ``main`` in a new event loop, ``"uvloop"`` or ``"asyncio"``."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)
