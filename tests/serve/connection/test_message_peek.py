"""Peeking at a message finds its event count and flags without parsing the rest."""

import re

import pytest

from neuroasync import MessageError, SpikeTrain
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve.connection.message_peek import peek_message


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("events", [0, 1, 2, 15, 16, 300, 70_000])
def test_peek_finds_the_event_count_and_the_flags(events, binary):
    train = SpikeTrain(list(range(events)), [0] * events)
    for end in (False, True):
        data = format_events(EventMessage(train, end, not end), binary=binary)
        assert peek_message(data, 2**20) == (events, end, not end)


@pytest.mark.parametrize(
    ("data", "events"),
    [("{}", 0), ('{"t_us": [ ], "index": []}', 0), ('{"t_us": null}', 0), (b"\x80", 0),
     ('{"t_us": "x"}', 0), (b"\x81\xa4t_us\xa1x", 0), ('{"more": [1, 2, [3]]}', 0)],
)  # fmt: skip
def test_peek_ignores_fields_that_it_does_not_need(data, events):
    assert peek_message(data, 100) == (events, False, False)


@pytest.mark.parametrize("data", ['{"end": true}', b"\x81\xa3end\xc3"])
def test_message_of_the_maximum_size_is_peeked_at(data):
    assert peek_message(data, len(data)) == (0, True, False)
    with pytest.raises(MessageError, match=f"the limit is {len(data) - 1}$"):
        peek_message(data, len(data) - 1)


def test_problem_that_only_the_peek_finds_is_named(monkeypatch):
    monkeypatch.setattr("neuroasync.serve.connection.message_peek.parse_events", lambda *_: None)
    with pytest.raises(MessageError, match=r"^the message is invalid: Expected `bool`"):
        peek_message('{"end": 1}', 100)


@pytest.mark.parametrize(
    ("data", "prefix"),
    [("{", "the message is empty or truncated"), ("[]", "the message must be `object`"),
     (b"\xc1", "the message is invalid"), ('{"end": 1}', "`end` must be `bool`"),
     (b"\x81\xa4t_us\xdd\xff\xff\xff\xff", "the message is empty or truncated"),
     ("\ud800", "the message is invalid"),
     (" " * 101, "the message has 101 characters, the limit is 100")],
)  # fmt: skip
def test_peek_reports_errors_like_the_full_parser(data, prefix):
    with pytest.raises(MessageError, match=f"^{re.escape(prefix)}"):
        peek_message(data, 100)
