"""Accuracy of earlier answers against the spikes, forward steps or rounds spent on them.

The leading class may change until the last spike, so the moment at which it *first* led is not
enough. These metrics are computed step by step from recordings of samples that ran to their end
(``until="quiet"``). An answer can be given after each input group and each forward step. These are
also the moments at which stop rules are evaluated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.stop_rules import StopRule, parse_stop_rule
from neuroasync.core.events.event_checks import int64_array
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import StopRuleError
from neuroasync.metrics.trajectory import UNITS, Trajectory, trajectories

__all__ = ["AnytimeCurve", "StopPoint", "Unit", "anytime_curve", "stop_points"]

Unit: TypeAlias = Literal["spikes", "steps", "rounds"]
"""What a sample spends: spikes of all populations, forward steps, or rounds."""


@dataclass(frozen=True, slots=True, eq=False)
class AnytimeCurve:
    """Accuracy if every sample had to be answered as soon as it had spent a budget.

    A sample that ends earlier keeps its answer.

    Attributes:
        unit: ``"spikes"``, ``"steps"`` or ``"rounds"``.
        budget: i64[budgets], ascending.
        accuracy: f64[budgets], share of samples whose correct class leads after the last forward
            step that keeps them within the budget. A sample without a vote counts as wrong.
        answered: f64[budgets], share of samples that have a vote by then.
    """

    unit: Unit
    budget: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    answered: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StopPoint:
    """Where a stop rule would have ended each sample.

    Attributes:
        rule: Stop rule in its textual form.
        target: i64[samples], correct class.
        label: i64[samples], class that would have been decided, or -1 for none.
        stopped: bool[samples], whether the rule ended the sample; the others ran to their end.
        spikes, steps, rounds: i64[samples], what the sample had spent by then.
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
        """Share of samples whose label is correct; None if there are no samples."""
        return float((self.label == self.target).mean()) if self.target.size else None

    def mean(self, unit: Unit) -> float | None:
        """Return the mean that the samples spent, or None if there are no samples.

        Raises:
            ValueError: ``unit`` is not ``"spikes"``, ``"steps"`` or ``"rounds"``.
        """
        spent = getattr(self, _checked(unit))
        return float(spent.mean()) if spent.size else None


def anytime_curve(
    recording: Recording, unit: Unit, budgets: Sequence[int] | None = None
) -> AnytimeCurve:
    """Compute the anytime curve of a recording.

    Args:
        recording: Recording with ``until="quiet"``, so that no sample stopped early, and with the
            correct class of each sample.
        unit: What is spent: ``"spikes"``, ``"steps"`` or ``"rounds"``.
        budgets: Ascending budgets, starting at 0 or above. Defaults to 0, every budget at which
            the answer of a sample changes, and the cost of the most expensive sample.

    Raises:
        RecordingError: The recording has samples that may have stopped early, or an unknown class,
            or its output does not vote.
        ValueError: The unit is unknown, or the budgets are negative or do not ascend.
    """
    _checked(unit)
    pairs = zip(trajectories(recording), recording.target.tolist(), strict=True)
    changes = [_changes(t, unit, target) for t, target in pairs]
    at, right, answered = np.concatenate([np.zeros((3, 1), np.int64), *changes], axis=1)
    if budgets is None:
        budget = np.unique(at)
    else:
        budget = int64_array("budgets", budgets, ValueError)
        if (np.diff(budget, prepend=0) < 0).any():
            raise ValueError(f"`budgets` must ascend and start at 0 or above, got {budgets!r:.80}")
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
    """Compute exactly where stop rules would have ended the samples of a recording.

    A rule changes nothing before it stops a sample, so one recording answers for every rule.

    Args:
        recording: Recording with ``until="quiet"``, so that no sample stopped early, and with the
            correct class of each sample.
        rules: Built-in stop rules; ``"quiet"`` never stops a sample early.

    Raises:
        RecordingError: The recording has samples that may have stopped early, or an unknown class,
            or its output does not vote.
        StopRuleError: A rule does not exist, or is a function.
    """
    known = trajectories(recording)
    return tuple(_stop_point(recording, known, rule) for rule in map(_rule, rules))


def _rule(rule: str | StopRule) -> StopRule:
    parsed = parse_stop_rule(rule)
    if not isinstance(parsed, StopRule):
        raise StopRuleError(
            f"`rules` must name built-in stop rules, got {rule!r:.80}; run the network with this "
            "function to evaluate it"
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
    """Return bool[moments], whether ``rule`` stops the sample at each moment."""
    voted: NDArray[np.bool_] = t.votes > 0
    met: NDArray[np.bool_]
    match rule.name:
        case "first-spike":
            met = voted
        case "votes":
            met = t.votes >= rule.arguments[0]
        case "margin":
            # The last lead of the rule holds for all later passes. A lead of 0 never stops.
            leads = np.array(rule.arguments)
            lead = leads[np.clip(t.pass_, 0, leads.size - 1)]
            met = (lead > 0) & (t.margin >= lead)
        case "steps":
            # Without a vote argmax gives 0, but then ``voted`` is false everywhere.
            first = t.steps[np.argmax(voted)]
            met = voted & (t.steps - first >= rule.arguments[0])
        case _:
            met = np.zeros_like(voted)
    return met


def _changes(t: Trajectory, unit: Unit, target: int) -> NDArray[np.int64]:
    """Return where a sample becomes correct or wrong, and where it gets an answer.

    Returns:
        i64[3, changes]: amount spent, change in correctness, change in being answered.
    """
    spent: NDArray[np.int64] = getattr(t, unit)
    # Several moments may have spent the same amount; the answer at the last of them counts.
    last = np.append(spent[1:] != spent[:-1], True)
    label = t.label[last]
    right = np.diff((label == target).astype(np.int64), prepend=0)
    answered = np.diff((label >= 0).astype(np.int64), prepend=0)
    changes = np.stack((spent[last], right, answered))
    kept = (right != 0) | (answered != 0)
    # Keep the end of the sample, so that the curve extends to the most expensive one.
    kept[-1] = True
    return changes[:, kept]


def _checked(unit: str) -> str:
    if unit not in UNITS:
        raise ValueError(f"`unit` must be one of {', '.join(UNITS)}, got {unit!r:.80}")
    return unit
