"""How early a network may stop if it is to stay right: leads chosen on validation samples.

Many rules are tried on few samples, so the best of them looks better than it is. Here the order
in which rules are tried is fixed before any sample is seen, from stopping nowhere to stopping at
the first lead, one pass at a time: the lead that is asked falls from k to k - 1 in the latest pass
first, in the first pass last, then from k - 1 to k - 2, and so on. The walk ends at the first rule
that decides too few samples right; the rule before it is taken. In such a fixed sequence every
test may use the full level, as if it were the only one. So the binomial bound of a single rule
holds for the one that is taken, and all samples both choose and measure.

How many passes and which largest lead the walk has, the samples say. It is still part of one that
is fixed, over ``limits.MAX_LEADS`` passes and from any lead down: the further rules of that one ask
passes or leads that no sample has, so they change nothing on these samples, and the first to fail
is the same. What is taken comes before it in the fixed walk, too.

That a lead of fixed height is a good place to stop is Wald's; that it may be lower late, when
little can change any more, is what the walk tries first.

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
    "PROMISES",
    "Walk",
    "boldest_lead",
    "calibrate",
    "lower_bound",
    "right_of",
    "slowest_lead",
    "walk_of",
]

PROMISES: Final = (0.8, 0.9, 0.95, 0.98, 0.99)
"""What is promised where nothing else is asked for."""

_DOUBT: Final = 0.05
"""Share of calibrations that may break their promise."""
_HALVINGS: Final = 60


class Walk(NamedTuple):
    """Rules in the order in which they are tried.

    Attributes:
        passes: T, for which leads are asked; the last lead holds for all later ones.
        most: K, the largest lead seen. Rule number c, from 0 to K·T - 1, asks for a lead of
            K - c // T in the latest 1 + c % T passes, and for one more before.
        at: i64[changes], the rules that come to another total than the one before, ascending.
        total: i64[changes + 1], of samples decided right, for one, or of rounds: of whole samples,
            then by each rule of ``at``.
    """

    passes: int
    most: int
    at: NDArray[np.int64]
    total: NDArray[np.int64]

    def leads(self, c: int) -> tuple[int, ...]:
        """Those that rule number ``c`` asks for, pass by pass."""
        fallen, late = divmod(c, self.passes)
        lead = self.most - fallen
        return (*[lead + 1] * (self.passes - 1 - late), lead)

    def boldest(self, least: int) -> tuple[tuple[int, ...], int]:
        """Leads of the last rule before one that is right too seldom, and how often it is right.

        Args:
            least: how often a rule must be right; whole samples must be.
        """
        fails = self.total < least
        k = int(np.argmax(fails)) if fails.any() else fails.size
        c = (int(self.at[k - 1]) if k < fails.size else self.most * self.passes) - 1
        if c < 0:
            return (self.most + 1,), int(self.total[0])
        return self.leads(c), int(self.total[k - 1])


def calibrate(
    recording: Recording, accuracies: Iterable[float] | None = None
) -> tuple[Calibration, ...]:
    """Leads at which the network may stop, for each accuracy that is to be promised.

    Give them to a bundle, ``dataclasses.replace(bundle, calibration=...)``; there,
    ``until="confidence(0.95)"`` is the rule. What is promised, and how surely, see
    :class:`neuroasync.Calibration`: ``error`` is by how much the lower Clopper-Pearson bound (95 %,
    one-sided) lies below, if just as many samples are right as promised. Each accuracy is promised
    by itself.

    Args:
        recording: of whole validation samples (``until="quiet"``), not of those trained on, whose
            right classes are known, run as the network is to be run.
        accuracies: to promise, each between 0 and 1; None for those of ``PROMISES`` that whole
            samples have.

    Raises:
        RecordingError: the recording is of another kind, of no samples, or of a policy or
            population of the user's.
        ValueError: an accuracy is out of range, or more than whole samples have: then no early
            stop can keep it.
    """
    info = recording.info
    if info.custom_policy or info.custom_populations:
        raise RecordingError("made with a policy or population of your own; expected built-in ones")
    known, samples = trajectories(recording), len(recording)
    if not samples:
        raise RecordingError("no samples, expected validation samples")
    walk = walk_of(known, right_of(known, recording.target))
    policy = PolicySpec(info.policy, info.group_size, info.input, info.noise)
    if accuracies is None:
        accuracies = [p for p in PROMISES if _least_right(p, samples) <= walk.total[0]]
    found = []
    for accuracy in accuracies:
        least = _least_right(accuracy, samples)
        if walk.total[0] < least:
            raise ValueError(
                f"accuracies: {accuracy}, expected at most {walk.total[0] / samples:.4g}, the "
                "accuracy of whole samples; no early stop can keep more"
            )
        leads, right = walk.boldest(least)
        error = max(accuracy - lower_bound(least, samples), 0.0)
        measured = max(right / samples, accuracy)  # as floats, 70 of 100 is less than 0.1 * 7
        found.append(Calibration(accuracy, error, measured, samples, leads, policy))
    return tuple(found)


def boldest_lead(recording: Recording, least: int) -> StopRule:
    """The last lead of the walk that decides enough samples right, as a rule.

    Unlike what :func:`calibrate` gives, it promises nothing of other samples.

    Args:
        recording: of whole samples whose right classes are known, at least one.
        least: how many of them must be right; at most as many as whole samples are.

    Raises:
        RecordingError: the recording is of another kind.
    """
    known = trajectories(recording)
    return StopRule("margin", walk_of(known, right_of(known, recording.target)).boldest(least)[0])


def slowest_lead(recording: Recording, share: float) -> StopRule:
    """The first lead of the walk that takes at most this share of the rounds, as a rule.

    It is chosen by what it costs alone, so it is not the one that was lucky with these samples; and
    of all that cost as much, it is the most cautious.

    Args:
        recording: of whole samples whose right classes are known, at least one.
        share: of the rounds of whole samples, from 0 to 1; if no lead takes so few, it is the last.

    Raises:
        ValueError: the share is out of range.
        RecordingError: the recording is of another kind.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: {share!r:.80}, expected a number from 0 to 1")
    known = trajectories(recording)
    walk = walk_of(known, [t.rounds for t in known])
    meets = np.flatnonzero(walk.total <= share * walk.total[0])
    last = walk.most * walk.passes - 1
    if not meets.size or last < 0:
        return StopRule("margin", walk.leads(last) if last >= 0 else (1,))
    k = int(meets[0])
    return StopRule("margin", walk.leads(int(walk.at[k - 1])) if k else (walk.most + 1,))


