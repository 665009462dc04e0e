"""Distributions over run modes, and their text form.

A *run mode* is an ordering policy with a group size F and an input mode. The text form lists items
that are separated by ``;``. Each item has one or more policies, and optionally group sizes
(``F=1,8``; 1 without), input modes (``prioritised`` without), the noise of ``momentum`` and a
weight (1 without), in any order::

    layer-sync; random F=1,8 queued; momentum F=8 x2
    random,fifo F=1,8 prioritised,queued; momentum F=8 noise=0.5

An item stands for every combination of its lists, and its weight is the weight of each of them: the
first text has four modes, and a draw from it gives ``momentum`` with probability 2/5.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, product
from typing import Any, Final

from neuroasync import limits
from neuroasync.core.formats.bundle_golden import PolicySpec
from neuroasync.core.model.checks import check_int, did_you_mean, must_be, shown
from neuroasync.errors import BundleError, PolicyError

__all__ = ["RunModes", "mode_text", "parse_run_modes"]

_POLICIES: Final = ("layer-sync", "random", "momentum", "fifo")
_INPUTS: Final = ("prioritised", "queued")
_EXAMPLE: Final = "'layer-sync; random F=1,8 queued; momentum F=8 x2'"
_WORD: Final = re.compile(
    r"F=(?P<sizes>[0-9]{1,10}(,[0-9]{1,10})*)"
    r"|noise=(?P<noise>[0-9]{1,20}(\.[0-9]{1,20})?(e-?[0-9]{1,3})?)"
    r"|x(?P<weight>[0-9]{1,10})"
    r"|(?P<inputs>(prioritised|queued)(,(prioritised|queued))*)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class RunModes:
    """A distribution over run modes: ordering policies with group sizes and input modes.

    ``str()`` returns the text from which :func:`parse_run_modes` makes an equal distribution.

    Attributes:
        modes: the run modes, all different; at least one, at most ``limits.MAX_RUN_MODES``.
        weights: relative weight of each mode in a draw, from 1 to 1,000,000. Without weights, all
            modes have weight 1.

    Raises:
        PolicyError: there is no mode, one occurs twice, or a weight is out of range.
    """

    modes: tuple[PolicySpec, ...]
    weights: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the modes and weights."""
        modes = tuple(self.modes)
        if not 1 <= len(modes) <= limits.MAX_RUN_MODES:
            requirement = f"1 to {limits.MAX_RUN_MODES} run modes"
            raise PolicyError(must_be("modes", requirement, str(len(modes))))
        for k, mode in enumerate(modes):
            if not isinstance(mode, PolicySpec):
                raise PolicyError(must_be(f"modes[{k}]", "a PolicySpec", shown(mode)))
            if mode in modes[:k]:
                requirement = "different from all run modes before it"
                raise PolicyError(must_be(f"modes[{k}]", requirement, mode_text(mode)))
        weights = tuple(self.weights) or (1,) * len(modes)
        if len(weights) != len(modes):
            requirement = f"a list of {len(modes)} weights, one for each run mode"
            raise PolicyError(must_be("weights", requirement, str(len(weights))))
        checked = tuple(
            check_int(f"weights[{k}]", weight, 1, limits.MAX_MODE_WEIGHT, PolicyError)
            for k, weight in enumerate(weights)
        )
        object.__setattr__(self, "modes", modes)
        object.__setattr__(self, "weights", checked)

    def __len__(self) -> int:
        """Return the number of run modes."""
        return len(self.modes)

    def __iter__(self) -> Iterator[tuple[PolicySpec, int]]:
        """Iterate over the run modes, each with its weight."""
        return zip(self.modes, self.weights, strict=True)

    def __str__(self) -> str:
        """Return the text form. Modes that differ in F only share an item."""
        items = []
        for (name, mode, noise, weight), group in groupby(self, _but_size):
            sizes = [spec.group_size for spec, _ in group]
            items.append(_item(name, sizes, mode, noise, weight))
        return "; ".join(items)

    def draw(self, key: int) -> PolicySpec:
        """Return the run mode that a number selects, each with the probability of its weight.

        Args:
            key: a uniformly distributed integer of 64 bits, for example of
                :func:`~neuroasync.order_key`.
        """
        rest = key % sum(self.weights)
        for mode, weight in self:
            if rest < weight:
                return mode
            rest -= weight
        raise ValueError(must_be("key", "an integer", shown(key)))


