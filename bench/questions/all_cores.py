"""How much faster do all cores decide a whole data set?"""

import os
from typing import Any

from bench.paired_timing import Contender, take_turns
from bench.reference_networks import as_bundle, dense_stack, samples
from bench.result import Result, Scale, add_figures, expect_same, lines_of
from bench.runners import counts
from neuroasync import Network, SpikeTrains, sample_seed

__all__ = ["measure"]

_BASELINE = "decide, one by one"


async def measure(scale: Scale) -> Result:
    """Time a data set with one worker and with all cores against a loop over ``decide``."""
    bundle, size = as_bundle(dense_stack()), 100 if scale.quick else 1000
    trains = SpikeTrains.from_trains(samples(size), bundle.model.input_shape)
    notes: tuple[str, ...] = ()
    async with Network(bundle) as network:

        async def one_by_one(_: int) -> list[object]:
            return [
                counts(await network.decide(train, seed=sample_seed(0, i)))
                for i, train in enumerate(trains)
            ]

        contenders = [Contender(_BASELINE, one_by_one)]
        if hasattr(network, "decide_all"):
            contenders += [
                Contender(f"decide_all, workers={workers}", _all(network, trains, workers))
                for workers in sorted({1, os.cpu_count() or 1})
            ]
        else:
            notes = ("decide_all: left out, this version does not have it",)
        timings = await take_turns(contenders, 3 if scale.quick else 10, 1)
    check = expect_same("decisions on the data set", timings.outcomes)
    lines = [
        add_figures(line, {"decisions/s": size / timings.mean(line.name)})
        for line in lines_of(timings, _BASELINE)
    ]
    question = f"How much faster do all cores decide a data set of {size} samples?"
    return Result("many", question, "ms", _BASELINE, tuple(lines), (check,), notes)


def _all(network: Any, trains: SpikeTrains, workers: int) -> Any:
    async def decide_all(_: int) -> list[object]:
        return [counts(d) for d in await network.decide_all(trains, workers=workers)]

    return decide_all