def walk_of(known: Sequence[Trajectory], values: Sequence[NDArray[np.int64]]) -> Walk:
    """Try all rules on samples.

    Args:
        known: the samples' trajectories, at least one.
        values: i64[moments] of each, what is totalled: that of the moment at which it is stopped.
    """
    last = max(int(t.pass_[-1]) for t in known)
    passes = min(max(1 + last, 1), limits.MAX_LEADS)
    most = max(int(t.margin.max()) for t in known)
    pairs = list(zip(known, values, strict=True))
    changes = [_changes(t, value, passes, most) for t, value in pairs]
    whole = sum(int(value[-1]) for _, value in pairs)
    at, change = np.concatenate(changes, axis=1)
    rules, which = np.unique(at, return_inverse=True)
    by_rule = np.bincount(which.reshape(-1), change, rules.size).astype(np.int64)
    total = whole + np.concatenate(([0], np.cumsum(by_rule)))
    return Walk(passes, most, rules, total)


def right_of(known: Sequence[Trajectory], target: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """1 where the label of a sample is right, i64[moments] of each."""
    pairs = zip(known, target.tolist(), strict=True)
    return [(t.label == cls).astype(np.int64) for t, cls in pairs]


def _changes(t: Trajectory, value: NDArray[np.int64], passes: int, most: int) -> NDArray[np.int64]:
    """Rules that are the first to stop a sample earlier, and what that changes.

    Returns:
        i64[2, changes]: number of the rule, ascending; change in the sample's value.
    """
    from_end = passes - 1 - np.clip(t.pass_, 0, passes - 1)
    # The first rule that would stop here; where nobody leads, none does.
    rule = np.where(t.margin > 0, (most - t.margin) * passes + from_end, most * passes)
    before = np.minimum.accumulate(np.concatenate(([most * passes], rule[:-1])))
    stops = np.flatnonzero(rule < before)[::-1]
    return np.stack((rule[stops], np.diff(value[stops], prepend=value[-1])))


def _least_right(accuracy: float, samples: int) -> int:
    """How many samples must be right."""
    if type(accuracy) is not float or not 0 < accuracy < 1:
        raise ValueError(f"accuracies: {accuracy!r:.80}, expected numbers between 0 and 1")
    return math.ceil(accuracy * samples - 1e-9)  # 0.95 of 240 is 228, whatever floats say


def lower_bound(right: int, samples: int, doubt: float = _DOUBT) -> float:
    """Lower Clopper-Pearson bound of a share, one-sided: the p with P(X >= right) = ``doubt``.

    Args:
        right: from 1 to ``samples``.
        samples: how many there are.
        doubt: chance that the share is lower after all.
    """
    n = np.arange(samples + 1)
    steps = np.log(samples - n[:-1]) - np.log(n[1:])
    log_choose = np.concatenate(([0.0], np.cumsum(steps)))[right:]
    k = n[right:]
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        p = (low + high) / 2
        tail = np.exp(log_choose + k * math.log(p) + (samples - k) * math.log1p(-p)).sum()
        low, high = (p, high) if tail <= doubt else (low, p)
    return low
