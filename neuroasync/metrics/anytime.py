"""How good an earlier answer would have been: accuracy against what had been spent.

The leading class may change until the last spike, so *when it first led* is not enough: these
numbers are worked out from recordings of whole samples (``until="quiet"``), step by step. What is
spent is counted in spikes (of all populations), forward steps or rounds; an answer can be given
after each input group and each forward step, where stop rules are asked, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.stop_rules import StopRule, parse_stop_rule
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import StopRuleError
from neuroasync.metrics.trajectory import UNITS, Trajectory, trajectories

__all__ = ["AnytimeCurve", "StopPoint", "Unit", "anytime_curve", "stop_points"]

Unit: TypeAlias = Literal["spikes", "steps", "rounds"]
"""What is spent."""


@dataclass(frozen=True, slots=True, eq=False)
class AnytimeCurve:
    """Accuracy, had every sample had to answer once it had spent a budget.

    A sample that is over sooner keeps its answer.

    Attributes:
        unit: ``"spikes"``, ``"steps"`` or ``"rounds"``.
        budget: i64[budgets], ascending.
        accuracy: f64[budgets], share of samples whose class leads after the last forward step by
            which they have spent no more than the budget. No vote yet is wrong.
        answered: f64[budgets], share of samples with a vote by then.
    """

    unit: Unit
    budget: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    answered: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StopPoint:
    """Where a stop rule would have ended each sample.

    Attributes:
        rule: as it is written.
        target: i64[samples], the right class.
        label: i64[samples], what would have been decided; -1 for nothing.
        stopped: bool[samples]; the others ran to their end.
        spikes, steps, rounds: i64[samples], spent by then.
    """

    rule: str
    target: NDArray[np.int64]
    label: NDArray[np.int64]
    stopped: NDArray[np.bool_]
    spikes: NDArray[np.int64]
    steps: NDArray[np.int64]
    rounds: NDArray[np.int64]

    @property
    def accuracy(self) -> float | None:
        """Share of samples whose label is right; None without samples."""
        return float((self.label == self.target).mean()) if self.target.size else None

    def mean(self, unit: Unit) -> float | None:
        """Mean of what the samples spent; None without samples.

        Raises:
            ValueError: ``unit`` is none of ``"spikes"``, ``"steps"``, ``"rounds"``.
        """
        spent = getattr(self, _checked(unit))
        return float(spent.mean()) if spent.size else None


def anytime_curve(
    recording: Recording, unit: Unit, budgets: Sequence[int] | None = None
) -> AnytimeCurve:
    """The anytime curve of a recording.

    Args:
        recording: of whole samples (``until="quiet"``) whose right classes are known.
        unit: what is spent: ``"spikes"``, ``"steps"`` or ``"rounds"``.
        budgets: from 0, ascending; without, all at which some sample's answer changes, 0, and
            what the most expensive sample took.

    Raises:
        RecordingError: the recording is of another kind.
        ValueError: the unit is another, or budgets do not ascend from 0.
    """
    _checked(unit)
    pairs = zip(trajectories(recording), recording.target.tolist(), strict=True)
    changes = [_changes(t, unit, target) for t, target in pairs]
    at, right, answered = np.concatenate([np.zeros((3, 1), np.int64), *changes], axis=1)
    if budgets is None:
        budget = np.unique(at)
    else:
        budget = np.asarray(budgets, np.int64).reshape(-1)
        if (np.diff(budget, prepend=0) < 0).any():
            raise ValueError(f"budgets: {budgets!r:.80}, expected numbers that ascend from 0")
    order = np.argsort(at, kind="stable")
    last = np.searchsorted(at[order], budget, side="right") - 1
    samples = max(len(recording), 1)
    return AnytimeCurve(
        unit=unit,
        budget=budget,
        accuracy=np.cumsum(right[order])[last] / samples,
        answered=np.cumsum(answered[order])[last] / samples,
    )


def stop_points(recording: Recording, rules: Iterable[str | StopRule]) -> tuple[StopPoint, ...]:
    """Where stop rules would have ended the samples of a recording, exactly.

    A rule changes nothing before it stops a sample, so one recording answers for all rules.

    Args:
        recording: of whole samples (``until="quiet"``) whose right classes are known.
        rules: built-in ones; ``"quiet"`` is the whole samples.

    Raises:
        RecordingError: the recording is of another kind.
        StopRuleError: there is no such rule, or it is a function of yours.
    """
    known = trajectories(recording)
    return tuple(_stop_point(recording, known, rule) for rule in map(_rule, rules))


def _rule(rule: str | StopRule) -> StopRule:
    parsed = parse_stop_rule(rule)
    if not isinstance(parsed, StopRule):
        raise StopRuleError(
            f"rules: {rule!r:.80} is a function, expected a built-in rule; for your own, run it"
        )
    return parsed


def _stop_point(recording: Recording, known: Sequence[Trajectory], rule: StopRule) -> StopPoint:
    met = [_is_met(t, rule) for t in known]
    stopped = np.array([m.any() for m in met], np.bool_)
    at = [int(np.argmax(m)) if m.any() else m.size - 1 for m in met]
    columns = ("label", *UNITS)
    picked = {
        name: np.array([getattr(t, name)[k] for t, k in zip(known, at, strict=True)], np.int64)
        for name in columns
    }
    return StopPoint(str(rule), recording.target, stopped=stopped, **picked)


def _is_met(t: Trajectory, rule: StopRule) -> NDArray[np.bool_]:
    """bool[moments], whether ``rule`` says stop."""
    voted: NDArray[np.bool_] = t.votes > 0
    met: NDArray[np.bool_]
    match rule.name:
        case "first-spike":
            met = voted
        case "votes":
            met = t.votes >= rule.arguments[0]
        case "margin":
            leads = np.array(rule.arguments)
            lead = leads[np.clip(t.pass_, 0, leads.size - 1)]
            met = (lead > 0) & (t.margin >= lead)
        case "steps":
            first = t.steps[np.argmax(voted)]
            met = voted & (t.steps - first >= rule.arguments[0])
        case _:
            met = np.zeros_like(voted)
    return met


def _changes(t: Trajectory, unit: Unit, target: int) -> NDArray[np.int64]:
    """By how much a sample's being right, and having answered, changes at what it has spent.

    Returns:
        i64[3, changes]: spent, change in being right, change in having answered.
    """
    spent: NDArray[np.int64] = getattr(t, unit)
    last = np.append(spent[1:] != spent[:-1], True)  # what is spent no more counts for all before
    label = t.label[last]
    right = np.diff((label == target).astype(np.int64), prepend=0)
    answered = np.diff((label >= 0).astype(np.int64), prepend=0)
    changes = np.stack((spent[last], right, answered))
    kept = (right != 0) | (answered != 0)
    kept[-1] = True
    return changes[:, kept]


def _checked(unit: str) -> str:
    if unit not in UNITS:
        raise ValueError(f"unit: {unit!r:.80}, expected one of {', '.join(UNITS)}")
    return unit
