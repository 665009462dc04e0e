"""Stop rules that are fitted to samples: the built-in ones, a free lead per pass, a logistic model.

All rules are evaluated on recordings that ran until quiet. The accuracy that a rule may lose is
counted against the decisions at the end of the same samples.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync import Recording
from neuroasync.core.engine.stop_rules import StopRule, parse_stop_rule
from neuroasync.metrics.calibration import correct_at, rule_sequence
from neuroasync.metrics.trajectory import trajectories
from neuroasync.train.recipes.stop_rule_search import CANDIDATES
from tools.learned_orders.priority import Floats

Ints: TypeAlias = NDArray[np.int64]
_BLOCKS: Final = 12
"""Maximum number of different leads of a rule with free leads."""
_SWEEPS: Final = 6
_FOLDS: Final = 5
_RIDGE: Final = 1.0
"""Weight of the squared coefficients of the logistic model."""
_SAMPLE_WEIGHT: Final = 8.0
"""Weight of a sample in the logistic model, shared by its moments, which are not independent."""
_NEWTON_STEPS: Final = 30


class Outcome(NamedTuple):
    """What samples give and take under a rule: fraction that is right, mean rounds and spikes."""

    accuracy: float
    rounds: float
    spikes: float


class Moments:
    """The moments of samples at which a rule can stop them, as arrays of equal length.

    A sample that has fewer moments than others repeats its last one.

    Attributes:
        known: Trajectories of the samples.
        target: i64[samples], correct classes.
        pass_, rounds, spikes, votes, margin: i64[samples, moments], see ``Trajectory``.
        correct: bool[samples, moments], whether the leading class is correct.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.known = [t for recording in recordings for t in trajectories(recording)]
        self.target = np.concatenate([recording.target for recording in recordings])
        length = max(t.rounds.size for t in self.known)
        self.pass_, self.rounds, self.spikes, self.votes, self.margin, label = (
            np.array([_padded(getattr(t, name), length) for t in self.known])
            for name in ("pass_", "rounds", "spikes", "votes", "margin", "label")
        )
        self.correct = label == self.target[:, None]

    def __len__(self) -> int:
        return len(self.known)

    def first(self, met: NDArray[np.bool_], rows: Ints) -> Ints:
        """Return the moment of each row at which ``met`` first holds, or else the last one."""
        last = self.rounds.shape[1] - 1
        chosen = met[rows]
        return np.where(chosen.any(1), chosen.argmax(1), last)

    def outcome(self, met: NDArray[np.bool_], rows: Ints) -> Outcome:
        """Return the outcome of a rule on some samples."""
        at = self.first(met, rows)
        values = (self.correct[rows, at], self.rounds[rows, at], self.spikes[rows, at])
        return Outcome(*(float(value.mean()) for value in values))

    def min_correct(self, rows: Ints, loss: float) -> int:
        """Return how many of the rows a rule must decide correctly."""
        return math.ceil(int(self.correct[rows, -1].sum()) - loss * rows.size - 1e-9)


def _padded(values: Ints, length: int) -> Ints:
    return np.pad(values, (0, length - values.size), mode="edge")


Rule: TypeAlias = Callable[[Moments], NDArray[np.bool_]]
"""A rule: whether it stops a sample, for each sample and moment."""


def quiet(moments: Moments) -> NDArray[np.bool_]:
    """Never stop a sample early."""
    return np.zeros(moments.rounds.shape, np.bool_)


def built_in(moments: Moments, rows: Ints, loss: float) -> Rule:
    """Choose a rule as recipes and the study do; see ``choose_until``."""
    known = [moments.known[k] for k in rows]
    sequence = rule_sequence(known, correct_at(known, moments.target[rows]))
    falling = StopRule("margin", sequence.boldest(moments.min_correct(rows, loss))[0])
    parsed = [parse_stop_rule(name) for name in CANDIDATES]
    rules = [quiet, *(_rule(rule) for rule in (*parsed, falling) if isinstance(rule, StopRule))]
    return _fewest_rounds(moments, rows, loss, rules)


def _rule(rule: StopRule) -> Rule:
    """Return a built-in rule as a function of moments."""
    if rule.name == "margin":
        return _lead_rule(np.array(rule.arguments))
    votes = rule.arguments[0] if rule.arguments else 1
    return lambda moments: moments.votes >= votes


def _lead_rule(leads: Ints) -> Rule:
    """Return the rule that requires a lead for each pass; the last one holds for later passes."""
    return lambda m: m.margin >= leads[np.clip(m.pass_, 0, leads.size - 1)]


def _fewest_rounds(moments: Moments, rows: Ints, loss: float, rules: Sequence[Rule]) -> Rule:
    """Return the rule with the fewest rounds among those that decide enough rows correctly."""
    allowed = moments.min_correct(rows, loss) / rows.size
    outcomes = [moments.outcome(rule(moments), rows) for rule in rules]
    costs = [o.rounds if o.accuracy >= allowed - 1e-9 else np.inf for o in outcomes]
    return rules[int(np.argmin(costs))]


