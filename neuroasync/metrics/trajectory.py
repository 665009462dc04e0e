"""What a sample had spent, and whom its votes stood for, after each forward step."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.recording.recording import Recording
from neuroasync.errors import RecordingError

__all__ = ["UNITS", "Trajectory", "check_targets", "trajectories"]

UNITS: Final = ("spikes", "steps", "rounds")
"""What can be spent."""
_KEPT_AS: Final = "_trajectories"
"""Where a recording keeps them: recordings compare by value and have no hash to find them by."""


class Trajectory(NamedTuple):
    """A sample after nothing, after each input group, and after each forward step.

    Attributes:
        pass_: i64[moments], ascending; -1 for nothing.
        spikes, steps, rounds: i64[moments], spent so far; they never fall.
        label: i64[moments], the class that leads; -1 for none.
        votes: i64[moments], of that class.
        margin: i64[moments], its lead over the second.
    """

    pass_: NDArray[np.int64]
    spikes: NDArray[np.int64]
    steps: NDArray[np.int64]
    rounds: NDArray[np.int64]
    label: NDArray[np.int64]
    votes: NDArray[np.int64]
    margin: NDArray[np.int64]


def trajectories(recording: Recording) -> tuple[Trajectory, ...]:
    """The trajectory of each sample, worked out once for a recording, which does not change.

    Raises:
        RecordingError: samples were, or could have been, stopped early; or a right class is
            not known.
    """
    if recording.info.until != "quiet":
        raise RecordingError(
            f"recorded until {recording.info.until!r}, expected 'quiet': record whole samples, "
            "what an earlier stop would have given is worked out from them"
        )
    check_targets(recording)
    known: tuple[Trajectory, ...] | None = vars(recording).get(_KEPT_AS)
    if known is None:
        known = tuple(_trajectory(recording, k) for k in range(len(recording)))
        vars(recording)[_KEPT_AS] = known  # as a cached property would be
    return known


def check_targets(recording: Recording) -> None:
    """Raise RecordingError unless the right class of every sample is known."""
    if (unknown := recording.target < 0).any():
        raise RecordingError(
            f"target[{int(np.argmax(unknown))}]: not known, expected the right class of every "
            "sample: record with for_sample(number, target)"
        )


def _trajectory(recording: Recording, k: int) -> Trajectory:
    rows, slots = recording.rows_of(k), recording.deliveries_of(k)
    # A moment is one number, pass after pass: rows of two would be sorted much more slowly.
    last = (recording.step[rows], recording.delivered_step[slots])
    stride = 1 + max(int(step.max(initial=0)) for step in last)
    fired = recording.pass_[rows] * stride + recording.step[rows]
    delivered = recording.delivered_pass[slots] * stride + recording.delivered_step[slots]
    # A pass has an input group even if nothing is in it, and a rule is asked after it.
    begun = np.arange(recording.passes[k]) * stride
    moments, at = np.unique(np.concatenate((fired, delivered, begun)), return_inverse=True)
    is_step = moments % stride > 0
    pending = np.bincount(at[len(fired) : len(fired) + len(delivered)], minlength=len(moments))
    rounds = np.where(is_step, -(-pending // recording.info.group_size), 0)
    spent = (np.bincount(at[: len(fired)], minlength=len(moments)), is_step, rounds)
    spikes, steps, rounds = (np.concatenate(([0], np.cumsum(count))) for count in spent)
    standing = _standing(recording, rows, 1 + at[: len(fired)], 1 + len(moments))
    pass_ = np.concatenate(([-1], moments // stride))
    return Trajectory(pass_, spikes, steps, rounds, *standing)


def _standing(
    recording: Recording, rows: slice, moment: NDArray[np.int64], moments: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Label, votes and margin after each moment, i64[moments]; ``moment`` is of each row."""
    info = recording.info
    names = [name for name, _ in info.populations]
    before = sum(size for _, size in info.populations[: names.index(info.output)])
    neuron = recording.neuron[rows] - before
    is_vote = (neuron >= 0) & (neuron < info.classes)
    at = np.concatenate(([0], moment[is_vote]))
    standing = [(-1, 0, 0)]
    counts: dict[int, int] = {}
    leader, best, second = -1, (0, 0, 0), 0
    for c, when in zip(neuron[is_vote].tolist(), at[1:].tolist(), strict=True):
        counts[c] = count = counts.get(c, 0) + 1
        # A tie is of who reached the count in an earlier step, then of the lower index.
        rank = (count, -when, -c)
        if count <= best[0]:
            second = max(second, count)
        if rank > best:
            leader, best = c, rank
        standing.append((leader, best[0], best[0] - second))
    latest = np.searchsorted(at, np.arange(moments), side="right") - 1
    label, votes, margin = np.array(standing, np.int64)[latest].T
    return label, votes, margin
