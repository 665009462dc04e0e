"""Stream messages: parsing, formatting and the rejection of invalid messages."""

import contextlib
import json
import math
import re
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import MessageError, SpikeTrain, limits
from neuroasync.core.engine.decision import Decision
from neuroasync.messages import (
    EventMessage,
    format_decision,
    format_events,
    parse_events,
    parse_sample,
)

DECISION = Decision(
    label=2,
    class_name="two",
    votes=np.array([0, 1, 5]),
    stopped=True,
    t_us=9000,
    passes=10,
    steps=40,
    rounds=41,
    spikes={"hidden": 100, "output": 6},
    input_events=50,
    synops=5000,
    first_spike=(1, 2, 3),
    first_led={2: (1, 2, 3)},
    undelivered=0,
    wall_s=0.25,
)


def written(value, binary):
    """Return a value as a binary or text message."""
    return msgpack.packb(value) if binary else json.dumps(value)


either = pytest.mark.parametrize("binary", [False, True], ids=["json", "msgpack"])


@either
def test_events_of_a_message_are_parsed(binary):
    message = parse_events(
        written({"t_us": [0, 140, 140], "index": [3, 17, 0], "end": True}, binary)
    )
    assert message == EventMessage(SpikeTrain([0, 140, 140], [3, 17, 0]), end=True)
    assert not message.provisional


@either
def test_a_message_may_only_end_the_sample_or_ask_for_provisional_decisions(binary):
    assert parse_events(written({"end": True}, binary)) == EventMessage(SpikeTrain([], []), True)
    asking = parse_events(written({"provisional": True, "t_us": [], "index": []}, binary))
    assert asking == EventMessage(SpikeTrain([], []), provisional=True)
    assert parse_events(written({}, binary)) == EventMessage(SpikeTrain([], []))


@either
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"^the message must be `object`, got `array`$"),
        (5, r"^the message must be `object`, got `int`$"),
        (None, r"^the message must be `object`, got `(null|None)`$"),
        ({"ends": True}, r"^`ends` is an unknown key; known keys are t_us, index, value, end"),
        ({"t_us": [1]}, r"^`index` is missing, but `t_us` is present; send both or none$"),
        ({"index": [1]}, r"^`t_us` is missing, but `index` is present; send both or none$"),
        ({"t_us": [1, 2], "index": [1]}, r"^`index` must be of the same length as `t_us` \(2\)"),
        ({"t_us": [2, 1], "index": [1, 1]}, r"^`t_us\[1\]` must be at least 2, the time of the ev"),
        ({"t_us": [-1], "index": [1]}, r"^`t_us\[0\]` must be `int` >= 0$"),
        ({"t_us": [2**53 + 1], "index": [1]}, r"^`t_us\[0\]` must be `int` <= 9007199254740992$"),
        ({"t_us": [1], "index": [2**24]}, r"^`index\[0\]` must be `int` <= 16777215$"),
        ({"t_us": [2**63], "index": [1]}, r"^`t_us\[0\]` must be `int` <= 9007199254740992$"),
        ({"t_us": [0.5], "index": [1]}, r"^`t_us\[0\]` must be `int`, got `float`$"),
        ({"t_us": ["1"], "index": [1]}, r"^`t_us\[0\]` must be `int`, got `str`$"),
        ({"t_us": [True], "index": [1]}, r"^`t_us\[0\]` must be `int`, got `bool`$"),
        ({"t_us": [None], "index": [1]}, r"^`t_us\[0\]` must be `int`, got `(null|None)`$"),
        ({"t_us": [[1]], "index": [1]}, r"^`t_us\[0\]` must be `int`, got `array`$"),
        ({"t_us": {"0": 1}, "index": [1]}, r"^`t_us` must be `array \| null`, got `object`$"),
        ({"value": [1]}, r"^`t_us` and `index` are missing, but `value` is present$"),
        (
            {"t_us": [1], "index": [1], "value": []},
            r"^`value` must be of the same length as `t_us`",
        ),
        ({"t_us": [1], "index": [1], "value": ["1"]}, r"^`value\[0\]` must be `float`, got `str`$"),
        (
            {"t_us": [1], "index": [1], "value": [2e7]},
            r"^`value\[0\]` must be `float` <= 16777216.0$",
        ),
        ({"end": 1}, r"^`end` must be `bool`, got `int`$"),
        ({"end": "true"}, r"^`end` must be `bool`, got `str`$"),
    ],
)
def test_invalid_message_is_rejected_by_field(value, message, binary):
    with pytest.raises(MessageError, match=message):
        parse_events(written(value, binary))


@pytest.mark.parametrize(
    "text",
    ["", "{", "nul", '{"t_us": [NaN], "index": [1]}', '{"t_us": [1e400], "index": [0]}',
     '{"t_us": [1' + "0" * 5000 + '], "index": [0]}', '{"end": true} {}', "\ud800", '{"\ud800": 1}',
     "[" * 100_000, '{"t_us": ' + "[" * 100_000],
)  # fmt: skip
def test_invalid_json_is_rejected(text):
    with pytest.raises(MessageError):
        parse_events(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x81",
        b"\x91" * 100_000,
        b"\x81\xa4t_us" + b"\xdd\xff\xff\xff\xff" * 10_000,
        b"\x81\xa4t_us\xdd\x7f\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        msgpack.packb({"t_us": [msgpack.ExtType(1, b"1")], "index": [1]}),
        msgpack.packb({"t_us": [msgpack.Timestamp(1)], "index": [1]}),
        msgpack.packb({"t_us": b"\0\0", "index": b"\0\0"}),
        msgpack.packb({1: [1], 2: [1]}),
        msgpack.packb({"end": True}) + b"\0",
        msgpack.packb({"t_us": [float("nan")], "index": [0]}),
    ],
)
def test_invalid_messagepack_is_rejected(data):
    with pytest.raises(MessageError):
        parse_events(data)


