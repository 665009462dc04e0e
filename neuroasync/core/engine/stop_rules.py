"""Stop rules: when the decision on a sample is made."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.kernels.layout import RuleCode
from neuroasync.core.model.checks import did_you_mean, must_be, shown
from neuroasync.errors import StopRuleError

__all__ = ["Progress", "StopRule", "Until", "parse_stop_rule", "short_rule", "should_stop"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a sample, given to a custom stop rule after each forward step.

    Attributes:
        votes: i64[classes], output spikes so far.
        label: the leading class, or None. If the output consists of leaky integrators, the class
            of the highest potential so far.
        t_us: virtual time of the pass, µs.
        passes, steps, rounds, spikes: counts so far in the sample.
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
        arguments: ``votes`` has (k,), ``steps`` has (n,), and ``margin`` has one lead per pass.
            The last lead also applies to all later passes. With a lead of 0, the rule never stops
            the sample in that pass. The other rules have no arguments.
    """

    name: str = "quiet"
    arguments: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return the rule in text form, for example ``margin(3)`` or ``margin(4,4,3)``."""
        return f"{self.name}({','.join(map(str, self.arguments))})" if self.arguments else self.name

    @property
    def code(self) -> tuple[int, tuple[int, ...]]:
        """The rule's code and arguments in kernels."""
        if self.name == "first-spike":
            return RuleCode.VOTES, (1,)
        return _CODES[self.name], self.arguments


Until: TypeAlias = str | StopRule | Callable[[Progress], bool]
"""A stop rule, its text form, or a function of the progress that returns a bool."""


_CODES: Final = {
    "quiet": RuleCode.QUIET,
    "votes": RuleCode.VOTES,
    "margin": RuleCode.MARGIN,
    "steps": RuleCode.STEPS,
}


_MINIMUM: Final = {"votes": 1, "margin": 1, "steps": 0}


_FORMS: Final = (
    "quiet, first-spike, votes(k), margin(k), margin(k,..) with a lead for each pass, steps(n) "
    "or, if the network's bundle states them, confidence(p) and trained"
)


def parse_stop_rule(until: Until) -> StopRule | Callable[[Progress], bool]:
    """Return the stop rule that a text form or callable stands for.

    Raises:
        StopRuleError: ``until`` is not a rule, or it has more leads than ``limits.MAX_LEADS``.
            Rules are ``quiet``, ``first-spike``, ``votes(k)``, ``margin(k)``, ``margin(k,..)``,
            ``steps(n)`` and plain functions. k is at least 1 and n at least 0. In
            ``margin(k,..)``, single leads may be 0, but not all.
    """
    if isinstance(until, StopRule):
        until = str(until)
    if not isinstance(until, str):
        if inspect.iscoroutinefunction(until) or inspect.iscoroutinefunction(
            getattr(until, "__call__", None)  # noqa: B004  # the method is inspected, not called
        ):
            raise StopRuleError(f"`until` must be a plain function, got the async {until!r:.80}")
        if callable(until):
            return until
        raise StopRuleError(must_be("until", f"{_FORMS}, or a function", shown(until)))
    if until in ("quiet", "first-spike"):
        return StopRule(until)
    if until.startswith("confidence") or until == "trained":
        raise StopRuleError(
            must_be(
                "until",
                "a rule other than confidence(p) and trained, which only a bundle can state",
                shown(until),
            )
        )
    match = re.fullmatch(r"(votes|margin|steps)\(([0-9]{1,9}(?:, ?[0-9]{1,9})*)\)", until)
    if match is not None:
        rule = StopRule(match[1], tuple(map(int, match[2].split(","))))
        max_arguments = limits.MAX_LEADS if rule.name == "margin" else 1
        if len(rule.arguments) <= max_arguments and max(rule.arguments) >= _MINIMUM[rule.name]:
            return rule
    name = until.partition("(")[0]
    known = ("quiet", "first-spike", "confidence", "trained", *_MINIMUM)
    hint = "" if name in known else did_you_mean(name, known)
    raise StopRuleError(must_be("until", _FORMS, shown(until)) + hint)


def short_rule(rule: str) -> str:
    """Return a stop rule for a table; of four or more leads, keep only the first and the last."""
    leads = rule.split(",")
    return rule if len(leads) < 4 else f"{leads[0]},..,{leads[-1]}"


def should_stop(rule: StopRule | Callable[[Progress], bool], progress: Progress) -> bool:
    """Evaluate a custom stop rule.

    Raises:
        StopRuleError: the rule did not return a bool.
    """
    if not callable(rule):
        raise RuntimeError(
            "a built-in stop rule is run by kernels, but a kernel asked Python to evaluate it"
        )
    result = rule(progress)
    if not isinstance(result, bool | np.bool_):
        raise StopRuleError(
            f"the stop rule {rule!r:.80} must return True or False, got {result!r:.80}"
        )
    return bool(result)
