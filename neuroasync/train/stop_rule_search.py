"""Stop rules for a trained network, by validation samples that the runtime has run once."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Bundle, Scalar
from neuroasync.core.recording.recording import Recording
from neuroasync.metrics import StopPoint, boldest_lead, calibrate, stop_points
from neuroasync.runtime.network import Network

__all__ = [
    "CANDIDATES",
    "best_rule",
    "choose_until",
    "falling_lead",
    "with_stop_rules",
]

CANDIDATES: Final = (
    "first-spike",
    *(f"{rule}({k})" for k in range(2, 9) for rule in ("votes", "margin")),
)
"""Rules that are tried, beside ``quiet`` and a lead that falls from pass to pass."""
_MAX_SAMPLES: Final = 1000
"""So many tell rules apart to a point or two, and their recording fits in memory."""


def with_stop_rules(bundle: Bundle, validation: SpikeTrains, seed: int, loss: float) -> Bundle:
    """The bundle with a stop rule in its meta, ``until``, and calibrations for ``confidence(p)``.

    Samples run in the bundle's own order, so this tells nothing about others.

    Args:
        bundle: the trained network.
        validation: samples with labels, one at least, which were not trained on; the first 1,000
            are used.
        seed: sample i runs with ``sample_seed(seed, i)``.
        loss: of accuracy, 0 to 1, that the rule may cost.
    """
    recording = asyncio.run(_record(bundle, validation[:_MAX_SAMPLES], seed))
    chosen = choose_until(recording, loss)
    said: dict[str, Scalar] = {
        "until": chosen.rule,
        "until_validation_accuracy": chosen.accuracy,
        "until_validation_rounds": chosen.mean("rounds"),
        "until_validation_spikes": chosen.mean("spikes"),
    }
    return replace(bundle, meta={**bundle.meta, **said}, calibration=calibrate(recording))


def choose_until(recording: Recording, loss: float) -> StopPoint:
    """The rule of the fewest rounds that costs at most ``loss`` of the accuracy of ``quiet``.

    Args:
        recording: of whole samples whose right classes are known, at least one.
        loss: of accuracy, 0 to 1.
    """
    rules = ("quiet", *CANDIDATES, falling_lead(recording, loss))
    return best_rule(stop_points(recording, rules), loss)


def falling_lead(recording: Recording, loss: float) -> str:
    """The boldest lead that falls from pass to pass and costs at most ``loss``, as a rule.

    Args:
        recording: of whole samples whose right classes are known, at least one.
        loss: of accuracy, 0 to 1.
    """
    right = int((recording.label == recording.target).sum())
    return str(boldest_lead(recording, _least(right, loss, len(recording))))


def best_rule(points: Sequence[StopPoint], loss: float) -> StopPoint:
    """That of the fewest rounds, among those which cost at most ``loss`` of accuracy.

    Args:
        points: of some samples, ``quiet`` first; of equals, the first is taken.
        loss: of the accuracy of ``quiet``, 0 to 1.
    """
    right = [int((point.label == point.target).sum()) for point in points]
    least = _least(right[0], loss, points[0].target.size)
    good = [point for point, n in zip(points, right, strict=True) if n >= least]
    return min(good, key=lambda point: int(point.rounds.sum()))


def _least(right: int, loss: float, samples: int) -> int:
    """How many samples must be right, where whole samples are ``right`` times."""
    return max(math.ceil(right - loss * samples - 1e-9), 0)


async def _record(bundle: Bundle, samples: SpikeTrains, seed: int) -> Recording:
    network = Network(bundle)
    recorder = network.recorder()
    async with network:
        await network.decide_all(samples, seed=seed, recorder=recorder)
    return recorder.finish()
