"""What do a thousand open sessions take?"""

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
from bench.result import Answer, Line, Scale, add_figures, expect_same, lines_of
from bench.runners import counts, session_decider
from neuroasync import Bundle, Network, Session, SpikeTrain

__all__ = ["ask"]

_MODELS = {"dense": dense_stack, "conv": conv_stack}
_STATM = Path("/proc/self/statm")
_WAYS = ("tracemalloc", "RSS") if _STATM.exists() else ("tracemalloc",)
_BYTES_A_NEURON = 16
"""Membrane potential, momentum, refractory mark, reached mark: 4 bytes each."""


async def ask(scale: Scale) -> Answer:
    """Hold sessions in the middle of a sample, then let them decide in turns, against one alone."""
    many, trains = (100 if scale.quick else 1000), samples(10)
    lines, checks = [], []
    for name, make in _MODELS.items():
        # Momentum order needs no seed: every session comes to the same on the same sample.
        bundle = as_bundle(make(), "momentum")
        lines += await _memory(name, many)
        speed, check = await _throughput(name, bundle, trains, many, scale.fewer(2))
        lines += speed
        checks.append(check)
    return Answer(
        "sessions",
        f"What do {many} open sessions take, in memory and in turns?",
        "µs",
        "one session alone, of the same network",
        tuple(lines),
        tuple(checks),
        (f"neuron state: {_BYTES_A_NEURON} bytes a neuron (potential, momentum, two marks)",),
    )


async def _memory(name: str, many: int) -> list[Line]:
    """What each session holds with half of its events sent, by two ways of looking.

    Each looks in a process of its own: what was freed before would be used again, unseen.
    """
    lines, loop = [], asyncio.get_running_loop()
    state = _MODELS[name]().size * _BYTES_A_NEURON
    for how in _WAYS:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            grown = await loop.run_in_executor(process, _measure, name, many, how == "tracemalloc")
        figures = {"bytes": grown / many, "neuron state": float(state)}
        label = f"{name}: memory a session, {how}"
        lines.append(Line(label, None, grown / many / state, target="<= 1.5", figures=figures))
    return lines


def _measure(name: str, many: int, traced: bool) -> int:
    train = samples(1)[0]
    # The first event of a timestep runs the one before it, and then waits for the others.
    read = int(np.searchsorted(train.t_us, TIMESTEP_US * (TIMESTEPS // 2))) + 1
    half = SpikeTrain(train.t_us[:read], train.index[:read])
    return run_in_loop(_growth(as_bundle(_MODELS[name](), "momentum"), half, many, traced))


async def _growth(bundle: Bundle, half: SpikeTrain, many: int, traced: bool) -> int:
    """Bytes by which the process grows when ``many`` sessions open and read half a sample."""
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(Network(bundle))
        first = await stack.enter_async_context(network.session())
        await first.send(half)  # what is made once for all; kept, or its memory would be reused
        gc.collect()
        if traced:
            tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0] if traced else _resident()
        sessions = [network.session() for _ in range(many)]  # the network closes them
        for session in sessions:
            await session.send(half)
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] if traced else _resident()) - before


def _resident() -> int:
    """Bytes of this process in memory."""
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
    decided = {who: [counts(o) for o in found] for who, found in timings.outcomes.items()}
    check = expect_same("label, votes, steps, spikes", decided)
    lines = lines_of(timings, alone, 1e-6)
    share = float(1 / np.median(timings.ratios(turns, alone)))
    lines[1] = add_figures(lines[1], {"throughput": share}, "throughput >= 0.8")
    return lines, check


def _in_turns(
    sessions: list[Session], trains: list[SpikeTrain]
) -> Callable[[int], Awaitable[object]]:
    return lambda k: sessions[k % len(sessions)].decide(trains[k % len(trains)])
