"""The vote window: how a network decides over time, as a bundle stores it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.core.formats.field_checks import as_map, check_number, located
from neuroasync.core.model.checks import check_ints, must_be
from neuroasync.errors import BundleError

__all__ = ["VoteWindow", "read_vote_window", "vote_window_map"]

_MAX_SCALE = 1e6


@dataclass(frozen=True, slots=True)
class VoteWindow:
    """The time whose votes count for a decision over time, and the confidence that follows.

    The decision at a time t is the class with the most votes in passes from ``t - duration_us`` up
    to t, but not at t; ties go to the lowest index, and without a vote there is no decision. If
    the output consists of leaky integrators, the potentials take the place of the votes.

    Attributes:
        duration_us: length of the window, µs, at least 1.
        scale: factor of the votes before the softmax that gives the confidence, above 0.

    Raises:
        BundleError: a field is out of range.
    """

    duration_us: int
    scale: float = 0.5

    def __post_init__(self) -> None:
        """Check the fields."""
        check_ints(self, {"duration_us": (1, limits.MAX_TIME_US)}, BundleError)
        scale = float(check_number("scale", self.scale, 0, _MAX_SCALE))
        if not scale:
            raise BundleError(must_be("scale", f"a number above 0, up to {_MAX_SCALE:g}", "0"))
        object.__setattr__(self, "scale", scale)

    def intervals(self, every_us: int) -> int:
        """Return the number of intervals of ``every_us`` µs in the window.

        Raises:
            ValueError: the window does not consist of whole intervals.
        """
        if self.duration_us % every_us:
            requirement = f"a multiple of the interval of the decisions, {every_us} µs"
            raise ValueError(must_be("vote_window", requirement, f"{self.duration_us} µs"))
        return self.duration_us // every_us

    def probabilities(self, votes: ArrayLike) -> NDArray[np.float64]:
        """Return the softmax of the scaled votes.

        The highest value of each row is the confidence of its decision.

        Args:
            votes: [.., classes], votes in the window.

        Returns:
            f64[.., classes].
        """
        logits = self.scale * np.asarray(votes, np.float64)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
        return shares


def vote_window_map(window: VoteWindow) -> dict[str, Any]:
    """Return ``window`` as a map with keys in the order of the format."""
    return {"duration_us": window.duration_us, "scale": window.scale}


def read_vote_window(path: str, value: object) -> VoteWindow:
    """Return the vote window in a map.

    Raises:
        BundleError: the map is invalid. The message starts with ``path``.
    """
    fields = as_map(path, value, ("duration_us", "scale"))
    with located(f"{path}."):
        return VoteWindow(**fields)
