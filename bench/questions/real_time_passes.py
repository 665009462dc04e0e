"""How punctually do the passes of a stream begin under a real-time clock?"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import numpy as np

from bench.paired_timing import quantiles, run_in_loop
from bench.reference_networks import TIMESTEP_US, as_bundle, dense_stack
from bench.result import CheckError, Line, Result, Scale, scaled
from neuroasync import Bundle, Counts, Network, Progress, RealTimeClock, SpikeTrain

__all__ = ["measure"]

_EVENTS: Final = 10
"""Events per timestep of 1 ms, that is 10 kHz."""
_WINDOW_US: Final = 100_000
_LONGER: Final = 6
"""Factor on the duration: a full run takes a minute."""


class _Measured(NamedTuple):
    """Lateness (s) of each pass and of each tick of an idle event loop, and the counts."""

    passes: list[float]
    ticks: list[float]
    counts: Counts
    sent: int


async def measure(scale: Scale) -> Result:
    """Stream 10 kHz of events through the reference network, a pass every millisecond.

    A pass is taken to begin when it has taken its input group, which is when a stop rule is asked
    first: that it is one of the user's makes passes run in coroutines, the slower engine.
    """
    bundle, lines, checks = as_bundle(dense_stack()), [], []
    for loop in ("asyncio", "uvloop"):
        main = _run(bundle, _LONGER * scale.seconds)
        measured = await asyncio.to_thread(run_in_loop, main, loop)
        ticks, passes = (
            scaled(quantiles(late), 1e-3) for late in (measured.ticks, measured.passes)
        )
        counts = measured.counts
        if counts.events + counts.dropped != measured.sent or counts.dropped != counts.late:
            raise CheckError(f"{measured.sent} events were sent, and {counts} counted")
        figures = {
            "late events": float(counts.late),
            "missed deadlines": float(counts.missed_deadlines),
        }
        ratio = passes.p99 / max(ticks.p99, 1e-6)
        lines.append(Line(f"{loop}, ticks of the clock alone", ticks, 1.0))
        lines.append(Line(f"{loop}, passes", passes, ratio, target="p99 <= 2 ms", figures=figures))
        checks.append(
            f"{loop}: {counts.events} events accepted + {counts.dropped} dropped = {measured.sent} "
            f"sent; {counts.late} came late"
        )
    return Result(
        "pace",
        "How late does each pass begin in a stream of 10 kHz with a pass every 1 ms?",
        "ms",
        "the ticks of the line above",
        tuple(lines),
        tuple(checks),
        ("ratios are of p99", "late events are those that came after their pass had begun"),
    )


async def _run(bundle: Bundle, seconds: float) -> _Measured:
    """Measure ticks of the clock alone for a tenth of ``seconds``, then stream for ``seconds``."""
    clock, steps = RealTimeClock(), round(1000 * seconds)
    ticks = []
    first = clock.now_us() // TIMESTEP_US + 1
    for k in range(first, first + steps // 10):
        await clock.sleep_until(k * TIMESTEP_US)
        ticks.append((clock.now_us() - k * TIMESTEP_US) / 1e6)
    passes: list[float] = []
    watermark_us: list[int] = []

    async def source() -> AsyncIterator[SpikeTrain]:
        rng = np.random.default_rng(3)
        start_us = clock.now_us()
        for k in range(steps):
            await clock.sleep_until(start_us + (k + 1) * TIMESTEP_US)
            t_us = np.sort(rng.integers(0, TIMESTEP_US, _EVENTS)) + k * TIMESTEP_US
            if k == 0:
                t_us[0] = 0  # The arrival of this chunk is time 0 of the stream.
                watermark_us.append(clock.now_us())
            yield SpikeTrain(t_us, rng.integers(0, bundle.model.input_size, _EVENTS))

    def until(progress: Progress) -> bool:
        if progress.passes != latest[0]:
            latest[0] = progress.passes
            due_us = watermark_us[0] + (len(passes) + 1) * TIMESTEP_US
            passes.append((clock.now_us() - due_us) / 1e6)
        return False

    latest = [0]
    async with Network(bundle, clock=clock, until=until) as network, network.session() as session:
        window = f"time({_WINDOW_US})"
        async for decision in session.stream(source(), window=window, late="drop"):
            if decision.passes != _WINDOW_US // TIMESTEP_US:
                raise CheckError(f"a window of {decision.passes} passes")
        counts = session.counts
    return _Measured(passes, ticks, counts, steps * _EVENTS)
