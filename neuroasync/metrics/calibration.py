"""Calibration: how early a network may stop and still reach an accuracy, from validation samples.

A stop rule ends a sample as soon as its decision is reliable enough. The lead is the number of
votes by which the leading class is ahead of the next one. Each rule here stops a sample when the
lead reaches the value that the rule requires in the current pass.

Many rules are tried on few samples, so the best of them looks better than it is. Therefore the
order in which rules are tried is fixed before any sample is seen. The first rule never stops a
sample early. The last rule stops a sample as soon as any class leads. Each next rule requires one
vote less in one pass. The lead falls from k to k - 1 in the last pass, then in the pass before it,
and so on back to the first pass; then from k - 1 to k - 2 in the same order. The sequence ends at
the first rule that decides too few samples correctly, and the rule just before that one is chosen.
In such a fixed sequence every test may use the full significance level, as if it were the only one.
So the binomial bound of a single rule holds for the chosen rule, and all samples serve both to
choose and to measure.

In theory, the fixed sequence has ``limits.MAX_LEADS`` passes and starts from an arbitrarily large
lead. The code only evaluates the passes and leads that occur in the samples. The rules left out
differ only in passes or leads that occur in no sample, so they decide all samples in the same way
as a neighbouring rule. Therefore the same rule fails first, and the same rule is chosen.

Stopping at a fixed lead follows Wald's sequential test. The sequence lowers the lead of late passes
first because the decision rarely changes in late passes.

Source:
    Angelopoulos, Bates, Candès, Jordan and Lei, Learn then Test: Calibrating Predictive Algorithms
    to Achieve Risk Control, arXiv 2110.01052 (with fixed-sequence testing). Clopper and
    Pearson, The use of confidence or fiducial limits, Biometrika 26, 1934. Wald, Sequential
    Analysis, 1947.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.formats.bundle import Calibration, PolicySpec
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import RecordingError
from neuroasync.metrics.trajectory import Trajectory, trajectories

__all__ = [
    "DEFAULT_ACCURACIES",
    "RuleSequence",
    "boldest_lead",
    "calibrate",
    "correct_at",
    "lower_bound",
    "rule_sequence",
    "slowest_lead",
]

DEFAULT_ACCURACIES: Final = (0.8, 0.9, 0.95, 0.98, 0.99)
"""Accuracies that are calibrated if none are given."""

_ERROR_RATE: Final = 0.05
"""Share of calibrations whose accuracy may lie below the stated bound."""
_BISECTIONS: Final = 60
"""Halvings of the interval [0, 1]; more cannot change a float64."""


class RuleSequence(NamedTuple):
    """Stop rules in the order in which they are tried, and what each of them gives.

    Attributes:
        passes: T, number of passes that have separate leads. The last lead applies to all later
            passes.
        max_lead: K, largest lead in the samples. Rule number c, from 0 to K·T - 1, requires a lead
            of K - c // T in the latest 1 + c % T passes, and one vote more in earlier passes.
        at: i64[changes], numbers of the rules whose total differs from the one before, ascending.
        total: i64[changes + 1], total over all samples (correct decisions, or rounds): first
            without stopping, then for each rule in ``at``.
    """

    passes: int
    max_lead: int
    at: NDArray[np.int64]
    total: NDArray[np.int64]

    def leads(self, c: int) -> tuple[int, ...]:
        """Return the leads that rule number ``c`` requires, one per pass."""
        lowered, late = divmod(c, self.passes)
        lead = self.max_lead - lowered
        return (*[lead + 1] * (self.passes - 1 - late), lead)

    def boldest(self, min_correct: int) -> tuple[tuple[int, ...], int]:
        """Return the rule just before the first one that fails.

        Args:
            min_correct: Number of correct decisions below which a rule fails. Without early
                stopping, at least this many must be correct.

        Returns:
            The leads of the rule, one per pass, and its number of correct decisions.
        """
        fails = self.total < min_correct
        k = int(np.argmax(fails)) if fails.any() else fails.size
        c = (int(self.at[k - 1]) if k < fails.size else self.max_lead * self.passes) - 1
        if c < 0:
            # Even the first rule fails. Return a lead that no sample reaches, so that no
            # sample stops early.
            return (self.max_lead + 1,), int(self.total[0])
        return self.leads(c), int(self.total[k - 1])


def calibrate(
    recording: Recording, accuracies: Iterable[float] | None = None
) -> tuple[Calibration, ...]:
    """Find leads at which the network may stop, for each accuracy that is asked for.

    Store the result in a bundle with ``dataclasses.replace(bundle, calibration=...)``; then
    ``until="confidence(0.95)"`` selects the rule for 95 %. :class:`neuroasync.Calibration`
    describes the guarantee. To compute its ``error``, assume that exactly as many samples are
    correct as the accuracy requires: ``error`` is the distance from the accuracy to the lower
    Clopper-Pearson bound (one-sided, 95 %) of this number. Each accuracy is guaranteed separately,
    not all of them together.

    Args:
        recording: Recording of validation samples without early stopping (``until="quiet"``). Their
            correct classes must be known. The network must not have been trained on these samples,
            and must later run with the same settings.
        accuracies: Accuracies to calibrate, each between 0 and 1. Defaults to those of
            ``DEFAULT_ACCURACIES`` that the samples reach without early stopping.

    Raises:
        RecordingError: The recording has no samples, has samples that may have stopped early or an
            unknown class, or uses a custom policy or population; or its output does not vote.
        ValueError: An accuracy is out of range, or the samples do not reach it even without early
            stopping.
    """
    info = recording.info
    if info.custom_policy or info.custom_populations:
        raise RecordingError(
            "the recording was made with a custom policy or population; calibration requires "
            "built-in ones"
        )
    known, samples = trajectories(recording), len(recording)
    sequence = rule_sequence(known, correct_at(known, recording.target))
    policy = PolicySpec(info.policy, info.group_size, info.input, info.noise)
    if accuracies is None:
        reached = sequence.total[0]
        accuracies = [p for p in DEFAULT_ACCURACIES if _min_correct(p, samples) <= reached]
    calibrations = []
    for accuracy in accuracies:
        min_correct = _min_correct(accuracy, samples)
        if sequence.total[0] < min_correct:
            raise ValueError(
                f"`accuracies` must be at most {sequence.total[0] / samples:.4g}, the accuracy "
                f"without early stopping, got {accuracy}"
            )
        leads, correct = sequence.boldest(min_correct)
        error = max(accuracy - lower_bound(min_correct, samples), 0.0)
        # Rounding may put the measured share just below the accuracy: 70 / 100 < 7 * 0.1.
        measured = max(correct / samples, accuracy)
        calibrations.append(Calibration(accuracy, error, measured, samples, leads, policy))
    return tuple(calibrations)


def boldest_lead(recording: Recording, min_correct: int) -> StopRule:
    """Return the last rule of the sequence that decides enough samples correctly.

    Unlike :func:`calibrate`, this guarantees nothing for other samples.

    Args:
        recording: Recording of at least one sample without early stopping. All correct classes must
            be known.
        min_correct: Number of samples to decide correctly, at most the number that is correct
            without early stopping.

    Raises:
        RecordingError: The recording has no samples, has samples that may have stopped early or an
            unknown class, or its output does not vote.
    """
    known = trajectories(recording)
    sequence = rule_sequence(known, correct_at(known, recording.target))
    return StopRule("margin", sequence.boldest(min_correct)[0])


def slowest_lead(recording: Recording, share: float) -> StopRule:
    """Return the first rule of the sequence that takes at most a share of the rounds.

    The rule is chosen by its number of rounds alone, so the choice cannot overfit the correct
    classes. Of all rules with the same number of rounds, it is the most cautious.

    Args:
        recording: Recording of at least one sample without early stopping. All correct classes must
            be known.
        share: Maximum share, from 0 to 1, of the rounds that the samples take without early
            stopping. If no rule takes so few rounds, the last rule is returned.

    Raises:
        ValueError: The share is out of range.
        RecordingError: The recording has no samples, has samples that may have stopped early or an
            unknown class, or its output does not vote.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"`share` must be a number from 0 to 1, got {share!r:.80}")
    known = trajectories(recording)
    sequence = rule_sequence(known, [t.rounds for t in known])
    meets = np.flatnonzero(sequence.total <= share * sequence.total[0])
    last = sequence.max_lead * sequence.passes - 1
    if not meets.size or last < 0:
        return StopRule("margin", sequence.leads(last) if last >= 0 else (1,))
    k = int(meets[0])
    leads = sequence.leads(int(sequence.at[k - 1])) if k else (sequence.max_lead + 1,)
    return StopRule("margin", leads)


