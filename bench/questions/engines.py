"""How far are the engines from a plain C loop?"""

from contextlib import AsyncExitStack

import numpy as np

from bench.c_baseline import CLoop, compiler
from bench.paired_timing import Contender, Timings, take_turns
from bench.reference_networks import EVENTS, TIMESTEPS, as_bundle, dense_stack, samples
from bench.result import CheckError, Result, Scale, add_figures, expect_same, lines_of
from bench.runners import bare_decider, counts, open_session, recorded, session_decider
from neuroasync import Bundle, SpikeTrain, sample_seed

__all__ = ["check_rows", "measure"]

_TARGETS = {
    "compiled engine": "<= 0.8",
    "compiled session": "<= 1.3",
    "coroutines session": "<= 3",
}


async def measure(scale: Scale) -> Result:
    """Time whole decisions on the reference case, random order, F = 8, until quiet, batch 1."""
    bundle, trains = as_bundle(dense_stack()), samples(10)
    checks: list[str] = []
    contenders: list[Contender] = []
    baseline = "compiled engine"
    if compiler():
        for name, is_vectorised in (("C loop", False), ("C loop, vectorised", True)):
            checks.append(await _add_c_loop(contenders, name, bundle, trains, is_vectorised))
        baseline = "C loop"
    async with AsyncExitStack() as stack:
        for engine in ("compiled", "coroutines"):
            session = await open_session(stack, bundle, engine=engine)
            contenders.append(Contender(f"{engine} session", session_decider(session, trains)))
        bare = bare_decider(bundle, trains, lambda k: sample_seed(0, k))
        contenders.append(Contender("compiled engine", bare))
        timings = await take_turns(contenders, scale.rounds, scale.calls)
    decided = {name: [counts(o) for o in outcomes] for name, outcomes in timings.outcomes.items()}
    checks.append(expect_same("label, votes, steps, rounds, synops, spikes", decided))
    lines = [
        add_figures(line, _rates(timings, line.name), _TARGETS.get(line.name, ""))
        for line in lines_of(timings, baseline)
    ]
    return Result(
        "engines",
        "How many times the cost of a C loop does a decision on the reference case take?",
        "ms",
        baseline,
        tuple(lines),
        tuple(checks),
        () if compiler() else ("no C compiler: the C loop is left out",),
    )


async def _add_c_loop(
    contenders: list[Contender],
    name: str,
    bundle: Bundle,
    trains: list[SpikeTrain],
    is_vectorised: bool,
) -> str:
    """Add a C loop to the contenders, and return what its check says."""
    policy = bundle.policy
    c_loop = CLoop(bundle.model, policy.name, policy.group_size, vectorised=is_vectorised)
    contenders.append(Contender(name, lambda k: c_loop.decide(trains[k % 10], sample_seed(0, k))))
    return f"{name}: {await check_rows(bundle, trains[:3], c_loop)}"


async def check_rows(bundle: Bundle, trains: list[SpikeTrain], c_loop: CLoop) -> str:
    """Compare every spike and every delivery of the C loop with a recording of neuroasync.

    Raises:
        CheckError: they differ.
    """
    rows = 0
    for k, train in enumerate(trains):
        c_loop.decide(train, k)
        fired, delivered = await recorded(bundle, train, k)
        same = np.array_equal(fired, c_loop.fired()) and np.array_equal(
            delivered, c_loop.delivered()
        )
        if not same:
            raise CheckError(f"sample {k}: the C loop fires or delivers different spikes")
        rows += len(fired) + len(delivered)
    return f"{rows} spikes fired and delivered, same as recorded, in order"


def _rates(timings: Timings, name: str) -> dict[str, float]:
    """Return means over all decisions, and rates by the mean wall time."""
    decided, seconds = [counts(o) for o in timings.outcomes[name]], timings.mean(name)
    steps, synops = (float(np.mean([getattr(c, f) for c in decided])) for f in ("steps", "synops"))
    return {
        "spikes": float(np.mean([c.spikes for c in decided])),
        "steps": steps,
        "steps/s": steps / seconds,
        "synops/s": synops / seconds,
        "input events/s": EVENTS * TIMESTEPS / seconds,
    }
