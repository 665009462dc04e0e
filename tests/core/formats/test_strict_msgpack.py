"""The strict decoder: agrees with msgpack on what msgpack writes, and refuses all else."""

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
    """Memoryviews as bytes, deeply."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def depth(value) -> int:
    """Lists and maps within each other."""
    entries = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, entries), default=0) if isinstance(value, list | dict) else 0


@settings(deadline=None)
@given(value=TREES)
def test_what_msgpack_packs_is_decoded_the_same(value):
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
def test_every_length_of_every_type_is_decoded_the_same(value):
    assert plain(decode(msgpack.packb(value))) == value


@settings(deadline=None, max_examples=500)
@given(data=st.binary(max_size=60) | TREES.map(msgpack.packb))
def test_whatever_is_accepted_packs_to_the_same_bytes_again(data):
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
        (b"", r"^byte 0: 0 bytes left, expected 1$"),
        (b"\xcd\x01", r"^byte 1: 1 bytes left, expected 2$"),
        (b"\xc6\xff\xff\xff\xff", r"^byte 5: 0 bytes left, expected 4294967295$"),
        (b"\x01\x02", r"^byte 1: 1 more, expected the end$"),
        (b"\xcc\x01", r"^byte 0: 1 is not in its shortest form$"),
        (b"\xd3" + b"\xff" * 8, r"^byte 0: -1 is not in its shortest form$"),
        (b"\xd2\x00\x01\x00\x00", r"^byte 0: 65536 is not in its shortest form$"),
        (b"\xd9\x01a", r"^byte 0: a length of 1 is not in its shortest form$"),
        (b"\xdc\x00\x01\x00", r"^byte 0: a length of 1 is not in its shortest form$"),
        (b"\xc5\x00\x01\x00", r"^byte 0: a length of 1 is not in its shortest form$"),
        (b"\xca\x00\x00\x00\x00", r"^byte 0: type 0xca has no place in a bundle$"),
        (b"\xc1", r"^byte 0: type 0xc1 has no place in a bundle$"),
        (msgpack.packb(msgpack.Timestamp(1)), r"^byte 0: type 0xd6 has no place in a bundle$"),
        (msgpack.packb(msgpack.ExtType(1, b"abc")), r"^byte 0: type 0xc7 has no place in a bundle"),
        (b"\xa2\xff\xfe", r"^byte 0: text that is not UTF-8$"),
        (b"\xa3\xed\xb2\x80", r"^byte 0: text that is not UTF-8$"),
        (msgpack.packb("a" * 2**19), r"^byte 0: text of 524288 bytes, limit 262144$"),
        (b"\x81\x01\x02", r"^byte 1: a key that is no text$"),
        (b"\x81\x90\x02", r"^byte 1: a key that is no text$"),
        (pack(Pairs([("a", 1), ("b", 2), ("a", 1)])), r"^byte 7: key 'a' twice in one map$"),
        (b"\x91" * 8 + b"\x90", r"^byte 8: nested deeper than 8 levels$"),
        (b"\xdd\x00\x01\x00\x01", r"^byte 0: 65537 entries, the limit is 65536$"),
        (b"\xdf\xff\xff\xff\xff", r"^byte 0: 4294967295 entries, the limit is 65536$"),
    ],
)
def test_what_is_not_packed_the_one_way_is_refused_at_its_byte(data, message):
    with pytest.raises(BundleError, match=message):
        decode(data)


def test_too_many_values_are_refused():
    with pytest.raises(BundleError, match=r"^byte \d+: more than 2097152 values$"):
        decode(pack([[0] * 65536] * 33))
