"""What a question comes to: lines of figures, a baseline, and what was checked."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from bench.paired_timing import Quantiles, Timings

__all__ = [
    "Answer",
    "CheckError",
    "Line",
    "Question",
    "Scale",
    "add_figures",
    "expect_same",
    "lines_of",
    "scaled",
]


class CheckError(Exception):
    """Two ways to compute the same did not come to the same: figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        rounds: paired rounds, at most.
        calls: of each contender in a round.
        seconds: of a measurement that runs for a time.
        quick: whether the smallest sizes will do.
    """

    rounds: int
    calls: int
    seconds: float
    quick: bool = False

    def fewer(self, divisor: int) -> "Scale":
        """For calls that take that much longer."""
        calls = max(1, self.calls // divisor)
        return Scale(max(3, self.rounds // divisor), calls, self.seconds, self.quick)


@dataclass(frozen=True, slots=True)
class Line:
    """One contender's figures.

    Attributes:
        name: what it is.
        values: its quantiles, in the answer's unit; None for a line of a single figure.
        ratio: median over rounds of its cost to the baseline's; 1 for the baseline itself.
        ratio_spread: 10th and 90th percentile of those per-round ratios.
        target: the largest ratio or value that is hoped for, in words.
        figures: whatever else was measured or counted, by name with unit.
    """

    name: str
    values: Quantiles | None = None
    ratio: float | None = None
    ratio_spread: tuple[float, float] | None = None
    target: str = ""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    Attributes:
        name: of the question, as in ``--only``.
        question: in words.
        unit: of the lines' quantiles.
        baseline: the line that ratios are to.
        lines: the figures.
        checks: what was found to be the same, in words. Never empty.
        notes: what to know when reading, and what was left out.
    """

    name: str
    question: str
    unit: str
    baseline: str
    lines: tuple[Line, ...]
    checks: tuple[str, ...]
    notes: tuple[str, ...] = ()


Question: TypeAlias = Callable[[Scale], Coroutine[Any, Any, Answer]]
"""Asked inside a running uvloop loop, unless it opens loops of its own."""


def lines_of(timings: Timings, baseline: str, unit_s: float = 1e-3) -> list[Line]:
    """A line for each contender: its quantiles in units of ``unit_s`` seconds, its ratio."""
    lines = []
    for name in timings.names:
        ratios = timings.ratios(name, baseline)
        low, high = np.quantile(ratios, (0.1, 0.9)).tolist()
        values = scaled(timings.quantiles(name), unit_s)
        lines.append(Line(name, values, float(np.median(ratios)), (low, high)))
    return lines


def scaled(values: Quantiles, unit: float) -> Quantiles:
    """The quantiles in another unit, of the size ``unit`` in the present one."""
    p50, p90, p99, largest = (v / unit for v in (values.p50, values.p90, values.p99, values.max))
    return Quantiles(values.n, p50, p90, p99, largest)


def add_figures(line: Line, figures: dict[str, float], target: str = "") -> Line:
    """The line with more figures, and a target if one is given."""
    return replace(line, figures=line.figures | figures, target=target or line.target)


def expect_same(what: str, outcomes: Mapping[str, Iterable[object]]) -> str:
    """Say that all outcomes are the same.

    Args:
        what: is the same, in words.
        outcomes: by who came to them; in the same order.

    Raises:
        CheckError: two differ; says whose, and where.
    """
    (first, expected), *others = ((name, list(values)) for name, values in outcomes.items())
    for name, found in others:
        if len(found) != len(expected):
            raise CheckError(f"{what}: {name} has {len(found)}, {first} has {len(expected)}")
        for k, (a, b) in enumerate(zip(expected, found, strict=True)):
            if a != b:
                raise CheckError(f"{what}: call {k}: {first} has {a}, {name} has {b}")
    who = ", ".join(outcomes) if len(outcomes) <= 4 else f"each of {len(outcomes)}"
    return f"{what}: same in {len(expected)} calls of {who}"
