"""The strict decoder: it agrees with msgpack on its own output, and rejects everything else."""

import math

import msgpack
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neuroasync.core.formats.strict_msgpack import decode
from neuroasync.errors import BundleError
from tests.helpers.malformed_files import Pairs, pack

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=300)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(TEXT, inner, max_size=20),
    max_leaves=20,
)


def plain(value):
    """Return a value with all nested memoryviews as bytes."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def depth(value) -> int:
    """Return the nesting depth of lists and maps."""
    entries = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, entries), default=0) if isinstance(value, list | dict) else 0


@settings(deadline=None)
@given(value=TREES)
def test_values_packed_by_msgpack_are_decoded_unchanged(value):
    assume(depth(value) <= 8)
    assert plain(decode(msgpack.packb(value))) == value


@pytest.mark.parametrize(
    "value",
    [0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
    + [-1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**63)]
    + ["", "a" * 31, "a" * 32, "a" * 255, "a" * 256, "a" * 65535, "a" * 65536, "µ"]
    + [b"", b"a" * 255, b"a" * 256, b"a" * 65535, b"a" * 65536]
    + [[0] * 15, [0] * 16, [0] * 65535, [0] * 65536, {}, {"a": []}]
    + [{str(k): k for k in range(n)} for n in (15, 16, 65535, 65536)]
    + [0.0, -0.0, math.inf, 1e-310],
    ids=lambda value: f"{type(value).__name__}-{value!s:.12}",
)
def test_every_length_of_every_type_is_decoded_unchanged(value):
    assert plain(decode(msgpack.packb(value))) == value


@settings(deadline=None, max_examples=500)
@given(data=st.binary(max_size=60) | TREES.map(msgpack.packb))
def test_accepted_data_packs_to_the_same_bytes_again(data):
    try:
        value = decode(data)
    except BundleError:
        return
    assert msgpack.packb(plain(value)) == data


def test_binary_data_is_not_copied():
    data = msgpack.packb(b"x" * 1000)
    assert decode(data).obj is data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"^byte 0: 1 bytes needed, 0 left$"),
        (b"\xcd\x01", r"^byte 1: 2 bytes needed, 1 left$"),
        (b"\xc6\xff\xff\xff\xff", r"^byte 5: 4294967295 bytes needed, 0 left$"),
        (b"\x01\x02", r"^byte 1: 1 bytes follow the value$"),
        (b"\xcc\x01", r"^byte 0: 1 is not in its shortest form$"),
        (b"\xd3" + b"\xff" * 8, r"^byte 0: -1 is not in its shortest form$"),
        (b"\xd2\x00\x01\x00\x00", r"^byte 0: 65536 is not in its shortest form$"),
        (b"\xd9\x01a", r"^byte 0: a length of 1 is not in its shortest form$"),
        (b"\xdc\x00\x01\x00", r"^byte 0: a length of 1 is not in its shortest form$"),
        (b"\xc5\x00\x01\x00", r"^byte 0: a length of 1 is not in its shortest form$"),
        (b"\xca\x00\x00\x00\x00", r"^byte 0: type 0xca is not allowed$"),
        (b"\xc1", r"^byte 0: type 0xc1 is not allowed$"),
        (msgpack.packb(msgpack.Timestamp(1)), r"^byte 0: type 0xd6 is not allowed$"),
        (msgpack.packb(msgpack.ExtType(1, b"abc")), r"^byte 0: type 0xc7 is not allowed$"),
        (b"\xa2\xff\xfe", r"^byte 0: the text is not UTF-8$"),
        (b"\xa3\xed\xb2\x80", r"^byte 0: the text is not UTF-8$"),
        (msgpack.packb("a" * 2**19), r"^byte 0: text of 524288 bytes, the limit is 262144$"),
        (b"\x81\x01\x02", r"^byte 1: a key must be text$"),
        (b"\x81\x90\x02", r"^byte 1: a key must be text$"),
        (pack(Pairs([("a", 1), ("b", 2), ("a", 1)])), r"^byte 7: key 'a' is in the map twice$"),
        (b"\x91" * 8 + b"\x90", r"^byte 8: nested more than 8 levels deep$"),
        (b"\xdd\x00\x01\x00\x01", r"^byte 0: 65537 entries, the limit is 65536$"),
        (b"\xdf\xff\xff\xff\xff", r"^byte 0: 4294967295 entries, the limit is 65536$"),
    ],
)
def test_other_encodings_are_rejected_by_byte(data, message):
    with pytest.raises(BundleError, match=message):
        decode(data)


def test_too_many_values_are_rejected():
    with pytest.raises(
        BundleError, match=r"^byte 2097282: more than 2097152 values, which is the limit$"
    ):
        decode(pack([[0] * 65536] * 33))


def nested_maps(levels):
    """Return maps within each other, under the key "a"."""
    return b"\x81\xa1a" * levels + b"\x00"


def test_maps_may_be_nested_eight_levels_deep():
    value = decode(nested_maps(8))
    for _ in range(8):
        value = value["a"]
    assert value == 0


@pytest.mark.parametrize("data", [nested_maps(9), nested_maps(5000), b"\x81" * 9, b"\x81" * 5000])
def test_maps_that_are_nested_deeper_are_rejected_as_values_and_as_keys(data):
    with pytest.raises(BundleError, match=r"^byte \d+: nested more than 8 levels deep$"):
        decode(data)
