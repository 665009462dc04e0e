"""Mutations of bytes, integers and text that know nothing of a format."""

from collections.abc import Callable
from random import Random
from typing import Final

__all__ = ["INTEGERS", "Mutation", "mutated_bytes", "mutated_integer", "mutated_text"]

Mutation = Callable[[bytes, Random], bytes]
"""Returns changed data; equal arguments give equal results."""

INTEGERS: Final = tuple(
    sign * (2**power + offset)
    for power in (0, 4, 7, 8, 15, 16, 24, 31, 32, 53, 62, 63, 64)
    for offset in (-1, 0, 1)
    for sign in (1, -1)
)
"""Values at the edges of types and limits."""

_CHARACTERS: Final = "\0\n\"'\\{}[]();:,.#=->x09aZ \u00b5\u0660\u2028\ud800\U0001f600"


def mutated_bytes(data: bytes, rng: Random) -> bytes:
    """Return the data after one to four small changes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        rng.choice(_CHANGES)(changed, rng)
    return bytes(changed)


def mutated_integer(value: int, rng: Random) -> int:
    """Return another integer: a near one, or one at an edge."""
    near = (value + 1, value - 1, -value, 2 * value, value ^ 1 << rng.randrange(64))
    return rng.choice(near if rng.random() < 0.5 else INTEGERS)


def mutated_text(text: str, rng: Random) -> str:
    """Return the text with a part removed, repeated, moved or replaced."""
    start, stop = sorted(rng.randint(0, len(text)) for _ in range(2))
    if rng.random() < 0.7:
        stop = min(stop, start + 4)
    part = text[start:stop]
    inserted = rng.choice(
        (
            "",
            part * 2,
            part[::-1],
            rng.choice(_CHARACTERS),
            str(rng.choice(INTEGERS)),
            part[:4] * 40,
        )
    )
    return text[:start] + inserted + text[stop:]


def _flip(data: bytearray, rng: Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: Random) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _write_integer(data: bytearray, rng: Random) -> None:
    size = rng.choice((1, 2, 4, 8))
    at = rng.randint(0, max(len(data) - size, 0))
    value = rng.choice(INTEGERS) % 2 ** (8 * size)
    data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _cut(data: bytearray, rng: Random) -> None:
    start, stop = _span(data, rng)
    del data[start:stop]


def _truncate(data: bytearray, rng: Random) -> None:
    del data[rng.randint(0, len(data)) :]


def _repeat(data: bytearray, rng: Random) -> None:
    start, stop = _span(data, rng)
    data[start:start] = data[start:stop]


def _insert(data: bytearray, rng: Random) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.randbytes(rng.randint(1, 8))


def _nest(data: bytearray, rng: Random) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.choice((b"[", b'{"a":', b"(", b"\x91", b"\x81\xa1a")) * rng.choice((20, 3000))


def _move(data: bytearray, rng: Random) -> None:
    start, stop = _span(data, rng)
    part = data[start:stop]
    at = rng.randint(0, len(data))
    data[at : at + len(part)] = part


def _span(data: bytearray, rng: Random) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 64, 512)))


_COMMON: Final = (_flip, _set, _write_integer, _cut, _truncate, _repeat, _insert, _move)
_CHANGES: Final = (*_COMMON * 4, _nest)
