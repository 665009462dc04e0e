"""How late do other callbacks run on an event loop that decides at full load?"""

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bench.paired_timing import quantiles, run_in_loop
from bench.reference_networks import as_bundle, dense_stack, samples
from bench.result import Line, Result, Scale, expect_same, scaled
from bench.runners import ResultCounts, counts
from neuroasync import Bundle, Network, SpikeTrain, sample_seed

__all__ = ["measure"]

_BEAT_S = 1e-3
_SESSIONS = 20
_STRETCH_S = 2.5
_SIZES = {
    "0.02 M synapses": (200, 64, 64, 10),
    "1 M synapses": (2312, 332, 332, 332, 10),
    "10 M synapses": (2312, 1740, 1740, 1740, 10),
}


_DENSE = {"1 M events in a timestep": (1_000_000, 1), "3 M events in 100": (3_000_000, 100)}
"""Number of events and of timesteps of a dense sample."""


class _Measured(NamedTuple):
    """Lateness of each beat (s), and the decisions made in total and per second."""

    idle: list[float]
    busy: list[float]
    decisions: int
    rate: float


async def measure(scale: Scale) -> Result:
    """Measure a heartbeat every 1 ms beside sessions that decide without a break.

    Twenty sessions decide short samples, or one session decides samples with dense input.

    Idle and busy periods alternate in one run: the idle ones show the lateness that the timers of
    the event loop and the machine cause by themselves. A late beat does not postpone later ones.
    """
    lines: list[Line] = []
    decisions = 0
    for loop in ("asyncio", "uvloop"):
        for case, bundle, trains, sessions in _cases():
            # The measured event loop runs in another thread, because this one is running.
            main = _run(bundle, trains, sessions, scale.seconds)
            measured = await asyncio.to_thread(run_in_loop, main, loop)
            decisions += measured.decisions
            idle, busy = (scaled(quantiles(late), 1e-3) for late in (measured.idle, measured.busy))
            lines.append(Line(f"{loop}, {case}, idle", idle, 1.0))
            figures = {"decisions/s": measured.rate, "p99 beyond idle": busy.p99 - idle.p99}
            ratio = busy.p99 / max(idle.p99, 1e-6)
            name = f"{loop}, {case}, busy"
            lines.append(Line(name, busy, ratio, target="p99 <= 3 ms", figures=figures))
    return Result(
        "lateness",
        "How late is a heartbeat of 1 ms beside sessions that decide without a break?",
        "ms",
        "the idle loop of the line above",
        tuple(lines),
        (f"{decisions} decisions under load: the first of each session equal those without",),
        ("ratios are of p99; timers of uvloop have a resolution of 1 ms and may fire early",),
    )


def _cases() -> Iterator[tuple[str, Bundle, list[SpikeTrain], int]]:
    """Yield the name of each case, its network, its samples and its number of sessions."""
    for size, sizes in _SIZES.items():
        trains = samples(10, min(150, sizes[0] // 2), sizes[0])
        yield size, as_bundle(dense_stack(sizes)), trains, _SESSIONS
    bundle, rng = as_bundle(dense_stack()), np.random.default_rng(0)
    for name, (events, timesteps) in _DENSE.items():
        t_us = np.sort(rng.integers(0, timesteps * bundle.model.timestep_us, events))
        yield name, bundle, [SpikeTrain(t_us, rng.integers(0, 2312, events))], 1


async def _run(
    bundle: Bundle, trains: list[SpikeTrain], sessions: int, seconds: float
) -> "_Measured":
    """Measure the lateness of beats for ``seconds`` idle and ``seconds`` busy."""
    idle: list[float] = []
    busy: list[float] = []
    stretch, took, made = min(seconds, _STRETCH_S), 0.0, 0
    async with Network(bundle) as network:
        alone = [
            counts(await network.decide(t, seed=sample_seed(0, k))) for k, t in enumerate(trains)
        ]
        for _ in range(max(1, round(seconds / stretch))):
            idle += await _beats(stretch)
            over = asyncio.Event()
            began = time.monotonic()
            running = [asyncio.create_task(_decide(network, trains, over)) for _ in range(sessions)]
            busy += await _beats(stretch)
            over.set()
            decided = await asyncio.gather(*running)
            took += time.monotonic() - began
            for n, first in decided:
                made += n
                expect_same("decisions", {"alone": alone[: len(first)], "under load": first})
    return _Measured(idle, busy, made, made / took)


async def _decide(
    network: Network, trains: list[SpikeTrain], over: asyncio.Event
) -> tuple[int, list[ResultCounts]]:
    """Decide without a break until ``over`` is set; return the count and the first decisions.

    Later decisions are dropped, as an application would do: a growing heap triggers full garbage
    collections, which take about 60 ms each where torch is loaded.
    """
    made, first = 0, list[ResultCounts]()
    async with network.session() as session:
        while not (made and over.is_set()):
            decision = await session.decide(trains[made % len(trains)])
            made += 1
            if made <= len(trains):
                first.append(counts(decision))
    return made, first


async def _beats(seconds: float) -> list[float]:
    """Return how late each beat of ``seconds`` was (s), from its due time to its callback.

    One callback serves all beats that are due, so that one delay is not counted repeatedly. The
    times come from the system clock, because the clock of uvloop stands still during callbacks.
    """
    loop, late = asyncio.get_running_loop(), list[float]()
    beats, over = int(seconds / _BEAT_S), loop.create_future()
    begin = time.monotonic() + _BEAT_S

    def beat() -> None:
        now = time.monotonic()
        late.append(now - (begin + len(late) * _BEAT_S))
        while len(late) < beats and (due := begin + len(late) * _BEAT_S) <= now:
            late.append(now - due)
        if len(late) < beats:
            loop.call_at(begin + len(late) * _BEAT_S, beat)
        else:
            over.set_result(None)

    loop.call_at(begin, beat)
    await over
    return late
