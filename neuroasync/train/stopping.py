"""Stop rules for a trained network, by validation samples that the runtime has run once."""

import asyncio
import math
from dataclasses import dataclass, replace
from typing import Final

from neuroasync.bundle import Bundle, Scalar
from neuroasync.decision import StopRule
from neuroasync.metrics import calibrate, stop_points
from neuroasync.metrics._trajectory import trajectories
from neuroasync.metrics.calibration import walk_of
from neuroasync.network import Network
from neuroasync.recording import Recording
from neuroasync.spikes import SpikeTrains

__all__ = ["CANDIDATES", "StopChoice", "choose_until", "with_stop_rules"]

CANDIDATES: Final = (
    "first-spike",
    *(f"{rule}({k})" for k in range(2, 9) for rule in ("votes", "margin")),
)
"""Rules that are tried, beside ``quiet`` and a lead that falls from pass to pass."""
_MOST_SAMPLES: Final = 1000
"""So many tell rules apart to a point or two, and their recording fits in memory."""


@dataclass(frozen=True, slots=True)
class StopChoice:
    """A stop rule, and what it came to on the data that it was chosen on.

    Attributes:
        until: the rule.
        accuracy: part of the samples that was decided correctly, 0 to 1.
        rounds: per sample.
        spikes: per sample.
    """

    until: str
    accuracy: float
    rounds: float
    spikes: float


def with_stop_rules(bundle: Bundle, validation: SpikeTrains, seed: int, loss: float) -> Bundle:
    """The bundle with a stop rule in its meta, ``until``, and calibrations for ``confidence(p)``.

    Samples run in the bundle's own order, so this tells nothing about others.

    Args:
        bundle: the trained network.
        validation: samples with labels, which were not trained on; the first 1,000 are used.
        seed: sample i runs with ``sample_seed(seed, i)``.
        loss: of accuracy, 0 to 1, that the rule may cost.
    """
    recording = asyncio.run(_record(bundle, validation[:_MOST_SAMPLES], seed))
    chosen = choose_until(recording, loss)
    said: dict[str, Scalar] = {
        "until": chosen.until,
        "until_validation_accuracy": chosen.accuracy,
        "until_validation_rounds": chosen.rounds,
        "until_validation_spikes": chosen.spikes,
    }
    return replace(bundle, meta={**bundle.meta, **said}, calibration=calibrate(recording))


def choose_until(recording: Recording, loss: float) -> StopChoice:
    """The rule of the fewest rounds that costs at most ``loss`` of the accuracy of ``quiet``.

    Args:
        recording: of whole samples whose right classes are known, at least one.
        loss: of accuracy, 0 to 1.
    """
    walk, samples = walk_of(trajectories(recording), recording.target), len(recording)
    least = math.ceil(int(walk.right[0]) - loss * samples - 1e-9)
    falling = StopRule("margin", walk.boldest(max(least, 0))[0])
    points = stop_points(recording, ("quiet", *CANDIDATES, falling))
    right = [int((point.label == point.target).sum()) for point in points]
    good = [point for point, n in zip(points, right, strict=True) if n >= least]
    best = min(good, key=lambda point: int(point.rounds.sum()))
    return StopChoice(
        best.rule,
        float((best.label == best.target).mean()),
        float(best.rounds.mean()),
        float(best.spikes.mean()),
    )


async def _record(bundle: Bundle, samples: SpikeTrains, seed: int) -> Recording:
    network = Network(bundle)
    recorder = network.recorder()
    async with network:
        await network.decide_all(samples, seed=seed, recorder=recorder)
    return recorder.finish()
