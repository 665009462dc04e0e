"""Mutations of a decoded value: maps, lists, text, bytes and numbers within each other."""

import copy
import math
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from tests.fuzzing.mutate_bytes import INTEGERS, mutated_bytes, mutated_integer, mutated_text

__all__ = ["mutated_tree"]

_SCALARS: Final = (
    None, True, False, "", "input", "\ud800", "x" * 70_000, 0.5, -0.0, 1e300, math.inf, -math.inf,
    math.nan, *INTEGERS,
)  # fmt: skip
_MAX_NODES: Final = 5000
"""Places of a tree that a mutation chooses from."""


def mutated_tree(value: Any, rng: Random) -> Any:
    """Return a copy of the value in which a few places, often only one, are changed."""
    root = [copy.deepcopy(value)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(root))
        container, key = rng.choice(places)
        _change(container, key, rng, places)
    return root[0]


def _places(container: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of the tree as its container and the key or position there."""
    waiting, count = [container], 0
    while waiting and count < _MAX_NODES:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            count += 1
            yield node, key
            if isinstance(node[key], dict | list):
                waiting.append(node[key])


def _change(container: Any, key: Any, rng: Random, places: list[tuple[Any, Any]]) -> None:
    value, choice = container[key], rng.random()
    if choice < 0.6:
        container[key] = _changed(value, rng)
    elif choice < 0.7:
        container[key] = rng.choice(([], {}, b"", [[]], {"": None}, rng.choice(_SCALARS)))
    elif choice < 0.8:
        other, place = rng.choice(places)
        container[key] = copy.deepcopy(other[place])  # the tree stays a tree
    elif isinstance(container, list):
        if choice < 0.9 and len(container) > 1:
            del container[key]
        else:
            is_small = isinstance(value, int | float) or value is None
            container[key:key] = [copy.deepcopy(value)] * (rng.choice((1, 300)) if is_small else 1)
    elif choice < 0.9:
        del container[key]
    else:
        name = mutated_text(key, rng) if isinstance(key, str) else rng.choice(_SCALARS)
        container[name] = container.pop(key)


def _changed(value: Any, rng: Random) -> Any:
    match value:
        case bool() | None:
            return rng.choice(_SCALARS)
        case int():
            return mutated_integer(value, rng)
        case float():
            return rng.choice((-value, value * 2, value / 3, int(value), *_SCALARS[7:13]))
        case str():
            return mutated_text(value, rng)
        case bytes():
            return mutated_bytes(value, rng)
        case dict():
            return dict(reversed(value.items()))
        case list():
            return value[::-1] if rng.random() < 0.5 else value[: rng.randint(0, len(value))]
    return rng.choice(_SCALARS)