@either
def test_message_above_the_limit_is_not_parsed(binary):
    data = written({"t_us": [0] * 1000, "index": [0] * 1000}, binary)
    assert parse_events(data, max_bytes=len(data)).events.t_us.size == 1000
    unit = "bytes" if binary else "characters"
    with pytest.raises(
        MessageError, match=rf"^the message has {len(data)} {unit}, the limit is 100$"
    ):
        parse_events(data, max_bytes=100)
    assert limits.MAX_MESSAGE_BYTES == 2**20


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
near_messages = st.fixed_dictionaries(
    {},
    optional={
        "t_us": st.lists(st.integers(-2, 2**64 - 1) | json_values, max_size=5) | json_values,
        "index": st.lists(st.integers(-2, 2**25), max_size=5) | json_values,
        "end": st.booleans() | json_values,
        "provisional": st.booleans(),
        "other": json_values,
    },
)


def accepted_or_refused(data):
    """Check that the data is a valid message or raises :exc:`MessageError`."""
    with contextlib.suppress(MessageError):
        message = parse_events(data)
        assert isinstance(message, EventMessage)
        assert len(message.events.t_us) == len(message.events.index)


@given(st.text() | near_messages.map(json.dumps) | json_values.map(json.dumps))
def test_any_text_is_accepted_or_rejected(text):
    accepted_or_refused(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_accepted_or_rejected(data):
    accepted_or_refused(data)


@given(near_messages, st.data())
def test_message_with_changed_bytes_is_accepted_or_rejected(value, data):
    try:
        packed = bytearray(msgpack.packb(value, unicode_errors="replace"))
    except (OverflowError, ValueError):
        return  # MessagePack has no such integers
    for at in data.draw(st.lists(st.integers(0, len(packed) - 1), max_size=3)):
        packed[at] = data.draw(st.integers(0, 255))
    accepted_or_refused(bytes(packed))


events = st.lists(
    st.tuples(st.integers(0, limits.MAX_TIME_US), st.integers(0, limits.MAX_INPUTS - 1)),
    max_size=20,
).map(lambda pairs: SpikeTrain(sorted(t for t, _ in pairs), [i for _, i in pairs]))


@given(st.builds(EventMessage, events, st.booleans(), st.booleans()), st.booleans())
def test_message_is_parsed_as_formatted(message, binary):
    data = format_events(message, binary=binary)
    assert isinstance(data, bytes if binary else str)
    assert parse_events(data) == message


@either
def test_decision_has_its_keys_in_order(binary):
    data = format_decision(DECISION, 7, 1.52349, binary=binary)
    found = msgpack.unpackb(data) if binary else json.loads(data)
    assert list(found.items()) == [
        ("sample", 7),
        ("label", 2),
        ("class_name", "two"),
        ("votes", [0, 1, 5]),
        ("spikes", 106),
        ("rounds", 41),
        ("latency_ms", 1.523),
        ("final", True),
    ]


@either
@pytest.mark.parametrize("latency_ms", [np.float32(2), np.int64(2), 2])
def test_a_decision_takes_numbers_of_numpy(latency_ms, binary):
    data = format_decision(DECISION, np.int64(7), latency_ms, binary=binary)
    assert data == format_decision(DECISION, 7, 2.0, binary=binary)


@either
@pytest.mark.parametrize(
    ("sample", "latency_ms", "error"),
    [
        (-1, 0.0, "`sample` must be an integer of at least 0, got -1"),
        (2**63, 0.0, f"`sample` must be an integer of at most {2**63 - 1}, got {2**63}"),
        ("1", 0.0, "`sample` must be an integer of at least 0, got '1'"),
        (0, math.nan, "`latency_ms` must be a finite number, got nan"),  # JSON has no NaN
        (0, None, "`latency_ms` must be a finite number, got None"),
    ],
)
def test_a_decision_needs_a_number_and_a_finite_latency(sample, latency_ms, error, binary):
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        format_decision(DECISION, sample, latency_ms, binary=binary)


@pytest.mark.parametrize("parse", [parse_events, parse_sample])
def test_a_message_is_text_or_bytes(parse):
    with pytest.raises(
        TypeError, match=r"^`data` must be JSON text or MessagePack bytes, got None"
    ):
        parse(None)
    with pytest.raises(MessageError, match=r"but this one looks like JSON; JSON must be text$"):
        parse(b'{"t_us": [0], "index": [1]}')


def test_a_decision_without_a_label_has_nulls():
    none = replace(DECISION, label=None, class_name=None, is_final=False)
    found = json.loads(format_decision(none, 0, 0.0))
    assert (found["label"], found["class_name"], found["final"]) == (None, None, False)


def test_json_is_compact_and_the_default():
    message = EventMessage(SpikeTrain([0, 5], [1, 2]), end=True)
    assert format_events(message) == '{"t_us":[0,5],"index":[1,2],"end":true}'


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("", "the message is empty or truncated"),
        (b"\x81", "the message is empty or truncated"),
        ("[" * 100_000, "the message must be `object`, got `array`"),
        ('{"end": ' + "[" * 100_000, "`end` must be `bool`, got `array`"),
        ('{"an unknown field b": 1}', "an unknown field b` is an unknown key"),
        ('{"t_us": [0, "x"]}', "`t_us[1]` must be `int`, got `str`"),
    ],
)
def test_error_of_a_message_is_worded_with_its_field_first(data, error):
    with pytest.raises(MessageError) as caught:
        parse_events(data)
    assert error in str(caught.value)
    assert str(caught.value).startswith(("`", "the message"))