def free_leads(moments: Moments, rows: Ints, loss: float) -> Rule:
    """Fit a lead for each pass, which need not fall, by coordinate descent.

    It starts from the best lead that is the same in all passes. Then it changes one lead, or lowers
    one and raises another, as long as this takes fewer rounds and enough samples are correct.
    Sample durations differ, so long samples share a lead among neighbouring passes.
    """
    passes, max_lead = int(moments.pass_[rows].max()) + 1, int(moments.margin[rows].max()) + 1
    width = -(-passes // _BLOCKS)
    blocks = -(-passes // width)

    def rule(leads: Ints) -> Rule:
        return _lead_rule(np.repeat(leads, width))

    def rounds(leads: Ints) -> float:
        outcome = moments.outcome(rule(leads)(moments), rows)
        return outcome.rounds if outcome.accuracy >= allowed - 1e-9 else np.inf

    allowed = moments.min_correct(rows, loss) / rows.size
    constant = [np.full(blocks, lead) for lead in range(1, max_lead + 1)]
    leads = min(constant, key=rounds)
    best = rounds(leads)
    for _ in range(_SWEEPS):
        before = best
        for change in _changes(blocks):
            changed = np.clip(leads + change, 1, max_lead)
            if (value := rounds(changed)) < best:
                best, leads = value, changed
        if best == before:
            break
    return rule(leads)


def _changes(blocks: int) -> list[Ints]:
    """Return the changes that coordinate descent tries: of one lead, then of two."""
    one = np.eye(blocks, dtype=np.int64)
    pairs = [(i, j) for i in range(blocks) for j in range(blocks) if i != j]
    return [
        *(step * row for row in one for step in (-3, -2, -1, 1)),
        *(up * one[j] - one[i] for i, j in pairs for up in (1, 2)),
    ]


def logistic(moments: Moments, rows: Ints, loss: float) -> Rule:
    """Fit a logistic model of whether the leading class is correct, and a threshold for it.

    The threshold is the lowest with which enough samples are decided correctly, where each fifth of
    the samples is decided by a model that was fitted to the others.
    """
    probability = np.zeros(moments.rounds.shape)
    shuffled = np.random.default_rng(0).permutation(rows)
    for fold in range(_FOLDS):
        held = shuffled[fold::_FOLDS]
        model = _fit(moments, np.setdiff1d(rows, held))
        probability[held] = _probability(model, moments)[held]
    threshold = _threshold(moments, rows, probability, moments.min_correct(rows, loss))
    model = _fit(moments, rows)
    return lambda other: _probability(model, other) >= threshold


def _threshold(moments: Moments, rows: Ints, probability: Floats, min_correct: int) -> float:
    """Return the threshold with the fewest rounds that decides enough rows correctly."""
    highest = np.maximum.accumulate(probability[rows], axis=1)
    candidates = np.append(np.quantile(highest[highest > 0], np.linspace(0, 1, 400)), 2.0)
    costs = []
    for threshold in candidates:
        outcome = moments.outcome(probability >= threshold, rows)
        is_enough = outcome.accuracy * rows.size >= min_correct - 1e-6
        costs.append(outcome.rounds if is_enough else np.inf)
    return float(candidates[int(np.argmin(costs))])


class _Model(NamedTuple):
    mean: Floats
    spread: Floats
    coefficients: Floats


def _inputs(m: Moments) -> Floats:
    """Return f64[samples, moments, inputs] of the logistic model; the first one is constant."""
    margin, votes, passes = m.margin.astype(float), m.votes.astype(float), m.pass_.clip(0) / 10
    columns = [
        np.ones_like(margin), margin, np.sqrt(margin), margin / votes.clip(1), np.log1p(votes),
        passes, margin * passes, np.log1p(m.spikes), np.log1p(m.rounds),
    ]  # fmt: skip
    return np.stack(columns, axis=2)


def _fit(m: Moments, rows: Ints) -> _Model:
    """Fit the model by Newton's method to all moments of some samples that have a vote."""
    is_used = np.zeros(m.rounds.shape, np.bool_)
    for k in rows:
        is_used[k, : m.known[k].rounds.size] = m.known[k].votes > 0
    x, y = _inputs(m)[is_used], m.correct[is_used].astype(float)
    weight = (_SAMPLE_WEIGHT / is_used.sum(1, keepdims=True).clip(1)).repeat(is_used.shape[1], 1)
    weight = weight[is_used]
    mean, spread = x.mean(0), x.std(0) + 1e-9
    mean[0], spread[0] = 0, 1
    z, b = (x - mean) / spread, np.zeros(x.shape[1])
    ridge = _RIDGE * np.eye(b.size)
    ridge[0, 0] = 1e-3
    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(z @ b)
        gradient = z.T @ (weight * (p - y)) + ridge @ b
        step = np.linalg.solve((z * (weight * p * (1 - p))[:, None]).T @ z + ridge, gradient)
        b -= step
        if np.abs(step).max() < 1e-6:
            break
    return _Model(mean, spread, b)


def _probability(model: _Model, m: Moments) -> Floats:
    """Return f64[samples, moments], the probability that the leading class is correct."""
    z = (_inputs(m) - model.mean) / model.spread
    return np.where(m.votes > 0, _sigmoid(z @ model.coefficients), 0.0)


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


Fitter: TypeAlias = Callable[[Moments, Ints, float], Rule]
FITTERS: Final[dict[str, Fitter]] = {
    "built-in": built_in,
    "free leads": free_leads,
    "logistic": logistic,
}
"""How each kind of rule is fitted: to rows of moments, with the accuracy that it may lose."""


def rounds_before_last_pass(moments: Moments, rule: Rule) -> float:
    """Return the mean rounds that samples take before the pass in which a rule stops them."""
    rows = np.arange(len(moments))
    at = moments.first(rule(moments), rows)
    is_earlier = moments.pass_ < moments.pass_[rows, at][:, None]
    return float(np.where(is_earlier, moments.rounds, 0).max(1).mean())
