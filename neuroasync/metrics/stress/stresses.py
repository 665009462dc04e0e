"""Stresses as data, and their text form.

A *stress* is one kind of change at one strength. The text form lists items that are separated by
``;``. An item is a kind, and optionally its strengths; without them, it has default strengths::

    input-loss; weight-noise 0.1,0.3; weight-bits 4; jitter 1ms,5ms; order random,fifo F=1,8 queued

============ ==================================================== ============================
kind         what changes                                         strength
============ ==================================================== ============================
input-loss   each input event is lost                             probability, 0 to 1
synapse-loss each synapse between populations fails for a sample  probability, 0 to 1
weight-noise each weight has a relative Gaussian error            standard deviation, 0 to 100
weight-bits  each weight is quantised symmetrically               bits, 2 to 16
order        the run mode is another one                          items of :class:`RunModes`
delay        each connection between populations takes longer     time
jitter       each input event is shifted by a Gaussian time       standard deviation, time
============ ==================================================== ============================
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from neuroasync import limits
from neuroasync.core.durations import microseconds
from neuroasync.core.formats.bundle import PolicySpec
from neuroasync.core.formats.orders.run_modes import mode_text, parse_run_modes
from neuroasync.core.model.checks import as_number, check_int, did_you_mean, must_be, shown
from neuroasync.core.model.connections import INPUT
from neuroasync.core.model.model import Model
from neuroasync.errors import PolicyError
from neuroasync.metrics.orders.mode_comparison import ALL_MODES

__all__ = ["Stress", "StressKind", "check_stresses", "default_stresses", "parse_stresses"]

StressKind: TypeAlias = Literal[
    "input-loss", "synapse-loss", "weight-noise", "weight-bits", "order", "delay", "jitter"
]
"""The kinds of stress."""

_KINDS: Final[tuple[StressKind, ...]] = get_args(StressKind)
_DEFAULTS: Final = {
    "input-loss": "0.05,0.1,0.2,0.4",
    "synapse-loss": "0.05,0.1,0.2,0.4",
    "weight-noise": "0.1,0.2,0.4,0.8",
    "weight-bits": "8,6,5,4,3,2",
}
_TIMESTEPS: Final = (1, 2, 4)
"""The default delays and jitters in timesteps."""
_MAX_STRESSES: Final = 1024
_MAX_NOISE: Final = 100
_EXAMPLE: Final = "'input-loss 0.1,0.2; weight-bits 4; order random F=1,8 queued'"
_NUMBER: Final = re.compile(
    r"([0-9]{1,20}([.][0-9]{0,20})?|[.][0-9]{1,20})(e-?[0-9]{1,3})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Stress:
    """A change to a network or its input: one kind at one strength.

    Attributes:
        kind: What changes.
        strength: How much: a probability for ``"input-loss"`` and ``"synapse-loss"``, a standard
            deviation relative to each weight for ``"weight-noise"``, a number of bits for
            ``"weight-bits"``, µs for ``"delay"`` and ``"jitter"``, and a run mode for ``"order"``.

    Raises:
        ValueError: A field is out of range.
    """

    kind: StressKind
    strength: float | PolicySpec

    def __post_init__(self) -> None:
        """Check both fields."""
        if self.kind not in _KINDS:
            raise ValueError(must_be("kind", f"one of {list(_KINDS)}", shown(self.kind)))
        object.__setattr__(self, "strength", _checked(self.kind, self.strength))

    def __str__(self) -> str:
        """Return the text from which :func:`parse_stresses` makes this stress."""
        return f"{self.kind} {self.amount}"

    @property
    def amount(self) -> str:
        """The strength as text, such as ``0.1``, ``5000us`` or ``random F=8 queued``."""
        if isinstance(self.strength, PolicySpec):
            return mode_text(self.strength)
        return f"{self.strength}us" if self.kind in ("delay", "jitter") else f"{self.strength}"

    @property
    def has_chance(self) -> bool:
        """Whether seeds make a difference to the change itself."""
        return self.kind in ("input-loss", "synapse-loss", "weight-noise", "jitter")


def default_stresses(model: Model) -> tuple[Stress, ...]:
    """Return every stress that fits a network, with default strengths.

    ``synapse-loss`` and ``delay`` need a connection between populations. The default strengths of
    ``delay`` and ``jitter`` are 1, 2 and 4 timesteps, so they need a timestep.
    """
    return tuple(stress for kind in _KINDS for stress in _defaults(kind, model))


def parse_stresses(text: str, model: Model) -> tuple[Stress, ...]:
    """Return the stresses that a text describes, such as ``"input-loss 0.1,0.2; weight-bits"``.

    Args:
        text: The text form.
        model: The network, whose timestep decides the default delays and jitters.

    Raises:
        ValueError: The text is malformed, or lists a stress twice or too many of them.
        PolicyError: A run mode is malformed.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(must_be("stresses", f"text such as {_EXAMPLE}", shown(text)))
    if len(text) > limits.MAX_TEXT_CHARS:
        requirement = f"text of at most {limits.MAX_TEXT_CHARS} characters"
        raise ValueError(must_be("stresses", requirement, f"{len(text)}"))
    found: list[Stress] = []
    for item in text.split(";"):
        for stress in _parsed(item, model):
            if stress in found:
                raise ValueError(f"`stresses` lists {str(stress)!r} twice")
            found.append(stress)
    return check_stresses(found)


