"""How many machines do many concurrent streams need, and how long do their decisions wait?

A machine is a queue with c cores: samples arrive at random, wait in the order of their arrival, and
take the next core that is free. The queue is simulated event by event, with measured service times.
The sum of many independent streams is close to a Poisson process, whatever each of them is like,
so the times between arrivals are exponential. A stream stays on its machine.

Source:
    Khinchin, Mathematical methods in the theory of queueing, 1960, proves that such sums tend to a
    Poisson process.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Fleet",
    "Floats",
    "Waits",
    "fleet",
    "poisson_arrivals",
    "sampled",
    "simulate",
    "wait_md1_s",
    "wait_mmc_s",
]

Floats: TypeAlias = NDArray[np.float64]

_WARM_UP: Final = 0.1
"""Part of the arrivals at the start of a simulation, when the queue is still empty, that is not
counted."""
_BISECTIONS: Final = 10
_MAX_UTILISATION: Final = 0.9
"""Load of a machine that is not exceeded even if its latency would allow it: a queue close to
saturation grows for longer than any simulation, and real streams have bursts."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What the arrivals at a simulated queue see.

    Attributes:
        wait_s: f64[arrivals], time until a core is free, s.
        latency_s: f64[arrivals], time until the service ends, s.
        utilisation: fraction of the time in which the cores are busy, from 0 to 1.
    """

    wait_s: Floats
    latency_s: Floats
    utilisation: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """Machines that serve many streams within a latency.

    Attributes:
        streams_per_machine: number of streams that one machine serves.
        machines, cores: numbers for all streams.
        utilisation: fraction of the time in which the cores of a machine are busy.
        latency_ms_p50, latency_ms_p99: quantiles of the time from an arrival to its decision, ms.
    """

    streams_per_machine: int
    machines: int
    cores: int
    utilisation: float
    latency_ms_p50: float
    latency_ms_p99: float


def simulate(arrivals_s: Floats, service_s: Floats, cores: int) -> Waits:
    """Run the queue of a machine from empty, event by event.

    Args:
        arrivals_s: f64[n], times of the arrivals, s, ascending.
        service_s: f64[n], their service times, s.
        cores: number of cores.
    """
    free_s = [0.0] * cores  # when each core is free, as a heap
    begins = np.empty_like(arrivals_s)
    pairs = zip(arrivals_s.tolist(), service_s.tolist(), strict=True)
    for k, (arrival, service) in enumerate(pairs):
        begins[k] = begin = max(arrival, free_s[0])
        heapq.heapreplace(free_s, begin + service)
    counted = slice(int(_WARM_UP * arrivals_s.size), None)
    wait = begins - arrivals_s
    busy = float(service_s.sum()) / (cores * max(free_s))
    return Waits(wait[counted], (wait + service_s)[counted], busy)


def sampled(measured_s: Floats, size: int, seed: int) -> Floats:
    """Return service times drawn from measured ones, f64[size]."""
    return np.random.default_rng(seed).choice(measured_s, size)


def poisson_arrivals(rate_hz: float, size: int, seed: int) -> Floats:
    """Return the times of a Poisson process, f64[size], s."""
    return np.random.default_rng(seed).exponential(1 / rate_hz, size).cumsum()


def wait_md1_s(rate_hz: float, service_s: float) -> float:
    """Return the mean wait for one core if every service takes the same time (M/D/1), s."""
    load = rate_hz * service_s
    return load * service_s / (2 * (1 - load))


def wait_mmc_s(rate_hz: float, service_s: float, cores: int = 1) -> float:
    """Return the mean wait for c cores with exponential service times (M/M/c, Erlang C), s."""
    offered = rate_hz * service_s
    load = offered / cores
    # Erlang B by its recursion, which does not overflow, gives Erlang C.
    blocked = 1.0
    for k in range(1, cores + 1):
        blocked = offered * blocked / (k + offered * blocked)
    waits = blocked / (1 - load * (1 - blocked))
    return waits * service_s / (cores * (1 - load))


def fleet(
    streams: int,
    rate_hz: float,
    measured_s: Floats,
    cores: int,
    p99_ms: float,
    *,
    arrivals: int = 200_000,
    seed: int = 0,
) -> Fleet:
    """Return the smallest fleet whose decisions are within a latency, 99 of 100 of them.

    The cores of its machines are busy for at most 90 % of the time.

    Args:
        streams: number of concurrent streams.
        rate_hz: samples of each stream, per second.
        measured_s: measured service times of a sample on one core, s.
        cores: cores of a machine.
        p99_ms: allowed 99th percentile of the latency, ms.
        arrivals: number of arrivals in each simulation.
        seed: seed of the simulations.

    Raises:
        ValueError: more than 1 of 100 services alone take longer than the allowed latency.
    """
    service = sampled(measured_s, arrivals, seed)
    if np.quantile(service, 0.99) * 1e3 > p99_ms:
        raise ValueError(
            f"`p99_ms` must be at least the 99th percentile of the service time, "
            f"{np.quantile(service, 0.99) * 1e3:.3g} ms, got {p99_ms:g}"
        )
    unit = poisson_arrivals(1.0, arrivals, seed + 1)

    def run(per_machine: int) -> Waits:
        return simulate(unit / (per_machine * rate_hz), service, cores)

    def fits(per_machine: int) -> bool:
        return bool(np.quantile(run(per_machine).latency_s, 0.99) * 1e3 <= p99_ms)

    highest = _MAX_UTILISATION * cores / (rate_hz * float(service.mean()))
    per_machine = _largest(fits, max(1, math.floor(highest)))
    machines = math.ceil(streams / per_machine)
    found = run(math.ceil(streams / machines))
    p50, p99 = np.quantile(found.latency_s, [0.5, 0.99]) * 1e3
    return Fleet(per_machine, machines, machines * cores, found.utilisation, float(p50), float(p99))


def _largest(fits: Callable[[int], bool], highest: int) -> int:
    """Return about the largest number up to ``highest`` that fits; 1 if none does."""
    low, high = 1, highest
    if fits(high):
        return high
    for _ in range(_BISECTIONS):
        middle = (low + high) // 2
        if middle == low:
            break
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
