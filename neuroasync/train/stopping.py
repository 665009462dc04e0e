"""Choosing a stop rule on validation data, in the runtime that will use it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from neuroasync.bundle import Bundle
from neuroasync.kernels.order import sample_seed
from neuroasync.network import Network
from neuroasync.spikes import SpikeTrains

__all__ = ["CANDIDATES", "StopChoice", "choose_until"]

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
        validation: samples with labels, which were not trained on.
        seed: sample i runs with ``sample_seed(seed, i)``.
        loss: of accuracy, 0 to 1.
    """
    quiet, *others = asyncio.run(_try_all(bundle, validation, seed, ("quiet", *CANDIDATES)))
    good = [choice for choice in others if choice.accuracy >= quiet.accuracy - loss]
    return min((quiet, *good), key=lambda choice: choice.rounds)


async def _try_all(
    bundle: Bundle, trains: SpikeTrains, seed: int, rules: Iterable[str]
) -> list[StopChoice]:
    choices = []
    async with Network(bundle) as network:
        for until in rules:
            decisions = [
                await network.decide(train, seed=sample_seed(seed, i), until=until)
                for i, train in enumerate(trains)
            ]
            correct = np.array([-1 if d.label is None else d.label for d in decisions])
            choices.append(
                StopChoice(
                    until,
                    float(np.mean(correct == trains.labels)),
                    float(np.mean([d.rounds for d in decisions])),
                    float(np.mean([d.total_spikes for d in decisions])),
                )
            )
    return choices
