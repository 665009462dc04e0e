"""Run options of a connection or request, from the query of its address."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

from neuroasync.core.engine.policies import PolicyName
from neuroasync.core.engine.run_settings import RunOptions, check_seed

__all__ = ["QueryError", "StreamOptions", "parse_query"]

_BOOLEANS: Final = {"0": False, "false": False, "1": True, "true": True}
_MAX_DIGITS: Final = 20
"""A seed is below 2**64, which has 20 digits."""


class QueryError(ValueError):
    """A query with an unknown or repeated parameter, or with an invalid value."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """The options that a query selects.

    Attributes:
        network: Name of the network that runs the samples, or None for the default network.
        run: How to run samples. Options that are absent default to those of the network.
        seed: Seed of the stream, or None. Sample n runs with ``sample_seed(seed, n)``.
        provisional: Whether to send a decision each time another class takes the lead.
    """

    network: str | None
    run: RunOptions
    seed: int | None
    provisional: bool


def parse_query(
    pairs: Iterable[tuple[str, str]], *, allow_provisional: bool = True
) -> StreamOptions:
    """Parse the parameters of a query.

    The network checks the policy, the stop rule and the ranges when it uses them, and the server
    looks up the network; this function does neither.

    Args:
        pairs: Names and values. ``token`` is ignored.
        allow_provisional: Whether ``provisional`` is a known parameter.

    Raises:
        QueryError: A parameter is unknown, appears twice, or has an invalid value.
    """
    known = ["network", "policy", "group_size", "until", "input", "seed"]
    if allow_provisional:
        known.append("provisional")
    values: dict[str, str] = {}
    for name, value in pairs:
        if name == "token":
            continue
        if name not in known:
            raise QueryError(
                f"unknown parameter {name!r:.80}; known parameters are {', '.join(known)}"
            )
        if name in values:
            raise QueryError(f"parameter `{name}` must appear only once")
        values[name] = value
    run = RunOptions()
    if "policy" in values:
        run["policy"] = cast("PolicyName", values["policy"])  # the network checks the name
    if "group_size" in values:
        run["group_size"] = _parse_integer(
            "group_size", values["group_size"], "an integer of at least 1"
        )
    if "until" in values:
        run["until"] = values["until"]
    if "input" in values:
        run["input"] = values["input"]  # type: ignore[typeddict-item]  # the network checks it
    provisional = _parse_boolean("provisional", values.get("provisional", "0"))
    seed = _parse_seed(values.get("seed"))
    return StreamOptions(values.get("network"), run, seed, provisional)


def _parse_seed(text: str | None) -> int | None:
    try:
        if text is None:
            return None
        return check_seed(_parse_integer("seed", text, "an integer from 0 to 2**64 - 1"))
    except ValueError as error:
        raise QueryError(str(error)) from error


def _parse_integer(name: str, text: str, requirement: str) -> int:
    # The length is checked first, because converting long texts takes quadratic time.
    if not (len(text) <= _MAX_DIGITS and text.isascii() and text.isdecimal()):
        raise QueryError(f"`{name}` must be {requirement}, got {text!r:.80}")
    return int(text)


def _parse_boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise QueryError(f"`{name}` must be 0 or 1, got {text!r:.80}")
    return _BOOLEANS[text]
