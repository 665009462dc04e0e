"""How does the cost depend on the activity?"""

from contextlib import AsyncExitStack

import numpy as np

from bench.c_baseline import CLoop, compiler
from bench.paired_timing import Contender, take_turns
from bench.reference_networks import TIMESTEPS, as_bundle, dense_stack, samples
from bench.result import Result, Scale, add_figures, expect_same, lines_of
from bench.runners import bare_decider, counts, open_session, session_decider
from neuroasync import SpikeTrain, sample_seed

__all__ = ["measure"]

_EVENTS = (1, 15, 50, 150, 500, 1500)
"""Input events per timestep."""
_BASELINE = "150 events a timestep"


async def measure(scale: Scale) -> Result:
    """Time the reference network with few to many input events."""
    scale = scale.fewer(2)
    bundle, contenders, events = as_bundle(dense_stack()), [], {}
    expected = {}
    async with AsyncExitStack() as stack:
        for count in _EVENTS:
            name, trains = f"{count} events a timestep", samples(10, count)
            events[name] = count * TIMESTEPS
            session = await open_session(stack, bundle)
            contenders.append(Contender(name, session_decider(session, trains)))
            bare = bare_decider(bundle, trains, lambda k: sample_seed(0, k))
            expected[name] = [counts(bare(k)) for k in range(scale.calls)]
            if compiler():
                contenders.append(_in_c(name, CLoop(bundle.model, "random", 8), trains))
        timings = await take_turns(contenders, scale.rounds, scale.calls)
    lines, agreed = [], 0
    for line in lines_of(timings, _BASELINE):
        if line.name not in events:
            continue
        decided, in_c = [counts(o) for o in timings.outcomes[line.name]], f"{line.name} in C"
        expect_same(line.name, {"bare": expected[line.name], "session": decided[: scale.calls]})
        figures = {
            "events": float(events[line.name]),
            "spikes": float(np.mean([c.spikes for c in decided])),
            "synops": float(np.mean([c.synops for c in decided])),
        }
        if in_c in timings.names:
            by_c_loop = [counts(o) for o in timings.outcomes[in_c]]
            expect_same(line.name, {"session": decided, "C loop": by_c_loop})
            figures["times C"] = float(np.median(timings.ratios(line.name, in_c)))
        agreed += len(decided)
        lines.append(add_figures(line, figures))
    return Result(
        "activity",
        "How does the cost of a decision depend on the number of input events?",
        "ms",
        _BASELINE,
        tuple(lines),
        (f"sessions, bare loop and C loop: same label, votes, spikes in {agreed} decisions",),
    )


def _in_c(name: str, c_loop: CLoop, trains: list[SpikeTrain]) -> Contender:
    return Contender(f"{name} in C", lambda k: c_loop.decide(trains[k % 10], sample_seed(0, k)))
