"""Trajectories of samples: the cost and the votes after each forward step.

A *moment* is a point at which stop rules can stop a sample: after the input group of each pass, and
after each forward step. Under layer-sync, it is a turn. If no neuron fires in the turn that follows
a delivery, but some do in a later turn before the next delivery, there are two moments. Further
turns in which no neuron fires change nothing and are left out. A trajectory also has the start of
the sample as its first moment.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.recording.recording import Recording
from neuroasync.errors import RecordingError

__all__ = ["UNITS", "Trajectory", "check_targets", "check_votes", "trajectories"]

UNITS: Final = ("spikes", "steps", "rounds")
"""The units of cost."""
_CACHE_NAME: Final = "_trajectories"
"""Attribute of a recording that caches its trajectories. The cache cannot be a dictionary with
recordings as keys, because recordings are not hashable."""


class Trajectory(NamedTuple):
    """Cost and votes of a sample at each moment.

    Attributes:
        pass_: i64[moments], number of the forward pass, ascending; -1 at the start.
        spikes, steps, rounds: i64[moments], cost so far; never decreases.
        label: i64[moments], class that leads, or -1 for none.
        votes: i64[moments], votes for that class.
        margin: i64[moments], its lead over the second class.
    """

    pass_: NDArray[np.int64]
    spikes: NDArray[np.int64]
    steps: NDArray[np.int64]
    rounds: NDArray[np.int64]
    label: NDArray[np.int64]
    votes: NDArray[np.int64]
    margin: NDArray[np.int64]


def trajectories(recording: Recording) -> tuple[Trajectory, ...]:
    """Return the trajectory of each sample; computed once per recording, which never changes.

    Raises:
        RecordingError: The samples may have stopped early, a correct class is not known, the
            output does not vote, or the recording was made under layer-sync by a version that did
            not record silent turns.
    """
    if recording.info.until != "quiet":
        raise RecordingError(
            f"`until` of the recording must be 'quiet', got {recording.info.until!r}; earlier "
            "stops can only be computed from recordings of complete samples"
        )
    check_targets(recording)
    check_votes(recording)
    if recording.info.has_turns and recording.after_silent_turn is None:
        raise RecordingError(
            "`after_silent_turn` is missing, because an earlier version made the recording; "
            "record the samples again"
        )
    known: tuple[Trajectory, ...] | None = vars(recording).get(_CACHE_NAME)
    if known is None:
        known = tuple(_trajectory(recording, k) for k in range(len(recording)))
        # The dataclass is frozen, so the cache bypasses its __setattr__, as cached_property does.
        vars(recording)[_CACHE_NAME] = known
    return known


def check_targets(recording: Recording) -> None:
    """Raise RecordingError unless the correct class of every sample is known."""
    if (unknown := recording.target < 0).any():
        raise RecordingError(
            f"target[{int(np.argmax(unknown))}] is not known, but every sample needs its correct "
            "class; record with for_sample(number, target)"
        )


def check_votes(recording: Recording) -> None:
    """Raise RecordingError if labels do not come from votes, as with leaky integrators."""
    unvoted = (recording.label >= 0) & ~recording.votes.any(axis=1)
    if unvoted.any():
        raise RecordingError(
            f"label[{int(np.argmax(unvoted))}] was decided without votes, because the output "
            f"{recording.info.output!r} consists of leaky integrators; this metric requires an "
            "output that fires"
        )


def _trajectory(recording: Recording, k: int) -> Trajectory:
    rows, slots = recording.rows_of(k), recording.deliveries_of(k)
    # Pass, step and whether a silent turn came before are encoded as one number, because sorting
    # triples is much slower.
    last = (recording.step[rows], recording.delivered_step[slots])
    stride = 2 + 2 * max(int(step.max(initial=0)) for step in last)
    fired = recording.pass_[rows] * stride + 2 * recording.step[rows]
    if recording.after_silent_turn is not None:
        fired += recording.after_silent_turn[rows]
    delivered = recording.delivered_pass[slots] * stride + 2 * recording.delivered_step[slots]
    # Every pass has an input group, even an empty one, and stop rules are evaluated after it.
    begun = np.arange(recording.passes[k]) * stride
    moments, at = np.unique(np.concatenate((fired, delivered, begun)), return_inverse=True)
    is_step = (moments % stride > 0) & (moments % 2 == 0)
    pending = np.bincount(at[len(fired) : len(fired) + len(delivered)], minlength=len(moments))
    rounds = np.where(is_step, -(-pending // recording.info.group_size), 0)
    spent = (np.bincount(at[: len(fired)], minlength=len(moments)), is_step, rounds)
    spikes, steps, rounds = (np.concatenate(([0], np.cumsum(count))) for count in spent)
    # Moment 0 is the start of the sample, hence the offset of 1.
    standing = _standing(recording, rows, 1 + at[: len(fired)], 1 + len(moments))
    pass_ = np.concatenate(([-1], moments // stride))
    return Trajectory(pass_, spikes, steps, rounds, *standing)


def _standing(
    recording: Recording, rows: slice, moment: NDArray[np.int64], moments: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return label, votes and margin after each moment, i64[moments].

    ``moment`` is the moment of each spike in ``rows``.
    """
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
        # A tie goes to the class that reached the count in an earlier step, then the lower index.
        rank = (count, -when, -c)
        if count <= best[0]:
            second = max(second, count)
        if rank > best:
            leader, best = c, rank
        standing.append((leader, best[0], best[0] - second))
    latest = np.searchsorted(at, np.arange(moments), side="right") - 1
    label, votes, margin = np.array(standing, np.int64)[latest].T
    return label, votes, margin
