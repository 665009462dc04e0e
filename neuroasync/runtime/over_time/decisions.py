"""Decisions over time: one at the end of each interval of a sample."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision
from neuroasync.core.formats.bundle import Bundle, VoteWindow
from neuroasync.core.immutable import immutable
from neuroasync.core.quantity import quantity

__all__ = ["DecisionsOverTime", "checked_window", "labels_of_scores", "window_sums"]

_NO_LABEL: Final = -1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DecisionsOverTime:
    """The decisions at the ends of the intervals of a sample, and the cost of the whole sample.

    Its arrays are read-only.

    Attributes:
        scores: f64[intervals, classes], votes of each class in the vote window of each decision; if
            the output consists of leaky integrators, sums of the potentials at the ends of the
            intervals in the window.
        labels: i64[intervals], the decided classes; -1 if the output did not fire in the window.
        confidence: f64[intervals], probability of the decided class by the vote window's softmax; 0
            without a decision.
        every_us: length of an interval, µs.
        decision: the decision on the sample as a whole, with its cost.
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    confidence: NDArray[np.float64]
    every_us: int
    decision: Decision

    def __post_init__(self) -> None:
        """Keep the arrays as read-only ones."""
        object.__setattr__(self, "scores", immutable(self.scores, np.float64))
        object.__setattr__(self, "labels", immutable(self.labels, np.int64))
        object.__setattr__(self, "confidence", immutable(self.confidence, np.float64))

    @classmethod
    def from_scores(
        cls, scores: NDArray[np.float64], window: VoteWindow, every_us: int, decision: Decision
    ) -> Self:
        """Return the decisions that follow from scores, f64[intervals, classes]."""
        labels = labels_of_scores(scores, fires=decision.potentials is None)
        confidence = window.probabilities(scores).max(1, initial=0.0)
        return cls(scores, labels, np.where(labels < 0, 0.0, confidence), every_us, decision)

    def with_window(self, window: VoteWindow) -> Self:
        """Return the same decisions with the confidence by the scale of another vote window."""
        return self.from_scores(self.scores, window, self.every_us, self.decision)

    def __len__(self) -> int:
        """Return the number of decisions."""
        return self.labels.size

    def __eq__(self, other: object) -> bool:
        """Return whether scores, confidence, interval and the whole decision are equal."""
        if not isinstance(other, DecisionsOverTime):
            return NotImplemented
        same = self.every_us == other.every_us and self.decision == other.decision
        return same and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("scores", "labels", "confidence")
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Return how to make a pickle or a copy, with read-only arrays."""
        arrays = (self.scores, self.labels, self.confidence)
        return type(self), (*arrays, self.every_us, self.decision)

    def __repr__(self) -> str:
        """Return one line: the number of decisions, their interval and how many have no label."""
        return (
            f"<DecisionsOverTime: {quantity(len(self), 'decision')}, one every {self.every_us} µs, "
            f"{int((self.labels < 0).sum())} without a label>"
        )


def checked_window(bundle: Bundle, window: VoteWindow | None) -> VoteWindow:
    """Return the given vote window, or else the bundle's.

    Raises:
        ValueError: there is none.
    """
    window = bundle.vote_window if window is None else window
    if window is None:
        raise ValueError("`vote_window` must be given, because the bundle has none")
    return window


def window_sums(values: NDArray[np.float64], intervals: int) -> NDArray[np.float64]:
    """Return, for each interval, the sum of the values of the last intervals up to it.

    Args:
        values: f64[.., intervals, classes].
        intervals: number of intervals in the window.
    """
    sums = np.cumsum(values, axis=-2)
    before = np.zeros_like(sums)
    before[..., intervals:, :] = sums[..., :-intervals, :]
    result: NDArray[np.float64] = sums - before
    return result


def labels_of_scores(scores: NDArray[np.float64], fires: bool = True) -> NDArray[np.int64]:
    """Return the class with the highest score in each row, i64[..]; ties go to the lowest index.

    Args:
        scores: f64[.., classes].
        fires: whether scores are votes, so that a row of zeros is no decision (-1).
    """
    labels: NDArray[np.int64] = scores.argmax(-1)
    return np.where(scores.max(-1) > 0, labels, _NO_LABEL) if fires else labels
