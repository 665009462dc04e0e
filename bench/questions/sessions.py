"""What do a thousand open sessions cost?"""

import asyncio
import gc
import multiprocessing
import os
import tracemalloc
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np

from bench.paired_timing import Contender, run_in_loop, take_turns
from bench.reference_networks import (
    TIMESTEP_US,
    TIMESTEPS,
    as_bundle,
    conv_stack,
    dense_stack,
    samples,
)
from bench.result import Line, Result, Scale, add_figures, expect_same, lines_of
from bench.runners import counts, session_decider
from neuroasync import Bundle, Network, Session, SpikeTrain

__all__ = ["measure"]

_MODELS = {"dense": dense_stack, "conv": conv_stack}
_STATM = Path("/proc/self/statm")
_WAYS = ("tracemalloc", "RSS") if _STATM.exists() else ("tracemalloc",)
_BYTES_A_NEURON = 16
"""Membrane potential, momentum, refractory mark, reached mark: 4 bytes each."""


async def measure(scale: Scale) -> Result:
    """Measure the memory of sessions in the middle of a sample, then their throughput in turns."""
    many, trains = (100 if scale.quick else 1000), samples(10)
    lines, checks = [], []
    for name, make in _MODELS.items():
        # Momentum order uses no seed, so that all sessions decide alike on the same sample.
        bundle = as_bundle(make(), "momentum")
        lines += await _memory(name, many)
        speed, check = await _throughput(name, bundle, trains, many, scale.fewer(2))
        lines += speed
        checks.append(check)
    return Result(
        "sessions",
        f"What do {many} open sessions cost in memory and in throughput?",
        "µs",
        "one session alone, of the same network",
        tuple(lines),
        tuple(checks),
        (f"neuron state: {_BYTES_A_NEURON} bytes a neuron (potential, momentum, two marks)",),
    )


async def _memory(name: str, many: int) -> list[Line]:
    """Return the memory per session with half of its events sent, measured in two ways.

    Each way runs in a fresh process: memory that was freed before would be reused unnoticed.
    """
    lines, loop = [], asyncio.get_running_loop()
    state = _MODELS[name]().size * _BYTES_A_NEURON
    for how in _WAYS:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            grown = await loop.run_in_executor(process, _run, name, many, how == "tracemalloc")
        figures = {"bytes": grown / many, "neuron state": float(state)}
        label = f"{name}: memory a session, {how}"
        lines.append(Line(label, None, grown / many / state, target="<= 1.5", figures=figures))
    return lines


def _run(name: str, many: int, traced: bool) -> int:
    train = samples(1)[0]
    # The first event of a timestep runs the previous timestep, then waits for the others.
    read = int(np.searchsorted(train.t_us, TIMESTEP_US * (TIMESTEPS // 2))) + 1
    half = SpikeTrain(train.t_us[:read], train.index[:read])
    return run_in_loop(_growth(as_bundle(_MODELS[name](), "momentum"), half, many, traced))


async def _growth(bundle: Bundle, half: SpikeTrain, many: int, traced: bool) -> int:
    """Return the growth of the process (bytes) when ``many`` sessions read half a sample."""
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(Network(bundle))
        first = await stack.enter_async_context(network.session())
        await first.send(
            half
        )  # Allocates what sessions share; kept open, or its memory would be reused.
        gc.collect()
        if traced:
            tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0] if traced else _resident()
        sessions = [network.session() for _ in range(many)]  # The network closes these sessions.
        for session in sessions:
            await session.send(half)
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] if traced else _resident()) - before


def _resident() -> int:
    """Return the resident memory of this process (bytes)."""
    pages = int(_STATM.read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def _throughput(
    name: str, bundle: Bundle, trains: list[SpikeTrain], many: int, scale: Scale
) -> tuple[list[Line], str]:
    alone, turns = f"{name}: one session alone", f"{name}: {many} sessions in turns"
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(Network(bundle))
        sessions = [await stack.enter_async_context(network.session()) for _ in range(many)]
        single = await stack.enter_async_context(network.session())
        contenders = (
            Contender(alone, session_decider(single, trains)),
            Contender(turns, _in_turns(sessions, trains)),
        )
        timings = await take_turns(contenders, scale.rounds, max(scale.calls, many // 10))
    decided = {name: [counts(o) for o in outcomes] for name, outcomes in timings.outcomes.items()}
    check = expect_same("label, votes, steps, spikes", decided)
    lines = lines_of(timings, alone, 1e-6)
    share = float(1 / np.median(timings.ratios(turns, alone)))
    lines[1] = add_figures(lines[1], {"throughput": share}, "throughput >= 0.8")
    return lines, check


def _in_turns(
    sessions: list[Session], trains: list[SpikeTrain]
) -> Callable[[int], Awaitable[object]]:
    return lambda k: sessions[k % len(sessions)].decide(trains[k % len(trains)])
