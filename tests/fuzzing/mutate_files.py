"""Mutations that know a format, so that the checks behind its digest and decoder are reached."""

import hashlib
import io
import json
import struct
import zipfile
import zlib
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgpack

from tests.fuzzing.mutate_bytes import Mutation, mutated_bytes, mutated_text
from tests.fuzzing.mutate_tree import mutated_tree
from tests.helpers.malformed_files import archive, pack, seal, sealed

__all__ = [
    "mutate_bundle",
    "mutate_checkpoint",
    "mutate_message",
    "mutate_npz",
    "mutate_query",
    "mutate_recording",
    "mutate_snapshot",
    "mutate_text",
]

_DAMAGE = (
    ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, MemoryError,
    struct.error, zlib.error, msgpack.UnpackException, zipfile.BadZipFile, zipfile.LargeZipFile,
    EOFError, NotImplementedError, OSError, RuntimeError,
)  # fmt: skip
"""Errors of decoding or encoding input that is damaged already; its bytes are changed then."""


def mutate_bundle(data: bytes, rng: Random, mutate: Mutation) -> bytes:
    """Change a bundle: its bytes, those of its body, or the body's fields; then seal it."""
    return _mutated_envelope(data, rng, mutate, "network", seal)


def mutate_snapshot(data: bytes, rng: Random, mutate: Mutation) -> bytes:
    """Change a snapshot: its bytes, those of its body, or the body's fields; then seal it."""
    return _mutated_envelope(data, rng, mutate, "session", sealed)


def mutate_checkpoint(data: bytes, rng: Random, mutate: Mutation) -> bytes:
    """Change a checkpoint: its bytes, those of its body, or the body's fields; then seal it."""
    return _mutated_envelope(data, rng, mutate, "training", _sealed_training)


def _sealed_training(training: bytes) -> bytes:
    digest = hashlib.sha256(training).digest()
    fields = {"format": "neuroasync-checkpoint", "version": 2}
    return pack(fields | {"sha256": digest, "training": training})


def _mutated_envelope(data: bytes, rng: Random, mutate: Mutation, key: str, close: Any) -> bytes:
    choice = rng.random()
    try:
        if choice < 0.15:
            return mutate(data, rng)
        outer = msgpack.unpackb(data)
        if choice < 0.2:
            return pack(mutated_tree(outer, rng))
        if choice < 0.5:
            return bytes(close(mutate(outer[key], rng)))
        return bytes(close(pack(mutated_tree(msgpack.unpackb(outer[key]), rng))))
    except _DAMAGE:
        return mutate(data, rng)


def mutate_npz(data: bytes, rng: Random, mutate: Mutation) -> bytes:
    """Change an archive: its bytes, or the header, values or number of its members."""
    return _mutated_archive(data, rng, mutate, {})


def mutate_recording(data: bytes, rng: Random, mutate: Mutation) -> bytes:
    """Change a recording like any archive, or the JSON text in it."""
    return _mutated_archive(data, rng, mutate, {"info": _mutated_json})


def _mutated_archive(
    data: bytes, rng: Random, mutate: Mutation, content: dict[str, Mutation]
) -> bytes:
    try:
        if rng.random() < 0.15:
            return mutate(data, rng)
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            members = [(name, opened.read(name)) for name in opened.namelist()]
        for _ in range(rng.randint(1, 2)):
            _change_member(members, rng, mutate, content)
        method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        return archive(members, method)
    except _DAMAGE:
        return mutate(data, rng)


def _change_member(
    members: list[tuple[str, bytes]], rng: Random, mutate: Mutation, content: dict[str, Mutation]
) -> None:
    at, choice = rng.randrange(len(members)), rng.random()
    name, raw = members[at]
    length = 10 + int.from_bytes(raw[8:10], "little")
    header, values = raw[:length], raw[length:]
    if choice < 0.05:
        members.pop(at)
    elif choice < 0.1:
        members.append((rng.choice((name, mutated_text(name, rng))), raw))
    elif choice < 0.25:
        members[at] = name, header[:10] + mutate(header[10:], rng) + values
    elif choice < 0.35:
        members[at] = name, rng.choice(members)[1]
    else:
        change = content.get(name.removesuffix(".npy"), mutate)
        changed = change(values, rng)
        members[at] = name, _resized(header, len(values), len(changed)) + changed


def _resized(header: bytes, before: int, after: int) -> bytes:
    """Return the header of a list of numbers with the length that its changed values have."""
    start, shape, rest = header.partition(b"'shape': (")
    count, comma, end = rest.partition(b",)")
    if before in (0, after) or not shape or not comma or not count.isdigit() or not int(count):
        return header
    body = start + shape + b"%d" % (after * int(count) // before) + comma + end.rstrip() + b"\n"
    return body[:8] + struct.pack("<H", len(body) - 10) + body[10:]


def mutate_message(data: bytes, rng: Random, mutate: Mutation) -> bytes:
    """Change a message in JSON or MessagePack: its bytes or its fields."""
    try:
        if rng.random() < 0.3:
            return mutate(data, rng)
        if data[:1] in b"{[":
            return _mutated_json(data, rng)
        return pack(mutated_tree(msgpack.unpackb(data), rng))
    except _DAMAGE:
        return mutate(data, rng)


def _mutated_json(data: bytes, rng: Random) -> bytes:
    try:
        return json.dumps(mutated_tree(json.loads(data), rng)).encode()
    except _DAMAGE:
        return mutated_bytes(data, rng)


def mutate_query(data: bytes, rng: Random, mutate: Mutation) -> bytes:
    """Change a query: its bytes, or its names and values."""
    if rng.random() < 0.3:
        return mutate(data, rng)
    pairs = parse_qsl(data.decode("latin-1"), keep_blank_values=True, max_num_fields=None)
    if not pairs:
        return mutate(data, rng)
    at = rng.randrange(len(pairs))
    name, value = pairs[at]
    choice = rng.random()
    if choice < 0.1:
        pairs.append(pairs[at])
    elif choice < 0.2:
        pairs[at] = mutated_text(name, rng), value
    else:
        pairs[at] = name, mutated_text(value, rng)
    return urlencode(pairs, errors="replace").encode()


def mutate_text(data: bytes, rng: Random, mutate: Mutation) -> bytes:
    """Change a text: its bytes, its characters, or the order of its words."""
    choice = rng.random()
    if choice < 0.3:
        return mutate(data, rng)
    text = data.decode("utf-8", "replace")
    if choice < 0.6:
        return mutated_text(text, rng).encode("utf-8", "replace")
    words = text.split(" ")
    at, other = rng.randrange(len(words)), rng.randrange(len(words))
    if choice < 0.75:
        words[at] = mutated_text(words[at], rng)
    elif choice < 0.9:
        words[at] = words[other]
    else:
        words.insert(at, words[other])
    return " ".join(words).encode("utf-8", "replace")
