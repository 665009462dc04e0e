"""Decisions, and the rules that say when there is one."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.errors import StopRuleError
from neuroasync.kernels import layout as lay

__all__ = ["Decision", "Progress", "StopRule", "Until", "parse_until"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a stop rule of your own may look at, after the input group and after each step.

    Attributes:
        votes: i64[classes], output spikes so far. Not to be kept or changed.
        label: class that leads now, or None.
        t_us: virtual time of the pass, µs.
        passes, steps, rounds, spikes: so far in the sample.
    """

    votes: NDArray[np.int64]
    label: int | None
    t_us: int
    passes: int
    steps: int
    rounds: int
    spikes: int


@dataclass(frozen=True, slots=True)
class StopRule:
    """A built-in stop rule.

    Attributes:
        name: ``quiet``, ``first-spike``, ``votes``, ``margin`` or ``steps``.
        argument: k of votes and margin, n of steps; 0 otherwise.
    """

    name: str = "quiet"
    argument: int = 0

    def __str__(self) -> str:
        """As it is written: ``margin(3)``."""
        return f"{self.name}({self.argument})" if self.name in _LEAST else self.name

    @property
    def code(self) -> tuple[int, int]:
        """Number and argument that the kernels know it by."""
        if self.name == "first-spike":
            return lay.VOTE_COUNT, 1
        return _CODES[self.name], self.argument


Until: TypeAlias = str | StopRule | Callable[[Progress], bool]
"""When to stop: a rule, how it is written, or a function that says when."""

_CODES: Final = {
    "quiet": lay.QUIET,
    "votes": lay.VOTE_COUNT,
    "margin": lay.MARGIN,
    "steps": lay.STEPS_AFTER,
}
_LEAST: Final = {"votes": 1, "margin": 1, "steps": 0}
_EXPECTED: Final = "quiet, first-spike, votes(k), margin(k) or steps(n)"


def parse_until(until: Until) -> StopRule | Callable[[Progress], bool]:
    """A stop rule from how it is written.

    Raises:
        StopRuleError: it is not one of ``quiet``, ``first-spike``, ``votes(k)``, ``margin(k)``,
            ``steps(n)`` (k from 1, n from 0), nor callable.
    """
    if isinstance(until, StopRule):
        until = str(until)
    if not isinstance(until, str):
        if inspect.iscoroutinefunction(until) or inspect.iscoroutinefunction(
            getattr(until, "__call__", None)  # noqa: B004  # looked at, not tested for
        ):
            raise StopRuleError(f"until: {until!r:.80} is async, expected a plain function")
        if callable(until):
            return until
        raise StopRuleError(f"until: {until!r:.80}, expected {_EXPECTED}, or a function")
    if until in ("quiet", "first-spike"):
        return StopRule(until)
    match = re.fullmatch(r"(votes|margin|steps)\((\d{1,9})\)", until)
    if match is None or int(match[2]) < _LEAST[match[1]]:
        raise StopRuleError(f"until: {until!r:.80}, expected {_EXPECTED}")
    return StopRule(match[1], int(match[2]))


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What a sample came to, and what it took.

    Attributes:
        label: index of the class that was decided for, or None if the output never fired.
        class_name: its name, where the bundle has class names.
        votes: i64[classes], output spikes.
        stopped: whether the stop rule ended the sample before it was quiet.
        t_us: virtual time of the last pass, µs; -1 if there was none.
        passes: passes begun.
        steps: forward steps.
        rounds: rounds of at most F deliveries.
        spikes: spikes of each population, by name.
        input_events: input events read.
        synops: synaptic operations, one per target of each delivered spike.
        first_spike: (spikes, steps, rounds) when the output first fired, or None.
        first_led: (spikes, steps, rounds) when a class first led the votes, by class.
        undelivered: spikes in flight when the sample ended.
        wall_s: wall time from the first event's delivery to the decision, s.
    """

    label: int | None
    class_name: str | None
    votes: NDArray[np.int64]
    stopped: bool
    t_us: int
    passes: int
    steps: int
    rounds: int
    spikes: dict[str, int]
    input_events: int
    synops: int
    first_spike: tuple[int, int, int] | None
    first_led: dict[int, tuple[int, int, int]]
    undelivered: int
    wall_s: float

    @property
    def total_spikes(self) -> int:
        """Spikes of all populations."""
        return sum(self.spikes.values())

    def __eq__(self, other: object) -> bool:
        """Everything but the wall time is the same."""
        if not isinstance(other, Decision):
            return NotImplemented
        return self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]  # holds an array

    def _key(self) -> tuple[object, ...]:
        counted = (self.passes, self.steps, self.rounds, self.synops, self.input_events)
        ends = (self.label, self.stopped, self.t_us, self.first_spike, self.undelivered)
        return (*ends, *counted, self.votes.tolist(), self.spikes, self.first_led)
