"""Thousands of damaged files: each is read as an equal value or rejected with the documented error.

Half of the bundles are damaged in their structure and get a valid digest again, so that the damage
reaches every check. Each mutation depends on its number only, so a failing one can be repeated.
Memory is measured throughout.
"""

import copy
import random
import tracemalloc

import msgpack
import pytest

from neuroasync.core.formats.bundle import dump_bundle, read_bundle
from neuroasync.core.formats.spike_file import read_spikes, write_spikes
from neuroasync.errors import BundleError, SpikeFileError
from tests.helpers.malformed_files import (
    Pairs,
    archive,
    body_of,
    npy,
    pack,
    rich_bundle,
    seal,
    some_spikes,
    spike_members,
)

COUNT = 1000
STRANGE = [None, True, -1, 0, 2**63, 2**64 - 1, 1.5, float("nan"), float("inf"), "", "x" * 300]
STRANGE += [b"", b"\0" * 64, [], [[]], {}, {"dtype": "<f4", "shape": [1], "data": b"\0" * 4}]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with some bytes flipped, removed, repeated or overwritten."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not data:
            break
        at, other = rng.randrange(len(data)), rng.randrange(len(data))
        size = rng.choice((1, 2, 4, 16, 64))
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice((0, 0x7F, 0x80, 0xC0, 0xFF))
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = data[other : other + size]
            case 4:
                data[at : at + size] = rng.randbytes(size)
            case 5:
                data = data[: max(at, 1)] if rng.random() < 0.2 else data
    return bytes(data)


def nodes(tree):
    """Yield every (container, key) of a tree of maps and lists."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(entries):
        yield tree, key
        if isinstance(value, dict | list):
            yield from nodes(value)


def restructured(body: bytes, rng: random.Random):
    """Return a body with one entry removed, repeated, renamed, or of another type or value."""
    body = msgpack.unpackb(body)
    places = list(nodes(body))
    container, key = rng.choice(places)
    value = container[key]
    match rng.randrange(7):
        case 0:
            del container[key]
        case 1:
            container[key] = rng.choice(STRANGE)
        case 2 if isinstance(container, dict):
            container[rng.choice(("", key + "x", key.upper(), "dtype"))] = container.pop(key)
        case 3 if isinstance(value, dict):
            container[key] = Pairs([*value.items(), *list(value.items())[-1:]])
        case 4 if isinstance(value, int):
            container[key] = value + rng.choice((-1, 1, 2**31, -(2**31)))
        case 5 if isinstance(value, bytes):
            container[key] = damaged(value or b"\0", rng)
        case _:
            other, at = rng.choice(places)
            container[key] = copy.deepcopy(other[at])
    return body


def check(read, data: bytes, error, limit: int):
    """Read ``data`` within ``limit`` bytes of memory; return its value or None."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    message = ""
    try:
        return read(data)
    except error as caught:
        message = str(caught)
    finally:
        assert tracemalloc.get_traced_memory()[1] - before < limit
    assert "\n" not in message
    assert 0 < len(message) < 1000
    return None


@pytest.fixture
def traced():
    """Trace memory allocations during the test."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
def test_damaged_bundles_are_equal_or_rejected():
    bundle = rich_bundle()
    data = dump_bundle(bundle)
    for number in range(COUNT):
        found = check(read_bundle, damaged(data, random.Random(number)), BundleError, 2**20)
        assert found is None or found == bundle, number


@pytest.mark.usefixtures("traced")
def test_damaged_bodies_with_a_valid_digest_are_valid_or_rejected():
    body = pack(body_of(rich_bundle()))
    for number in range(COUNT):
        data = seal(damaged(body, random.Random(number)))
        found = check(read_bundle, data, BundleError, 2**20)
        assert found is None or read_bundle(dump_bundle(found)) == found, number


@pytest.mark.usefixtures("traced")
def test_restructured_bodies_with_a_valid_digest_are_valid_or_rejected():
    body, refused = pack(body_of(rich_bundle())), 0
    for number in range(COUNT):
        data = seal(pack(restructured(body, random.Random(number))))
        found = check(read_bundle, data, BundleError, 2**20)
        assert found is None or read_bundle(dump_bundle(found)) == found, number
        refused += found is None
    assert COUNT / 2 < refused < COUNT  # the damage is neither always harmless nor always fatal


@pytest.mark.usefixtures("traced")
def test_damaged_spike_files_are_equal_or_rejected(tmp_path):
    write_spikes(some_spikes(), tmp_path / "a.npz")
    data = (tmp_path / "a.npz").read_bytes()
    for number in range(COUNT):
        found = check(read_spikes, damaged(data, random.Random(number)), SpikeFileError, 2**20)
        assert found is None or found == some_spikes(), number


@pytest.mark.usefixtures("traced")
def test_archives_of_damaged_arrays_are_valid_or_rejected(tmp_path):
    members, refused = spike_members(), 0
    arrays = [*members.values(), npy([1.5]), npy([[1]]), npy([]), b""]
    for number in range(COUNT):
        rng = random.Random(number)
        name = rng.choice(list(members))
        change = rng.choice((None, rng.choice(arrays), damaged(members[name], rng)))
        data = archive(spike_members(**{name: change}))
        found = check(read_spikes, data, SpikeFileError, 2**20)
        refused += found is None
        if found is not None:
            write_spikes(found, tmp_path / "b.npz")
            assert read_spikes(tmp_path / "b.npz") == found, number
    assert COUNT / 2 < refused < COUNT
