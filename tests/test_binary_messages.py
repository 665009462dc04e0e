"""Binary messages are read by a kernel or by a general decoder, with equal results and errors."""

import importlib.util
import subprocess
import sys
from itertools import permutations, product
from unittest.mock import patch

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import MessageError, SpikeTrain, limits
from neuroasync.core.immutable import immutable
from neuroasync.core.kernels import jit
from neuroasync.core.kernels.messages import binary_events
from neuroasync.core.kernels.messages.binary_events import read_events
from neuroasync.messages import EventMessage, format_events, parse_events, parse_sample

UNREAD = (-1, -1, False)
"""What the kernel returns for a message that it does not read."""

LARGEST = limits.MAX_TIME_US
T_US, INDEX, END = b"\xa4t_us", b"\xa5index", b"\xa3end"
MESSAGE = b"\x83" + T_US + b"\x92\x00\xcc\x8c" + INDEX + b"\x92\x03\x11" + END + b"\xc3"
"""Events at 0 and 140 µs, indices 3 and 17, and the end of the sample."""


def bytes_of(data):
    """Return a message as the kernel takes it."""
    return np.frombuffer(data, np.uint8)


def read(data):
    """Return what the kernel reads: times, indices, the highest index, and the end; or None."""
    numbers = np.full(len(data) + 2, -7)
    events, *result = read_events(bytes_of(data), numbers[1:-1])
    assert numbers[0] == numbers[-1] == -7
    if (events, *result) == UNREAD:
        return None
    return numbers[1 : events + 1].tolist(), numbers[events + 1 :][:events].tolist(), *result


def by_decoder(data):
    """Parse a message without the kernel."""
    with patch("neuroasync.messages.read_events", lambda *_: UNREAD):
        return parse_events(data)


def outcome(parse, data):
    """Return everything that can be seen of a parsed message, or the error."""
    try:
        message = parse(data)
    except MessageError as error:
        return str(error)
    events = message.events
    assert immutable(events.t_us, np.int64) is events.t_us
    assert immutable(events.index, np.int64) is events.index
    rows = [(row.dtype, row.flags.writeable, row.tolist()) for row in (events.t_us, events.index)]
    return rows, events.value, events.max_index, message.end, message.provisional


def test_usual_message_is_read_by_the_kernel():
    assert read(MESSAGE) == ([0, 140], [3, 17], 17, True)
    assert parse_events(MESSAGE) == EventMessage(SpikeTrain([0, 140], [3, 17]), end=True)


def test_keys_may_have_any_order():
    pairs = [T_US + b"\x91\x05", INDEX + b"\x91\x06", END + b"\xc2"]
    for order in permutations(pairs):
        assert read(b"\x83" + b"".join(order)) == ([5], [6], 6, False)
    for order in permutations(pairs[:2]):
        assert read(b"\x82" + b"".join(order)) == ([5], [6], 6, False)


@pytest.mark.parametrize(
    "data", [b"\x80", b"\x82" + T_US + b"\x90" + INDEX + b"\x90", b"\x81" + END + b"\xc2"]
)
def test_message_without_events_is_read_by_the_kernel(data):
    assert read(data) == ([], [], -1, False)


@pytest.mark.parametrize(
    ("integer", "value"),
    [
        (b"\x00", 0),
        (b"\x7f", 127),
        (b"\xcc\xff", 255),
        (b"\xcd\x01\x02", 258),
        (b"\xce\x00\x01\x00\x00", 65536),
        (b"\xce\xff\xff\xff\xff", 2**32 - 1),
        (b"\xcf\x00\x20\x00\x00\x00\x00\x00\x00", LARGEST),
        (b"\xd0\x7f", 127),
        (b"\xd1\x7f\xff", 32767),
        (b"\xd2\x7f\xff\xff\xff", 2**31 - 1),
        (b"\xd3\x00\x00\x00\x00\x00\x00\x00\x05", 5),
    ],
)
def test_every_encoding_of_an_integer_is_read_by_the_kernel(integer, value):
    for array in (b"\x91", b"\xdc\x00\x01", b"\xdd\x00\x00\x00\x01"):
        data = b"\x82" + T_US + array + integer + INDEX + array + b"\x01"
        assert read(data) == ([value], [1], 1, False)
        assert outcome(parse_events, data) == outcome(by_decoder, data)


def test_equal_times_and_the_largest_numbers_are_read_by_the_kernel():
    latest, highest = b"\xcf\x00\x20\x00\x00\x00\x00\x00\x00", b"\xce\x00\xff\xff\xff"
    data = b"\x82" + T_US + b"\x92" + 2 * latest + INDEX + b"\x92" + highest + b"\x00"
    assert read(data) == ([LARGEST, LARGEST], [2**24 - 1, 0], 2**24 - 1, False)


