"""Measurement of learned orders and learned stop rules, for one data set and seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from neuroasync import Bundle, Recording, read_bundle
from neuroasync.core.engine.policies import Policy
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.study.design.builtin_cases import CASES
from neuroasync.study.design.stop_rules import ONE_POINT
from neuroasync.study.run.samples import StudySamples
from tools.learned_orders.priority import Floats, LearnedPriority, features
from tools.learned_orders.search import (
    evolve,
    frontier,
    policy_of,
    record,
    rounds_at,
    rounds_of,
)
from tools.learned_orders.stops import (
    FITTERS,
    Fitter,
    Moments,
    built_in,
    quiet,
    rounds_before_last_pass,
)

TRAINING: Final = "unlayered-any"
_FEATURE_SAMPLES: Final = 1000
_SPLITS: Final = 8
"""Random halves of the samples on which the rules are compared again."""
_LOSSES: Final = (0.0, 0.01, 0.02)
"""Accuracy that rules may lose on one half of the samples."""
BUILT_IN: Final = {"random": "random", "momentum": "momentum", "fifo": "fifo"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A network of the study with its samples, all up to the end of the bundle."""

    bundle: Bundle
    train: SpikeTrains
    validation: SpikeTrains
    test: SpikeTrains
    seed: int

    def recordings(self, policy: str | Policy) -> list[Recording]:
        """Record the validation samples and the held-out samples."""
        return [
            record(self.bundle, part, policy, self.seed) for part in (self.validation, self.test)
        ]


def read_subject(study: Path, case: str, training: str, seed: int, data: str) -> Subject:
    """Read a network of a study, and the samples of its seed."""
    bundle = read_bundle(study / "bundles" / f"{case}-{training}-{seed}.nab")
    dataset = StudySamples(CASES[case], data).of_seed(seed).dataset
    train, validation, test = (
        part.before(bundle.duration_us)
        for part in (dataset.train, dataset.validation, dataset.test)
    )
    return Subject(bundle, train, validation, test, seed)


def measure(
    study: Path, case: str, seed: int, data: str, *, searched: int, generations: int
) -> dict[str, Any]:
    """Measure the orders and the stop rules of a data set and seed.

    Args:
        study: Output folder of the study.
        case: Name of the data set's case.
        seed: Seed of the study.
        data: Folder of the data sets.
        searched: Number of samples on which candidates of the search run; with 0, nothing is
            learned.
        generations: Number of generations of the search.
    """
    subject = read_subject(study, case, TRAINING, seed, data)
    layered = read_subject(study, case, "layered", seed, data)
    learned = learn(subject, searched, generations) if searched else unlearned(subject)
    policies: dict[str, str | Policy] = {**BUILT_IN, **learned.policies}
    recordings = {name: subject.recordings(policy) for name, policy in policies.items()}
    baseline = layered.recordings("layer-sync")
    stops = {"layered, layer-sync": baseline, "unlayered-any, random": recordings["random"]}
    return {
        "orders": _orders(recordings) | {"layered": _order(baseline)},
        "stops": {name: _stops(parts) for name, parts in stops.items()} if searched else {},
        "weights": learned.weights.tolist(),
        "trained": learned.trained,
    }


class Learned(NamedTuple):
    """Learned orders of a network.

    Attributes:
        policies: The orders by name.
        weights: f64[features + 3], the weights that the search found.
        trained: Rounds of each order, learned or built in, on the samples of the search, at the
            accuracy of random order with its rule.
    """

    policies: dict[str, LearnedPriority]
    weights: Floats
    trained: dict[str, float]


def unlearned(subject: Subject) -> Learned:
    """Return the order without parameters alone; ties go to the lower neuron."""
    by_number = LearnedPriority(np.zeros(subject.bundle.model.size), np.zeros(3))
    return Learned({"by number": by_number}, np.zeros(0), {})


