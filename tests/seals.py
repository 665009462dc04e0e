"""Takes snapshots apart, and puts them together again with what a test has changed."""

import hashlib

import msgpack


def unsealed(snapshot: bytes) -> dict:
    """What a session held."""
    return msgpack.unpackb(msgpack.unpackb(snapshot)["session"])


def sealed(held: dict | bytes, **outer) -> bytes:
    """A snapshot of that; ``outer`` overrides what is around it."""
    data = held if isinstance(held, bytes) else msgpack.packb(held)
    around = {"format": "neuroasync-session", "version": 2}
    checked = {"sha256": hashlib.sha256(data).digest(), "session": data}
    return msgpack.packb({**around, **checked, **outer})