def rule_sequence(known: Sequence[Trajectory], values: Sequence[NDArray[np.int64]]) -> RuleSequence:
    """Evaluate all rules on samples.

    Args:
        known: Trajectories of the samples, at least one.
        values: i64[moments] for each sample, the value that it adds to the total if it is stopped
            at that moment.

    Raises:
        RecordingError: There are no samples.
    """
    if not known:
        raise RecordingError(
            "the recording has no samples; calibration requires validation samples"
        )
    last = max(int(t.pass_[-1]) for t in known)
    passes = min(max(1 + last, 1), limits.MAX_LEADS)
    max_lead = max(int(t.margin.max()) for t in known)
    pairs = list(zip(known, values, strict=True))
    changes = [_changes(t, value, passes, max_lead) for t, value in pairs]
    whole = sum(int(value[-1]) for _, value in pairs)
    at, change = np.concatenate(changes, axis=1)
    rules, position = np.unique(at, return_inverse=True)
    by_rule = np.bincount(position.reshape(-1), change, rules.size).astype(np.int64)
    total = whole + np.concatenate(([0], np.cumsum(by_rule)))
    return RuleSequence(passes, max_lead, rules, total)


def correct_at(known: Sequence[Trajectory], target: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return i64[moments] for each sample: 1 where its label is correct, else 0."""
    pairs = zip(known, target.tolist(), strict=True)
    return [(t.label == cls).astype(np.int64) for t, cls in pairs]


def _changes(
    t: Trajectory, value: NDArray[np.int64], passes: int, max_lead: int
) -> NDArray[np.int64]:
    """Return the rules that stop a sample earlier than all previous rules, and the change in value.

    Returns:
        i64[2, changes]: number of the rule, ascending; change in the value of the sample.
    """
    from_end = passes - 1 - np.clip(t.pass_, 0, passes - 1)
    # Number of the first rule that would stop here. Without a leading class no rule stops.
    never = max_lead * passes
    rule = np.where(t.margin > 0, (max_lead - t.margin) * passes + from_end, never)
    before = np.minimum.accumulate(np.concatenate(([never], rule[:-1])))
    # A moment matters only if some rule stops the sample there and at no earlier moment.
    stops = np.flatnonzero(rule < before)[::-1]
    return np.stack((rule[stops], np.diff(value[stops], prepend=value[-1])))


def _min_correct(accuracy: float, samples: int) -> int:
    """Return how many samples must be correct to reach an accuracy."""
    if not isinstance(accuracy, float) or not 0 < accuracy < 1:
        raise ValueError(f"`accuracies` must be between 0 and 1, got {accuracy!r:.80}")
    # The tolerance absorbs rounding: 0.95 of 240 is 228, even if the float product exceeds it.
    return math.ceil(accuracy * samples - 1e-9)


def lower_bound(correct: int, samples: int, error_rate: float = _ERROR_RATE) -> float:
    """Compute the one-sided lower Clopper-Pearson bound of a share.

    The bound is the p with P(X >= correct) = ``error_rate`` for X ~ Binomial(samples, p).

    Args:
        correct: Number of successes, from 1 to ``samples``.
        samples: Number of trials.
        error_rate: Probability that the true share lies below the bound.
    """
    n = np.arange(samples + 1)
    steps = np.log(samples - n[:-1]) - np.log(n[1:])
    log_choose = np.concatenate(([0.0], np.cumsum(steps)))[correct:]
    k = n[correct:]
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        p = (low + high) / 2
        tail = np.exp(log_choose + k * math.log(p) + (samples - k) * math.log1p(-p)).sum()
        low, high = (p, high) if tail <= error_rate else (low, p)
    return low