def check_stresses(stresses: object) -> tuple[Stress, ...]:
    """Return stresses as a tuple.

    Raises:
        ValueError: There are none or too many, or one occurs twice or is no :class:`Stress`.
    """
    values = tuple(stresses) if isinstance(stresses, tuple | list) else ()
    if not 1 <= len(values) <= _MAX_STRESSES:
        requirement = f"a list of 1 to {_MAX_STRESSES} stresses"
        raise ValueError(must_be("stresses", requirement, shown(stresses)))
    for k, stress in enumerate(values):
        if not isinstance(stress, Stress):
            raise ValueError(must_be(f"stresses[{k}]", "a Stress", shown(stress)))
        if stress in values[:k]:
            requirement = "different from all stresses before it"
            raise ValueError(must_be(f"stresses[{k}]", requirement, str(stress)))
    return values


def _checked(kind: StressKind, strength: object) -> float | PolicySpec:
    match kind:
        case "order":
            if not isinstance(strength, PolicySpec):
                raise ValueError(must_be("strength", "a PolicySpec for an order", shown(strength)))
            return strength
        case "weight-bits":
            return check_int("strength", strength, 2, 16, ValueError)
        case "delay" | "jitter":
            return check_int("strength", strength, 1, limits.MAX_TIME_US, ValueError)
    most = _MAX_NOISE if kind == "weight-noise" else 1
    number = as_number(strength)
    if number is None or not (math.isfinite(number) and 0 <= number <= most):
        raise ValueError(must_be("strength", f"a number from 0 to {most}", shown(strength)))
    return float(number)


def _defaults(kind: StressKind, model: Model) -> Iterator[Stress]:
    """Yield the default stresses of a kind; none if the kind does not fit the network."""
    has_links = any(c.source != INPUT for c in model.connections)
    if kind in ("synapse-loss", "delay") and not has_links:
        return
    if kind == "order":
        yield from (Stress(kind, mode) for mode in parse_run_modes(ALL_MODES).modes)
    elif kind in ("delay", "jitter"):
        for count in _TIMESTEPS if model.timestep_us else ():
            yield Stress(kind, count * model.timestep_us)
    else:
        yield from _with_strengths(kind, _DEFAULTS[kind])


def _parsed(item: str, model: Model) -> Iterator[Stress]:
    """Yield the stresses of an item."""
    kind, *rest = item.strip().split(maxsplit=1) or [""]
    if kind not in _KINDS:
        hint = did_you_mean(kind, _KINDS)
        raise ValueError(
            f"`stresses` has {kind!r:.80}, but an item must begin with a kind, which is one of "
            f"{', '.join(_KINDS)}{hint}"
        )
    if rest:
        yield from _with_strengths(kind, rest[0])
        return
    stresses = list(_defaults(kind, model))
    if not stresses:
        reason = "the network has no timestep; write a time such as 5ms after it"
        if all(c.source == INPUT for c in model.connections):
            reason = "the network has no connection between populations"
        raise ValueError(f"`stresses` has {kind!r} without strengths, but {reason}")
    yield from stresses


def _with_strengths(kind: StressKind, text: str) -> Iterator[Stress]:
    """Yield the stresses of a kind with the strengths that a text lists."""
    if kind == "order":
        try:
            modes = parse_run_modes(text).modes
        except PolicyError as error:
            raise PolicyError(f"`stresses`: in 'order {text:.80}', {error}") from error
        yield from (Stress(kind, mode) for mode in modes)
        return
    read: Callable[[str, str], float] = _time if kind in ("delay", "jitter") else _number
    for part in text.split(","):
        try:
            yield Stress(kind, read(kind, part.strip()))
        except ValueError as error:
            raise ValueError(f"`stresses`: in '{kind} {part.strip():.80}', {error}") from error


def _time(kind: str, text: str) -> int:
    return microseconds(text, "strength")


def _number(kind: str, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(must_be("strength", "a number", shown(text)))
    return int(text) if kind == "weight-bits" and text.isdigit() else float(text)
