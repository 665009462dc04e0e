"""How a connection wants its samples run, from the query of its address."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from neuroasync.core.engine.run_settings import RunOptions, check_seed

__all__ = ["QueryError", "StreamOptions", "parse_query"]

_BOOLEANS: Final = {"0": False, "false": False, "1": True, "true": True}


class QueryError(ValueError):
    """A query that names what there is not, or gives it a value that it cannot have."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a query says.

    Attributes:
        run: how to run; what is left out is as the network has it.
        seed: of the stream; sample number n runs with ``sample_seed(seed, n)``.
        provisional: tell each time that another class leads.
    """

    run: RunOptions
    seed: int | None
    provisional: bool


def parse_query(pairs: Iterable[tuple[str, str]], *, one_shot: bool = False) -> StreamOptions:
    """Read the parameters of a query.

    Args:
        pairs: names and values; ``token`` is not looked at.
        one_shot: there is nobody to tell provisional decisions to.

    Raises:
        QueryError: a parameter is unknown, comes twice, or has a value that it cannot have. What
            only the network can judge (a policy's name, a stop rule) is not looked at.
    """
    known = ["policy", "group_size", "until", "input", "seed"]
    if not one_shot:
        known.append("provisional")
    found: dict[str, str] = {}
    for name, value in pairs:
        if name == "token":
            continue
        if name not in known:
            raise QueryError(f"{name!r:.80} is unknown, expected {', '.join(known)}")
        if name in found:
            raise QueryError(f"{name} is given twice, expected once")
        found[name] = value
    run = RunOptions()
    if "policy" in found:
        run["policy"] = found["policy"]
    if "group_size" in found:
        run["group_size"] = _integer("group_size", found["group_size"])
    if "until" in found:
        run["until"] = found["until"]
    if "input" in found:
        run["input"] = found["input"]  # type: ignore[typeddict-item]  # the network checks it
    return StreamOptions(run, _seed(found.get("seed")), _boolean(found.get("provisional", "0")))


def _seed(text: str | None) -> int | None:
    try:
        return None if text is None else check_seed(_integer("seed", text))
    except ValueError as error:
        raise QueryError(str(error)) from error


def _integer(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise QueryError(f"{name}: {text!r:.80}, expected an integer from 0")
    return int(text)


def _boolean(text: str) -> bool:
    if text not in _BOOLEANS:
        raise QueryError(f"provisional: {text!r:.80}, expected 0 or 1")
    return _BOOLEANS[text]
