"""How late is everybody else on an event loop that decides at full load?"""

import asyncio
import time
from itertools import count

import numpy as np

from bench.answer import Answer, CheckError, Line, Scale, scaled
from bench.deciding import counts
from bench.pairing import quantiles, run_in_loop
from bench.reference import as_bundle, dense_stack, samples
from neuroasync import Bundle, Network, SpikeTrain, sample_seed

__all__ = ["ask"]

_BEAT_S = 1e-3
_SESSIONS = 20
_SIZES = {
    "0.02 M synapses": (200, 64, 64, 10),
    "1 M synapses": (2312, 332, 332, 332, 10),
    "10 M synapses": (2312, 1740, 1740, 1740, 10),
}


async def ask(scale: Scale) -> Answer:
    """Measure a heartbeat every 1 ms beside 20 sessions that decide without a break.

    Idle and busy stretches alternate in one run: the idle ones show what the loop's timers and
    the machine do by themselves. A beat keeps its due time however late those before it were.
    """
    lines: list[Line] = []
    decisions = 0
    for loop in ("asyncio", "uvloop"):
        for size, sizes in _SIZES.items():
            bundle = as_bundle(dense_stack(sizes))
            trains = samples(10, min(150, sizes[0] // 2), sizes[0])
            # A loop of its own, in a thread of its own: this one is running.
            main = _measure(bundle, trains, scale.seconds)
            late, agreed = await asyncio.to_thread(run_in_loop, main, loop)
            decisions += agreed
            idle, busy = (scaled(quantiles(values), 1e-3) for values in late)
            lines.append(Line(f"{loop}, {size}, idle", idle, 1.0))
            figures = {"decisions/s": agreed / scale.seconds, "p99 beyond idle": busy.p99 - idle.p99}
            ratio = busy.p99 / max(idle.p99, 1e-6)
            name = f"{loop}, {size}, busy"
            lines.append(Line(name, busy, ratio, target="p99 <= 3 ms", figures=figures))
    return Answer(
        "lateness",
        "How late does a heartbeat of 1 ms come beside 20 sessions that never rest?",
        "ms",
        "the idle loop of the line above",
        tuple(lines),
        (f"{decisions} decisions under load: each as the same session's first alone",),
        ("ratios are of p99; uvloop's timers have a resolution of 1 ms, and may be early",),
    )


async def _measure(
    bundle: Bundle, trains: list[SpikeTrain], seconds: float
) -> tuple[tuple[list[float], list[float]], int]:
    """Lateness of beats, idle and busy, each for ``seconds`` in all; decisions made when busy."""
    late: tuple[list[float], list[float]] = ([], [])
    stretch = min(seconds, 0.5)
    async with Network(bundle) as network:
        alone = [
            counts(await network.decide(t, seed=sample_seed(0, k))) for k, t in enumerate(trains)
        ]
        made = 0
        for _ in range(max(1, round(seconds / stretch))):
            late[0].extend(await _beats(stretch))
            running = [asyncio.create_task(_decide(network, trains)) for _ in range(_SESSIONS)]
            late[1].extend(await _beats(stretch))
            for task in running:
                task.cancel()
            for results in await asyncio.gather(*running):
                made += len(results)
                for k, found in enumerate(results[: len(alone)]):
                    if found != alone[k]:
                        raise CheckError(f"sample {k} under load: {found}, alone {alone[k]}")
    return late, made


async def _decide(network: Network, trains: list[SpikeTrain]) -> list[object]:
    """Decide until cancelled; then return what all decisions came to."""
    results: list[object] = []
    try:
        async with network.session() as session:
            for k in count():
                results.append(counts(await session.decide(trains[k % len(trains)])))
    except asyncio.CancelledError:
        pass
    return results


async def _beats(seconds: float) -> list[float]:
    """How late each beat of ``seconds`` was called, s.

    Time is the system's: uvloop's own clock stands still while callbacks run.
    """
    loop, late = asyncio.get_running_loop(), np.zeros(int(seconds / _BEAT_S))
    over = loop.create_future()
    await asyncio.sleep(0)
    begin = time.monotonic() + _BEAT_S

    def beat(k: int) -> None:
        late[k] = time.monotonic() - (begin + k * _BEAT_S)
        if k + 1 == late.size:
            over.set_result(None)
        else:
            loop.call_at(begin + (k + 1) * _BEAT_S, beat, k + 1)

    loop.call_at(begin, beat, 0)
    await over
    found: list[float] = late.tolist()
    return found
