"""Stop rules: when a sample is decided."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.kernels.layout import RuleCode
from neuroasync.errors import StopRuleError

__all__ = ["Progress", "StopRule", "StopRuleLike", "parse_stop_rule", "short_rule"]


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
        arguments: (k,) of votes; the leads of margin, one per pass, of which the last holds for
            all later passes and 0 is never; (n,) of steps; () otherwise.
    """

    name: str = "quiet"
    arguments: tuple[int, ...] = ()

    def __str__(self) -> str:
        """As it is written: ``margin(3)``, ``margin(4,4,3)``."""
        return f"{self.name}({','.join(map(str, self.arguments))})" if self.arguments else self.name

    @property
    def code(self) -> tuple[int, tuple[int, ...]]:
        """Number and arguments that the kernels know it by."""
        if self.name == "first-spike":
            return RuleCode.VOTES, (1,)
        return _CODES[self.name], self.arguments


StopRuleLike: TypeAlias = str | StopRule | Callable[[Progress], bool]
"""When to stop: a rule, how it is written, or a function that says when."""


_CODES: Final = {
    "quiet": RuleCode.QUIET,
    "votes": RuleCode.VOTES,
    "margin": RuleCode.MARGIN,
    "steps": RuleCode.STEPS,
}


_LEAST: Final = {"votes": 1, "margin": 1, "steps": 0}


_EXPECTED: Final = (
    "quiet, first-spike, votes(k), margin(k), margin(k,..) with a lead for each pass, steps(n) "
    "or, in a calibrated network, confidence(p)"
)


def parse_stop_rule(until: StopRuleLike) -> StopRule | Callable[[Progress], bool]:
    """A stop rule from how it is written.

    Raises:
        StopRuleError: it is not one of ``quiet``, ``first-spike``, ``votes(k)``, ``margin(k)``,
            ``margin(k,..)``, ``steps(n)`` (k from 1, leads of single passes and n from 0), nor
            callable; or it has more leads than ``limits.MAX_LEADS``.
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
    if until.startswith("confidence"):
        raise StopRuleError(f"until: {until!r:.80} stands for a rule only in a calibrated network")
    match = re.fullmatch(r"(votes|margin|steps)\(([0-9]{1,9}(?:, ?[0-9]{1,9})*)\)", until)
    if match is not None:
        rule = StopRule(match[1], tuple(map(int, match[2].split(","))))
        most = limits.MAX_LEADS if rule.name == "margin" else 1
        if len(rule.arguments) <= most and max(rule.arguments) >= _LEAST[rule.name]:
            return rule
    raise StopRuleError(f"until: {until!r:.80}, expected {_EXPECTED}")


def short_rule(rule: str) -> str:
    """A stop rule in a cell: of leads for many passes the first and the last."""
    leads = rule.split(",")
    return rule if len(leads) < 4 else f"{leads[0]},..,{leads[-1]}"
