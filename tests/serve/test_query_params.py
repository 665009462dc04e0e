"""The parameters of a query become run options, or an error that names the parameter."""

import pytest

from neuroasync.serve.query_params import QueryError, StreamOptions, parse_query


def test_empty_query_selects_nothing():
    assert parse_query([]) == StreamOptions(None, {}, None, False)


def test_each_parameter_is_read():
    pairs = [
        ("network", "digits"),
        ("policy", "fifo"),
        ("group_size", "4"),
        ("until", "votes(2)"),
        ("input", "queued"),
        ("seed", "7"),
        ("provisional", "1"),
        ("token", "ignored"),
        ("token", "twice"),
    ]
    run = {"policy": "fifo", "group_size": 4, "until": "votes(2)", "input": "queued"}
    assert parse_query(pairs) == StreamOptions("digits", run, 7, True)
    assert parse_query(reversed(pairs)) == parse_query(pairs)


@pytest.mark.parametrize(
    ("text", "value"), [("0", False), ("false", False), ("1", True), ("true", True)]
)
def test_booleans_have_two_forms(text, value):
    assert parse_query([("provisional", text)]).provisional is value


@pytest.mark.parametrize("seed", [0, 2**53, 2**64 - 1])
def test_any_seed_of_64_bits_is_read(seed):
    assert parse_query([("seed", str(seed))]).seed == seed


KNOWN = "network, policy, group_size, until, input, seed"


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ([("speed", "1")], f"unknown parameter 'speed'; known parameters are {KNOWN}, provisional"),
        ([("x" * 99, "")], f"unknown parameter '{'x' * 79}; known parameters are {KNOWN}, provisi"),
        ([("seed", "1"), ("seed", "1")], "parameter `seed` must appear only once"),
        ([("provisional", "yes")], "`provisional` must be 0 or 1, got 'yes'"),
        ([("group_size", "")], "`group_size` must be an integer of at least 1, got ''"),
        ([("group_size", "-1")], "`group_size` must be an integer of at least 1, got '-1'"),
        ([("group_size", "\u0663")], "`group_size` must be an integer of at least 1, got '\u0663'"),
        ([("seed", "1.5")], "`seed` must be an integer from 0 to 2**64 - 1, got '1.5'"),
        ([("seed", "0" * 21)], "`seed` must be an integer from 0 to 2**64 - 1, got '0"),
        ([("seed", str(2**64))], f"{2**64}"),
    ],
)
def test_invalid_parameter_is_named(pairs, error):
    with pytest.raises(QueryError) as caught:
        parse_query(pairs)
    assert error in str(caught.value)


def test_provisional_is_unknown_where_only_the_decision_is_sent():
    with pytest.raises(QueryError, match=f"unknown parameter 'provisional'.* are {KNOWN}$"):
        parse_query([("provisional", "1")], allow_provisional=False)
