"""The result of a question: lines of figures, a baseline, and the checks that passed."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from bench.paired_timing import Quantiles, Timings

__all__ = [
    "CheckError",
    "Line",
    "Question",
    "Result",
    "Scale",
    "add_figures",
    "expect_same",
    "lines_of",
    "scaled",
]


class CheckError(Exception):
    """Two contenders gave different results, so that their times cannot be compared."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        rounds: maximum number of paired rounds.
        calls: calls of each contender per round.
        seconds: duration of measurements that run for a fixed time.
        quick: whether to measure only the smallest sizes.
    """

    rounds: int
    calls: int
    seconds: float
    quick: bool = False

    def fewer(self, divisor: int) -> "Scale":
        """Return a scale for calls that take ``divisor`` times as long."""
        calls = max(1, self.calls // divisor)
        return Scale(max(3, self.rounds // divisor), calls, self.seconds, self.quick)


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one contender.

    Attributes:
        name: name of the contender.
        values: quantiles in the unit of the result; None for a line of single figures.
        ratio: median over rounds of its cost divided by the cost of the baseline.
        ratio_spread: 10th and 90th percentile of those per-round ratios.
        target: the ratio or value to reach, in words.
        figures: further measurements and counts, by name with unit.
    """

    name: str
    values: Quantiles | None = None
    ratio: float | None = None
    ratio_spread: tuple[float, float] | None = None
    target: str = ""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one question.

    Attributes:
        name: name of the question, as in ``--only``.
        question: the question in words.
        unit: unit of the quantiles.
        baseline: name of the line that ratios refer to.
        lines: the figures of each contender.
        checks: the checks that passed, in words; never empty.
        notes: remarks, and contenders that were left out.
    """

    name: str
    question: str
    unit: str
    baseline: str
    lines: tuple[Line, ...]
    checks: tuple[str, ...]
    notes: tuple[str, ...] = ()


Question: TypeAlias = Callable[[Scale], Coroutine[Any, Any, Result]]
"""A coroutine function that runs in a uvloop event loop; it may open further event loops."""


def lines_of(timings: Timings, baseline: str, unit_s: float = 1e-3) -> list[Line]:
    """Return a line per contender, with quantiles in units of ``unit_s`` seconds and the ratio.

    It also has the least time, and its ratio to that of the baseline: a busy machine adds to most
    calls, and more to long ones, but hardly to the least.
    """
    lines = []
    for name in timings.names:
        ratios = timings.ratios(name, baseline)
        low, high = np.quantile(ratios, (0.1, 0.9)).tolist()
        values = scaled(timings.quantiles(name), unit_s)
        least = timings.least(name)
        figures = {"min": least / unit_s, "min ratio": least / timings.least(baseline)}
        lines.append(Line(name, values, float(np.median(ratios)), (low, high), figures=figures))
    return lines


def scaled(values: Quantiles, unit: float) -> Quantiles:
    """Return the quantiles divided by ``unit``."""
    p50, p90, p99, largest = (v / unit for v in (values.p50, values.p90, values.p99, values.max))
    return Quantiles(values.n, p50, p90, p99, largest)


def add_figures(line: Line, figures: dict[str, float], target: str = "") -> Line:
    """Return the line with further figures, and with the target if one is given."""
    return replace(line, figures=line.figures | figures, target=target or line.target)


def expect_same(label: str, outcomes: Mapping[str, Iterable[object]]) -> str:
    """Check that all outcomes are equal and return a sentence that says so.

    Args:
        label: what is compared, in words.
        outcomes: the outcomes of each contender, in the same order.

    Raises:
        CheckError: two outcomes differ; the message names the contenders and the call.
    """
    (first, expected), *others = ((name, list(values)) for name, values in outcomes.items())
    for name, values in others:
        if len(values) != len(expected):
            raise CheckError(f"{label}: {name} has {len(values)}, {first} has {len(expected)}")
        for k, (a, b) in enumerate(zip(expected, values, strict=True)):
            if a != b:
                raise CheckError(f"{label}: call {k}: {first} has {a}, {name} has {b}")
    names = ", ".join(outcomes) if len(outcomes) <= 4 else f"each of {len(outcomes)}"
    return f"{label}: same in {len(expected)} calls of {names}"
