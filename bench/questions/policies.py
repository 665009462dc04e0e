"""What do the policy, the group size and the stop rule cost?"""

from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np

from bench.paired_timing import Contender, take_turns
from bench.reference_networks import GROUP_SIZE, as_bundle, dense_stack, samples
from bench.result import Result, Scale, add_figures, expect_same, lines_of
from bench.runners import bare_decider, counts, open_session, session_decider
from neuroasync import sample_seed

__all__ = ["measure"]

_BASELINE = "layer-sync, F = 8, quiet"


@dataclass(frozen=True, slots=True)
class _Case:
    policy: str
    group_size: int = GROUP_SIZE
    until: str = "quiet"

    def __str__(self) -> str:
        return f"{self.policy}, F = {self.group_size}, {self.until}"


_CASES = (
    *(_Case(p, f) for p in ("layer-sync", "random", "momentum", "fifo") for f in (1, 8, 32)),
    *(
        _Case(p, until=u)
        for p in ("layer-sync", "random")
        for u in ("first-spike", "votes(3)", "margin(2)")
    ),
)


async def measure(scale: Scale) -> Result:
    """Time the reference case under every policy, with F = 1, 8, 32 and with early decisions."""
    scale = scale.fewer(2)
    model, trains = dense_stack(), samples(10)
    contenders, bare_counts = [], {}
    async with AsyncExitStack() as stack:
        for case in _CASES:
            bundle = as_bundle(model, case.policy, case.group_size)
            session = await open_session(stack, bundle, until=case.until)
            contenders.append(Contender(str(case), session_decider(session, trains)))
            bare = bare_decider(bundle, trains, lambda k: sample_seed(0, k), until=case.until)
            bare_counts[str(case)] = [counts(bare(k)) for k in range(scale.calls)]
        timings = await take_turns(contenders, scale.rounds, scale.calls)
    lines, agreed = [], 0
    for line in lines_of(timings, _BASELINE):
        decided = [counts(o) for o in timings.outcomes[line.name]]
        expect_same(line.name, {"bare": bare_counts[line.name], "session": decided[: scale.calls]})
        agreed += scale.calls
        means = {f: float(np.mean([getattr(c, f) for c in decided])) for f in _FIGURES}
        lines.append(add_figures(line, means))
    return Result(
        "policies",
        "What do policies, group sizes and early decisions cost, relative to layer-sync?",
        "ms",
        _BASELINE,
        tuple(lines),
        (f"session and bare loop: same label, votes, steps, spikes in {agreed} decisions",),
    )


_FIGURES = ("spikes", "steps", "rounds")
