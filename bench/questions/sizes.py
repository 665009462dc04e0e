"""How does the cost grow with the size of the network?"""

from contextlib import AsyncExitStack

import numpy as np

from bench.c_baseline import CLoop, compiler, fits
from bench.paired_timing import Contender, take_turns
from bench.reference_networks import INPUTS, as_bundle, conv_stack, dense_stack, samples, synapses
from bench.result import Result, Scale, add_figures, expect_same, lines_of
from bench.runners import bare_decider, counts, open_session, session_decider
from neuroasync import sample_seed

__all__ = ["measure"]

_WIDTHS = (64, 128, 192, 256, 332)
"""Widths of the three hidden layers; the last gives 1.0 M synapses."""
_BASELINE = "dense 64"


async def measure(scale: Scale) -> Result:
    """Time dense stacks of growing width and a convolutional network on the same input."""
    scale = scale.fewer(4)
    trains = samples(10)
    models = {f"dense {w}": dense_stack((INPUTS, w, w, w, 10)) for w in _WIDTHS}
    models["conv 2x34x34"] = conv_stack()
    contenders, checks = [], []
    async with AsyncExitStack() as stack:
        for name, model in models.items():
            session = await open_session(stack, as_bundle(model))
            contenders.append(Contender(name, session_decider(session, trains)))
            if fits(model) and compiler():
                contenders.append(_in_c(name, CLoop(model, "random", 8)))
        timings = await take_turns(contenders, scale.rounds, scale.calls)
    for name, model in models.items():
        reference, expected = (
            f"{name} in C",
            [counts(o) for o in timings.outcomes.get(f"{name} in C", ())],
        )
        if not expected:
            bare = bare_decider(as_bundle(model), trains, lambda k: sample_seed(0, k))
            reference, expected = "bare loop", [counts(bare(k)) for k in range(scale.calls)]
        decided = [counts(o) for o in timings.outcomes[name]][: len(expected)]
        checks.append(
            expect_same("label, votes, steps, spikes", {name: decided, reference: expected})
        )
    lines = []
    for line in lines_of(timings, _BASELINE):
        if line.name not in models:
            continue
        spent = float(np.mean([counts(o).synops for o in timings.outcomes[line.name]]))
        figures = {
            "synapses": float(synapses(models[line.name])),
            "neurons": float(models[line.name].size),
            "spikes": float(np.mean([counts(o).spikes for o in timings.outcomes[line.name]])),
            "ns/synop": timings.mean(line.name) * 1e9 / spent,
        }
        if (in_c := f"{line.name} in C") in timings.names:
            figures["times C"] = float(np.median(timings.ratios(line.name, in_c)))
        lines.append(add_figures(line, figures))
    return Result(
        "sizes",
        "How does the cost of a decision grow with the network for the same input?",
        "ms",
        _BASELINE,
        tuple(lines),
        tuple(checks),
    )


def _in_c(name: str, c_loop: CLoop) -> Contender:
    trains = samples(10)
    return Contender(
        f"{name} in C", lambda k: c_loop.decide(trains[k % len(trains)], sample_seed(0, k))
    )