def parse_run_modes(text: str) -> RunModes:
    """Return the distribution over run modes that a text describes.

    For example, ``"layer-sync; random F=1,8 queued; momentum F=8 x2"`` has four modes, of which the
    last has twice the weight of each other one.

    Raises:
        PolicyError: the text is malformed, lists a mode twice, or lists too many.
    """
    if not isinstance(text, str) or not text.strip():
        raise PolicyError(must_be("modes", f"text such as {_EXAMPLE}", shown(text)))
    if len(text) > limits.MAX_TEXT_CHARS:
        requirement = f"text of at most {limits.MAX_TEXT_CHARS} characters"
        raise PolicyError(must_be("modes", requirement, f"{len(text)}"))
    found: dict[PolicySpec, int] = {}
    for item in text.split(";"):
        for mode, weight in _parsed(item):
            if mode in found:
                raise PolicyError(f"`modes` lists {mode_text(mode)!r} twice")
            found[mode] = weight
            if len(found) > limits.MAX_RUN_MODES:
                raise PolicyError(f"`modes` lists more than {limits.MAX_RUN_MODES} run modes")
    return RunModes(tuple(found), tuple(found.values()))


def mode_text(mode: PolicySpec) -> str:
    """Return the text form of a run mode, such as ``random F=8 queued``."""
    return _item(mode.name, [mode.group_size], mode.input, mode.noise, 1)


def _item(name: str, sizes: list[int], input_mode: str, noise: float, weight: int) -> str:
    """Return the text of an item."""
    words = [name]
    if name != "layer-sync" or sizes != [1]:
        words.append(f"F={','.join(map(str, sizes))}")
    if input_mode != "prioritised":
        words.append(input_mode)
    if noise:
        words.append(f"noise={noise!r}".replace("+", ""))
    if weight != 1:
        words.append(f"x{weight}")
    return " ".join(words)


def _but_size(pair: tuple[PolicySpec, int]) -> tuple[str, str, float, int]:
    """Return everything about a weighted run mode except its group size."""
    mode, weight = pair
    return mode.name, mode.input, mode.noise, weight


def _parsed(item: str) -> Iterator[tuple[PolicySpec, int]]:
    """Yield the run modes of an item, each with its weight."""
    words = item.split()
    if not words:
        raise PolicyError(f"`modes` has an empty item; an example is {_EXAMPLE}")
    policies = words[0].split(",")
    for name in policies:
        if name not in _POLICIES:
            hint = did_you_mean(name, _POLICIES)
            raise PolicyError(
                f"`modes` has {name!r:.80}, but an item must begin with ordering policies, which "
                f"are {', '.join(_POLICIES)}{hint}"
            )
    given: dict[str, str] = {}
    for word in words[1:]:
        match = _WORD.fullmatch(word)
        if match is None:
            raise PolicyError(
                f"`modes` has {word!r:.80}, but after its policies an item may only have group "
                "sizes such as F=1,8, the input modes prioritised and queued, noise=X and a weight "
                f"such as x2{did_you_mean(word, _INPUTS)}"
            )
        (key, value) = next((k, v) for k, v in match.groupdict().items() if v is not None)
        if key in given:
            raise PolicyError(f"`modes` has {word!r:.80} in an item that has {key} already")
        given[key] = value
    yield from _combinations(policies, given)


def _combinations(policies: list[str], given: dict[str, str]) -> Iterator[tuple[PolicySpec, int]]:
    """Yield every combination of the lists of an item."""
    sizes = [int(size) for size in given.get("sizes", "1").split(",")]
    inputs: list[Any] = given.get("inputs", "prioritised").split(",")
    weight, noise = int(given.get("weight", "1")), float(given.get("noise", "0"))
    for name, mode, size in product(policies, inputs, sizes):
        try:
            yield PolicySpec(name, size, mode, noise), weight
        except BundleError as error:
            raise PolicyError(f"`modes`: {error}") from error
