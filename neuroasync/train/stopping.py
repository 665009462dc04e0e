"""Choosing a stop rule on validation data, in the runtime that will use it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from neuroasync.bundle import Bundle
from neuroasync.metrics import StopPoint, stop_points
from neuroasync.network import Network
from neuroasync.recording import Recording
from neuroasync.spikes import SpikeTrains

__all__ = ["CANDIDATES", "StopChoice", "best_rule", "choose_until"]

CANDIDATES: Final = (
    "first-spike",
    *(f"{rule}({k})" for k in range(2, 9) for rule in ("votes", "margin")),
)
"""Rules that are tried, beside ``quiet``."""


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


def choose_until(bundle: Bundle, validation: SpikeTrains, seed: int, loss: float) -> StopChoice:
    """The rule of the fewest rounds that costs at most ``loss`` of the accuracy of ``quiet``.

    Samples run in the bundle's own order, so this tells nothing about others.

    Args:
        bundle: the trained network.
        validation: samples with labels, one at least, which were not trained on.
        seed: sample i runs with ``sample_seed(seed, i)``.
        loss: of accuracy, 0 to 1.
    """
    recording = asyncio.run(_recorded(bundle, validation, seed))
    best = best_rule(stop_points(recording, ("quiet", *CANDIDATES)), loss)
    accuracy, rounds, spikes = best.accuracy, best.mean("rounds"), best.mean("spikes")
    return StopChoice(best.rule, accuracy or 0.0, rounds or 0.0, spikes or 0.0)


def best_rule(points: Sequence[StopPoint], loss: float) -> StopPoint:
    """That of the fewest rounds, among those which cost at most ``loss`` of accuracy.

    Args:
        points: of some samples, ``quiet`` first; of equals, the first is taken.
        loss: of the accuracy of ``quiet``, 0 to 1.
    """
    least = (points[0].accuracy or 0.0) - loss
    good = [point for point in points if (point.accuracy or 0.0) >= least]
    return min(good, key=lambda point: point.mean("rounds") or 0.0)


async def _recorded(bundle: Bundle, trains: SpikeTrains, seed: int) -> Recording:
    async with Network(bundle) as network:
        recorder = network.recorder()
        await network.decide_all(trains, seed=seed, recorder=recorder)
    return recorder.finish()