@pytest.mark.parametrize(
    ("t_us", "index"),
    [
        (b"\x91\xff", b"\x91\x01"),  # -1
        (b"\x91\xd0\x80", b"\x91\x01"),  # -128
        (b"\x91\xd3\xff\xff\xff\xff\xff\xff\xff\xff", b"\x91\x01"),  # -1
        (b"\x91\xcf\x00\x20\x00\x00\x00\x00\x00\x01", b"\x91\x01"),  # LARGEST + 1
        (b"\x91\xcf\x80\x00\x00\x00\x00\x00\x00\x00", b"\x91\x01"),  # 2**63
        (b"\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff", b"\x91\x01"),  # 2**64 - 1
        (b"\x91\x01", b"\x91\xce\x01\x00\x00\x00"),  # limits.MAX_INPUTS
        (b"\x92\x02\x01", b"\x92\x01\x01"),  # not ascending
        (b"\x92\x01\x02", b"\x91\x01"),  # different lengths
        (b"\x91\x01", b"\x90"),
        (b"\xdd\xff\xff\xff\xff\x01", b"\x91\x01"),
        (b"\xdd\x80\x00\x00\x00\x01", b"\xdd\x80\x00\x00\x00\x01"),
        (b"\x91\xc0", b"\x91\x01"),  # nil
        (b"\x91\xca\x00\x00\x00\x00", b"\x91\x01"),  # 0.0
        (b"\x91\x91\x01", b"\x91\x01"),  # nested
        (b"\xc4\x01\x01", b"\x91\x01"),  # binary
        (b"\xc0", b"\xc0"),
    ],
)
def test_other_events_are_left_to_the_decoder(t_us, index):
    for data in (b"\x82" + T_US + t_us + INDEX + index, b"\x82" + INDEX + index + T_US + t_us):
        assert read(data) is None
        assert outcome(parse_events, data) == outcome(by_decoder, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MESSAGE + b"\x00",
        b"\x84" + MESSAGE[1:],
        b"\x82" + MESSAGE[1:],
        b"\xde\x00\x03" + MESSAGE[1:],  # the header of a large map
        b"\x93" + MESSAGE[1:],  # an array
        b"\x81" + T_US + b"\x91\x01",
        b"\x83" + T_US + b"\x91\x01" + INDEX + b"\x91\x01" + T_US + b"\x91\x02",  # twice
        b"\x83" + T_US + b"\x91\x01" + INDEX + b"\x91\x01" + INDEX + b"\x91\x02",
        b"\x82" + END + b"\xc2" + END + b"\xc3",
        b"\x81" + END + b"\x01",
        b"\x81" + END + b"\xc0",
        b"\x81\xd9\x03end\xc3",  # a key with its length in a byte of its own
        b"\x81\xa4\x00end\xc3",
        b"\x81\xabprovisional\xc3",
        msgpack.packb({"t_us": [1], "index": [2], "value": [0.5]}),
        msgpack.packb({"t_us": [1], "index": [2], "stop": True}),
    ],
)
def test_other_messages_are_left_to_the_decoder(data):
    assert read(data) is None
    assert outcome(parse_events, data) == outcome(by_decoder, data)


def test_truncated_message_is_left_to_the_decoder():
    for size in range(len(MESSAGE)):
        assert read(MESSAGE[:size]) is None
        assert "truncated" in outcome(parse_events, MESSAGE[:size])


def test_kernel_writes_no_more_numbers_than_there_is_room_for():
    data = b"\x82" + T_US + b"\x94\1\2\3\4" + INDEX + b"\x94\1\2\3\4"
    for room in range(10):
        numbers = np.full(12, -7)
        events, *_ = read_events(bytes_of(data), numbers[1 : 1 + room])
        assert events == (4 if room >= 8 else -1)
        assert numbers[0] == -7
        assert set(numbers[1 + room :].tolist()) == {-7}


@pytest.mark.parametrize("n", [2047, 2048, 2049, 16_383, 16_384, 40_000])
def test_large_messages_are_parsed_equally(n):
    data = format_events(EventMessage(SpikeTrain(range(0, 9 * n, 9), range(n))), binary=True)
    assert outcome(parse_events, data) == outcome(by_decoder, data)


def test_bytearray_is_parsed_like_bytes():
    assert outcome(parse_events, bytearray(MESSAGE)) == outcome(parse_events, MESSAGE)


@pytest.mark.parametrize("binary", [True, False])
def test_only_whole_samples_are_parsed_as_samples(binary):
    events = SpikeTrain([0, 140], [3, 17])
    for end, provisional in product([False, True], repeat=2):
        message = EventMessage(events, end, provisional)
        sample = parse_sample(format_events(message, binary=binary))
        assert sample == (events if end and not provisional else None)


@pytest.mark.parametrize(
    ("data", "max_bytes"),
    [(MESSAGE, len(MESSAGE) - 1), (MESSAGE[:-1], 100), ("{", 100), ('{"t_us": [5, 3]}', 100)],
)
def test_errors_of_a_sample_are_those_of_its_message(data, max_bytes):
    with pytest.raises(MessageError) as of_message:
        parse_events(data, max_bytes)
    with pytest.raises(MessageError) as of_sample:
        parse_sample(data, max_bytes)
    assert str(of_sample.value) == str(of_message.value)


widths = st.integers(0, 3)