def learn(subject: Subject, searched: int, generations: int) -> Learned:
    """Learn priorities from training samples.

    Args:
        subject: The network.
        searched: Number of samples on which candidates of the search run.
        generations: Number of generations of the search.
    """
    known = subject.train[:_FEATURE_SAMPLES]
    recording = record(subject.bundle, known, "random", subject.seed)
    rows = features(subject.bundle, recording, known, subject.seed)
    output = subject.bundle.model.index(subject.bundle.model.output)
    populations = len(subject.bundle.model.populations)
    last = rows.shape[0] - populations + output
    by_gradient = np.zeros(rows.shape[0] + 3)
    # The first feature is the fall of the loss. Spikes of the output reach no neuron.
    by_gradient[[0, last]] = 1, -10
    # Other samples than those that the features were computed from, if there are enough.
    others = subject.train[_FEATURE_SAMPLES : _FEATURE_SAMPLES + searched]
    samples = others if len(others) == searched else subject.train[:searched]
    accuracy = _accuracy_of_the_rule(subject, samples)

    def cost(weights: Floats) -> float:
        policy = policy_of(weights, rows)
        return rounds_of(record(subject.bundle, samples, policy, subject.seed), accuracy)

    found, _ = evolve(cost, by_gradient, generations, subject.seed)
    policies = unlearned(subject).policies | {
        "by gradient": policy_of(by_gradient, rows),
        "searched": policy_of(found, rows),
    }
    orders: dict[str, str | Policy] = {**BUILT_IN, **policies}
    trained = {
        name: rounds_of(record(subject.bundle, samples, policy, subject.seed), accuracy)
        for name, policy in orders.items()
    }
    return Learned(policies, found, trained)


def _accuracy_of_the_rule(subject: Subject, samples: SpikeTrains) -> float:
    """Return the accuracy on training samples of the rule that is chosen in random order.

    Networks are more accurate on samples that they were trained on. Orders are therefore compared
    where the rule of the validation samples stops, and not where it costs a point there.
    """
    recordings = [
        record(subject.bundle, part, "random", subject.seed)
        for part in (subject.validation, samples)
    ]
    validation, trained = (Moments([recording]) for recording in recordings)
    rule = built_in(validation, np.arange(len(validation)), ONE_POINT)
    return trained.outcome(rule(trained), np.arange(len(trained))).accuracy


def _orders(recordings: dict[str, list[Recording]]) -> dict[str, dict[str, float]]:
    """Return each order with its own rule, and its rounds at the same accuracy as the others.

    The latter has no choice on held-out samples but that of the rule, which is made alike for all
    orders: it is the accuracy of random order until quiet, less one point.
    """
    both = Moments(recordings["random"])
    accuracy = float(both.correct[:, -1].mean()) - ONE_POINT
    return {
        name: _order(parts) | {"rounds at equal accuracy": _pooled(parts, accuracy)}
        for name, parts in recordings.items()
    }


def _pooled(parts: list[Recording], accuracy: float) -> float:
    both = Moments(parts)
    return rounds_at(frontier(both.known, both.target), accuracy)


def _order(parts: list[Recording]) -> dict[str, float]:
    validation, test = (Moments([part]) for part in parts)
    rule = built_in(validation, np.arange(len(validation)), ONE_POINT)
    rows = np.arange(len(test))
    whole, stopped = (test.outcome(r(test), rows) for r in (quiet, rule))
    before = rounds_before_last_pass(test, rule)
    return {**stopped._asdict(), "quiet": whole.accuracy, "before the last pass": before}


def _stops(parts: list[Recording]) -> dict[str, dict[str, Any]]:
    """Return the outcome of each kind of rule, on held-out samples and on random halves."""
    validation, test = (Moments([part]) for part in parts)
    both = Moments(parts)
    results = {}
    for name, fit in FITTERS.items():
        rule = fit(validation, np.arange(len(validation)), ONE_POINT)
        held = test.outcome(rule(test), np.arange(len(test)))._asdict()
        split = _on_halves(fit, both)
        results[name] = {"held out": held, "halves": split}
    return results


def _on_halves(fit: Fitter, both: Moments) -> list[dict[str, float]]:
    """Return what rules lose and take on one half of the samples, if fitted to the other.

    A rule with many parameters loses more on other samples than on those that it was fitted to.
    The rules are therefore fitted for several nominal losses, and compared at the same actual loss.
    """
    generator = np.random.default_rng(0)
    halves = [np.array_split(generator.permutation(len(both)), 2) for _ in range(_SPLITS)]
    results = []
    for loss in _LOSSES:
        outcomes = []
        for chosen, others in halves:
            outcome = both.outcome(fit(both, chosen, loss)(both), others)
            lost = float(both.correct[others, -1].mean()) - outcome.accuracy
            outcomes.append((lost, outcome.rounds, outcome.spikes))
        values = np.mean(outcomes, axis=0).tolist()
        results.append(dict(zip(("lost", "rounds", "spikes"), values, strict=True)))
    return results
