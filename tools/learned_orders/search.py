"""Search for the priority with which a network answers soonest, on its training samples."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync import Bundle, Network, Recording
from neuroasync.core.engine.policies import Policy
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.metrics.calibration import correct_at, rule_sequence
from neuroasync.metrics.trajectory import Trajectory, trajectories
from neuroasync.study.design.case import GROUP_SIZE
from tools.learned_orders.priority import Floats, LearnedPriority

_DYNAMIC: Final = 3
_POPULATION: Final = 12
"""Candidates of each generation."""
_WEIGHTS: Final = np.array([0.4, 0.3, 0.2, 0.1])
"""Weights of the best candidates in the mean of the next generation."""
_MEMORY: Final = 0.6
"""Share of the variance that each generation takes from the one before."""
_PENALTY: Final = 300.0
"""Rounds for each unit of accuracy that no rule reaches."""


class Frontier(NamedTuple):
    """Mean rounds and accuracy of all rules with a falling lead: f64[rules] each."""

    rounds: Floats
    accuracy: Floats


def record(bundle: Bundle, samples: SpikeTrains, policy: str | Policy, seed: int) -> Recording:
    """Record samples until quiet, with input first."""
    return asyncio.run(_record(bundle, samples, policy, seed))


async def _record(
    bundle: Bundle, samples: SpikeTrains, policy: str | Policy, seed: int
) -> Recording:
    network = Network(
        bundle, policy=policy, group_size=GROUP_SIZE, input="prioritised", until="quiet"
    )
    async with network:
        recorder = network.recorder()
        await network.decide_all(samples, seed=seed, recorder=recorder)
    return recorder.finish()


def frontier(known: list[Trajectory], target: NDArray[np.int64]) -> Frontier:
    """Return what each rule with a falling lead takes, and how often it is right."""
    correct = rule_sequence(known, correct_at(known, target))
    rounds = rule_sequence(known, [t.rounds for t in known])
    at = np.unique(np.concatenate(([-1], correct.at, rounds.at)))
    totals = [s.total[np.searchsorted(s.at, at, side="right")] for s in (rounds, correct)]
    return Frontier(*(total / len(known) for total in totals))


def rounds_at(frontier: Frontier, accuracy: float) -> float:
    """Return the rounds at an accuracy, on the upper hull of the frontier.

    A point between two rules of the hull is reached by using each for a part of the samples.
    """
    hull: list[tuple[float, float]] = []
    order = np.lexsort((-frontier.accuracy, frontier.rounds))
    for x, y in zip(frontier.rounds[order], frontier.accuracy[order], strict=True):
        if hull and y <= hull[-1][1]:
            continue
        while len(hull) > 1 and _is_below(hull[-1], hull[-2], (x, y)):
            hull.pop()
        hull.append((x, y))
    rounds, accuracies = zip(*hull, strict=True)
    missing = max(accuracy - accuracies[-1], 0.0)
    return float(np.interp(accuracy, accuracies, rounds) + _PENALTY * missing)


def _is_below(
    point: tuple[float, float], left: tuple[float, float], right: tuple[float, float]
) -> bool:
    """Return whether a point lies on or below the line from ``left`` to ``right``."""
    rise = (point[1] - left[1]) * (right[0] - left[0])
    return rise <= (right[1] - left[1]) * (point[0] - left[0])


def policy_of(weights: Floats, features: Floats) -> LearnedPriority:
    """Return the policy of f64[features + 3] weights: of the features, then the dynamic ones."""
    return LearnedPriority(weights[:-_DYNAMIC] @ features, weights[-_DYNAMIC:])


def evolve(
    cost: Callable[[Floats], float], start: Floats, generations: int, seed: int
) -> tuple[Floats, float]:
    """Minimise a cost by an evolution strategy with one step size for each weight.

    Each generation draws its candidates around the mean of the best ones of the generation before.

    Args:
        cost: Cost of weights.
        start: f64[n], weights to start from; they are a candidate of the first generation.
        generations: Number of generations.
        seed: Seed of the candidates.

    Returns:
        The best weights, and their cost.
    """
    generator = np.random.default_rng(seed)
    mean, spread, best = start, np.full(start.size, 0.5), (start, np.inf)
    for _ in range(generations):
        noise = generator.standard_normal((_POPULATION, start.size))
        noise[0] = 0
        candidates = mean + spread * noise
        costs = np.array([cost(weights) for weights in candidates])
        order = np.argsort(costs, kind="stable")[: _WEIGHTS.size]
        if costs[order[0]] < best[1]:
            best = candidates[order[0]], float(costs[order[0]])
        elite = candidates[order]
        variance = _WEIGHTS @ (elite - mean) ** 2
        spread = np.sqrt(_MEMORY * spread**2 + (1 - _MEMORY) * variance)
        mean = _WEIGHTS @ elite
    return best


def rounds_of(recording: Recording, accuracy: float) -> float:
    """Return the rounds that a recording takes at an accuracy, with the best falling lead."""
    return rounds_at(frontier(list(trajectories(recording)), recording.target), accuracy)