@st.composite
def integers(draw, most):
    """An integer from 0 to ``most`` in one of the encodings that can hold it."""
    value = draw(st.integers(0, most) | st.integers(0, 300) | st.just(most))
    width, is_signed = draw(widths), draw(st.booleans())
    while value >= 2 ** (8 * 2**width - is_signed):
        width += 1
    if value < 0x80 and draw(st.booleans()):
        return value, bytes([value])
    return value, bytes([(0xD0 if is_signed else 0xCC) + width]) + value.to_bytes(2**width, "big")


@st.composite
def messages(draw):
    """A message that is usually valid, in any encoding, with its keys in any order."""
    n = draw(st.integers(0, 20))
    times = draw(st.lists(integers(LARGEST), min_size=n, max_size=n))
    if draw(st.integers(0, 5)):
        times.sort(key=lambda pair: pair[0])
    indices = draw(st.lists(integers(limits.MAX_INPUTS - 1), min_size=n, max_size=n))
    pairs = []
    for key, items in ((T_US, times), (INDEX, indices)):
        headers = [b"\xdc" + n.to_bytes(2, "big"), b"\xdd" + n.to_bytes(4, "big")]
        headers += [bytes([0x90 + n])] if n < 16 else []
        pairs.append(key + draw(st.sampled_from(headers)) + b"".join(data for _, data in items))
    pairs += draw(st.sampled_from([[], [END + b"\xc2"], [END + b"\xc3"]]))
    return bytes([0x80 + len(pairs)]) + b"".join(draw(st.permutations(pairs)))


@st.composite
def damaged(draw):
    """A message with some changed, inserted or missing bytes."""
    data = bytearray(draw(messages()))
    headers = st.sampled_from(list(b"\x81\x82\x83\x90\x91\xcc\xcf\xd0\xd3\xdc\xdd\xc2\xc3\xff"))
    for _ in range(draw(st.integers(1, 3))):
        at, byte = draw(st.integers(0, len(data))), draw(st.integers(0, 255) | headers)
        stop = draw(st.sampled_from([at, at + 1, at + 1, len(data)]))
        data[at:stop] = [byte] if draw(st.booleans()) else []
    return bytes(data)


@given(messages() | damaged())
def test_kernel_and_decoder_agree(data):
    assert outcome(parse_events, data) == outcome(by_decoder, data)


class Guarded:
    """A sequence that allows no position outside, as Python would with negative ones."""

    def __init__(self, items):
        self.items, self.size = items, len(items)

    def __len__(self):
        return self.size

    def __getitem__(self, k):
        assert 0 <= k < self.size
        return self.items[k]

    def __setitem__(self, k, value):
        assert 0 <= k < self.size
        self.items[k] = value


@pytest.fixture(scope="module")
def uncompiled():
    """The function ``read_events`` as Python runs it."""
    with patch.multiple(jit, kernel=lambda f: f, inlined=lambda f: f):
        spec = importlib.util.spec_from_file_location("uncompiled", binary_events.__file__)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module.read_events


def assert_within_bounds(uncompiled, data, room):
    """Check that neither a byte outside the message nor a number outside the room is used."""
    numbers = np.full(room, -7)
    guarded = Guarded([-7] * room)
    assert uncompiled(Guarded(data), guarded) == read_events(bytes_of(data), numbers)
    assert guarded.items == numbers.tolist()


MIXED = [
    T_US + b"\xdc\x00\x04\x00\xcc\x8c\xce\x00\x01\x00\x00" + b"\xcf\0\0\0\2\0\0\0\0",
    INDEX + b"\xdd\x00\x00\x00\x04\x05\xd0\x06\xcd\x08\x07" + b"\xd3\0\0\0\0\0\0\0\x08",
    END + b"\xc3",
]
"""The pairs of a message with most of the encodings."""


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_truncated_and_changed_messages_stay_within_bounds_and_are_parsed_equally(
    uncompiled, order
):
    data = b"\x83" + b"".join(MIXED[k] for k in order)
    assert read(data) == ([0, 140, 65536, 2**33], [5, 6, 2055, 8], 2055, True)
    variants = [data[:size] for size in range(len(data))]
    variants += [data[:at] + data[at + 1 :] for at in range(len(data))]
    for at, byte in product(range(len(data)), range(256)):
        variants.append(data[:at] + bytes([byte]) + data[at + 1 :])
    for variant in variants:
        assert_within_bounds(uncompiled, variant, 8)
        assert outcome(parse_events, variant) == outcome(by_decoder, variant)


@given(messages() | damaged() | st.binary(max_size=30), st.integers(0, 60))
def test_random_messages_stay_within_bounds(uncompiled, data, room):
    assert_within_bounds(uncompiled, data, room)


def test_loading_the_kernel_imports_no_part_of_the_compiler():
    """Some modules of numba for Python's types change how a terminal is reset at the exit."""
    code = (
        "import sys; from neuroasync.messages import parse_events; "
        f"parse_events({MESSAGE!r}); print('numba.cpython.listobj' in sys.modules)"
    )
    run = [sys.executable, "-c", code]
    parse_events(MESSAGE)  # compiles the kernel if that is necessary
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "False\n"
