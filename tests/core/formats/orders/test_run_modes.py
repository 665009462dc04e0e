"""Distributions over run modes: their text form, their weights, and errors."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import PolicyError, PolicySpec, RunModes, limits, order_key, parse_run_modes

POLICIES = ("layer-sync", "random", "momentum", "fifo")


@st.composite
def specs(draw):
    name = draw(st.sampled_from(POLICIES))
    noise = draw(st.floats(0, 2**53)) if name == "momentum" and draw(st.booleans()) else 0.0
    size = draw(st.integers(1, 3) | st.integers(1, 2**31 - 1))
    return PolicySpec(name, size, draw(st.sampled_from(("prioritised", "queued"))), noise)


@st.composite
def distributions(draw):
    modes = draw(st.lists(specs(), min_size=1, max_size=12, unique=True))
    weight = st.integers(1, 3) | st.integers(1, limits.MAX_MODE_WEIGHT)
    return RunModes(tuple(modes), tuple(draw(weight) for _ in modes))


@given(distributions())
def test_the_text_form_stands_for_the_same_distribution(modes):
    assert parse_run_modes(str(modes)) == modes


def test_an_item_stands_for_every_combination_of_its_lists():
    modes = parse_run_modes("layer-sync; random,fifo  F=1,8 prioritised,queued x2;momentum F=4")
    assert list(modes) == [
        (PolicySpec("layer-sync", 1), 1),
        *((PolicySpec(name, size, mode), 2)
          for name in ("random", "fifo") for mode in ("prioritised", "queued") for size in (1, 8)),
        (PolicySpec("momentum", 4), 1),
    ]  # fmt: skip
    assert str(modes) == (
        "layer-sync; random F=1,8 x2; random F=1,8 queued x2; fifo F=1,8 x2; "
        "fifo F=1,8 queued x2; momentum F=4"
    )


def test_the_words_of_an_item_may_have_any_order():
    modes = parse_run_modes("momentum x2 noise=0.5 queued F=8")
    assert list(modes) == [(PolicySpec("momentum", 8, "queued", 0.5), 2)]
    assert str(modes) == "momentum F=8 queued noise=0.5 x2"


@given(distributions(), st.integers(0, 2**64 - 1))
def test_each_mode_has_as_many_numbers_as_its_weight(modes, key):
    total = sum(modes.weights)
    begin = key - key % total  # the start of a period
    starts = [sum(modes.weights[:k]) for k in range(len(modes))]
    for (mode, weight), start in zip(modes, starts, strict=True):
        assert modes.draw(begin + start) == modes.draw(begin + start + weight - 1) == mode


def test_draws_by_order_keys_follow_the_weights():
    modes = parse_run_modes("layer-sync; random F=1,8 queued; momentum F=8 x2")
    drawn = Counter(modes.draw(order_key(3, epoch, batch, 0))
                    for epoch in range(40) for batch in range(100))  # fmt: skip
    for mode, weight in modes:
        # Four standard deviations of a binomial share of 4,000 draws are at most 0.032.
        assert abs(Fraction(drawn[mode], 4000) - Fraction(weight, 5)) < 0.032


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"`modes` must be text such as 'layer-sync; random F=1,8 queued; momentum F=8 x2'"),
        (None, "must be text such as"),
        ("random;", "`modes` has an empty item"),
        ("randon F=1", "`modes` has 'randon', .* did you mean 'random'?"),
        ("random, fifo", "`modes` has '', but an item must begin with ordering policies"),
        ("F=1", "`modes` has 'F=1', but an item must begin with ordering policies"),
        ("random G=1", "`modes` has 'G=1', but after its policies an item may only have"),
        ("random queue", "did you mean 'queued'?"),
        ("random F=1 F=2", "`modes` has 'F=2' in an item that has sizes already"),
        ("random F=1,1", "`modes` lists 'random F=1' twice"),
        ("fifo; fifo F=1 x2", "`modes` lists 'fifo F=1' twice"),
        ("random F=0", "`modes`: `group_size` must be an integer of at least 1, got 0"),
        ("random F=9999999999", "`modes`: `group_size` must be an integer of at most"),
        ("random noise=1", "`modes`: `noise` must be 0 for policy 'random'"),
        ("random x0", r"`weights\[0\]` must be an integer from 1 to 1000000, got 0"),
        (f"random F={','.join(map(str, range(1, 300)))}", "lists more than 256 run modes"),
        ("random" * 20_000, "`modes` must be text of at most 65536 characters"),
    ],
)
def test_a_malformed_text_is_refused(text, message):
    with pytest.raises(PolicyError, match=message):
        parse_run_modes(text)


def test_a_wrong_distribution_is_refused():
    fifo = PolicySpec("fifo")
    for modes, weights, message in [
        ((), (), "`modes` must be 1 to 256 run modes, got 0"),
        (("fifo",), (), r"`modes\[0\]` must be a PolicySpec, got 'fifo'"),
        ((fifo, fifo), (), r"`modes\[1\]` must be different from all run modes before it"),
        ((fifo,), (1, 2), "`weights` must be a list of 1 weights"),
        ((fifo,), (0.5,), r"`weights\[0\]` must be an integer from 1 to 1000000, got 0.5"),
    ]:
        with pytest.raises(PolicyError, match=message):
            RunModes(modes, weights)
