"""Do idle neurons cost anything?"""

from contextlib import AsyncExitStack

from bench.paired_timing import Contender, take_turns
from bench.reference_networks import GROUP_SIZE, TIMESTEPS, as_bundle
from bench.result import Result, Scale, add_figures, expect_same, lines_of
from bench.runners import open_session, session_decider
from bench.sparse_sheets import EVENTS, LAYERS, PATCH, conv_sheets, sheet_samples, sparse_sheets
from neuroasync import Decision

__all__ = ["measure"]

_SIDES = {"1 k": PATCH, "1 M": 500}
_BASELINE = "conv, 1 k neurons, clustered"


async def measure(scale: Scale) -> Result:
    """Time the same activity in 1,024 and in 1,000,000 neurons, in momentum order, F = 8.

    Ratios refer to the small convolutional network; ``times 1 k`` refers to the small network with
    the same kind of connections and the same placement of events.
    """
    scale = scale.fewer(10)
    contenders, activity = [], {}
    async with AsyncExitStack() as stack:
        for kind, make in (("conv", conv_sheets), ("sparse", sparse_sheets)):
            for size, side in _SIDES.items():
                bundle = as_bundle(make(side), "momentum", GROUP_SIZE)
                for where in ("clustered", "spread"):
                    trains = sheet_samples(side, where, 4)
                    name = f"{kind}, {size} neurons, {where}"
                    session = await open_session(stack, bundle)
                    contenders.append(Contender(name, session_decider(session, trains)))
        timings = await take_turns(contenders, scale.rounds, scale.calls)
    for name, outcomes in timings.outcomes.items():
        activity[name] = [_activity(decision) for decision in outcomes]
    each = EVENTS * TIMESTEPS  # Each event causes one spike in each sheet.
    exact = [(each, each * LAYERS)] * len(activity[_BASELINE])
    checks = [expect_same("(input events, spikes)", {"by construction": exact} | activity)]
    lines = []
    for line in lines_of(timings, _BASELINE):
        small = line.name.replace("1 M", "1 k")
        ratios = timings.ratios(line.name, small)
        figures = {
            "ns/delivered": timings.mean(line.name) * 1e9 / (each + each * LAYERS),
            "times 1 k": float(sorted(ratios)[ratios.size // 2]),
        }
        large = line.name != small
        lines.append(add_figures(line, figures, "times 1 k <= 2.5" if large else ""))
    return Result(
        "neurons",
        "What does a delivered spike cost among 1 M neurons, relative to 1 k?",
        "ms",
        _BASELINE,
        tuple(lines),
        tuple(checks),
    )


def _activity(decision: Decision) -> tuple[int, int]:
    """Return the numbers of input events and of spikes in the sheets, without the readout."""
    return decision.input_events, decision.total_spikes - decision.spikes["output"]
