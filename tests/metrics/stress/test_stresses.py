"""Stresses as data: their text form, their defaults, and errors."""

from dataclasses import replace

import pytest

import neuroasync as na
from neuroasync.metrics import Stress, default_stresses, parse_stresses
from tests.helpers.small_networks import chain

MODEL = chain().model
FLAT = replace(
    MODEL, populations=MODEL.populations[:1], connections=MODEL.connections[:1], output="hidden1"
)


def test_a_text_lists_kinds_with_strengths():
    text = "input-loss 0.1, 0.25; weight-bits 4; jitter 5ms; order random,fifo F=1,8 queued"
    assert [str(stress) for stress in parse_stresses(text, MODEL)] == [
        "input-loss 0.1", "input-loss 0.25", "weight-bits 4", "jitter 5000us",
        "order random F=1 queued", "order random F=8 queued", "order fifo F=1 queued",
        "order fifo F=8 queued",
    ]  # fmt: skip


def test_the_text_of_a_stress_gives_an_equal_stress():
    for stress in default_stresses(MODEL):
        assert parse_stresses(str(stress), MODEL) == (stress,)


def test_a_kind_without_strengths_has_its_defaults():
    kinds = dict.fromkeys(stress.kind for stress in default_stresses(MODEL))
    assert len(kinds) == 7
    assert parse_stresses(";".join(kinds), MODEL) == default_stresses(MODEL)


def test_default_times_are_timesteps():
    delays = [s.strength for s in default_stresses(replace(MODEL, timestep_us=300))
              if s.kind == "delay"]  # fmt: skip
    assert delays == [300, 600, 1200]


def test_defaults_are_only_what_fits_the_network():
    kinds = {stress.kind for stress in default_stresses(replace(FLAT, timestep_us=0))}
    assert kinds == {"input-loss", "weight-noise", "weight-bits", "order"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`stresses` must be text such as 'input-loss"),
        ("input-loss 0.1;", "must begin with a kind"),
        ("input-los 0.1", "did you mean 'input-loss'?"),
        ("input-loss 1.5", "in 'input-loss 1.5', `strength` must be a number from 0 to 1, got 1.5"),
        ("input-loss nan", "`strength` must be a number, got 'nan'"),
        ("weight-noise 101", "must be a number from 0 to 100"),
        ("weight-bits 4.5", "must be an integer from 2 to 16, got 4.5"),
        ("jitter 5", "must be a whole number of µs with a unit"),
        ("delay 0us", "must be an integer of at least 1, got 0"),
        ("input-loss 0.1; input-loss 0.10", "lists 'input-loss 0.1' twice"),
    ],
)
def test_a_malformed_text_is_refused(text, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below
        parse_stresses(text, MODEL)
    assert message in str(caught.value)


def test_a_malformed_run_mode_is_refused():
    message = "^`stresses`: in 'order rand', .* did you mean 'random'"
    with pytest.raises(na.PolicyError, match=message):
        parse_stresses("order rand", MODEL)


@pytest.mark.parametrize(
    ("text", "number"), [(".5", 0.5), ("1.", 1.0), ("5e-1", 0.5), (".5e-1", 0.05), ("0", 0.0)]
)
def test_numbers_may_lack_digits_before_or_after_the_point(text, number):
    assert parse_stresses(f"input-loss {text}", MODEL) == (Stress("input-loss", number),)


@pytest.mark.parametrize(
    ("kind", "model", "reason"),
    [
        ("delay", FLAT, "the network has no connection between populations"),
        ("jitter", replace(MODEL, timestep_us=0), "the network has no timestep"),
    ],
)
def test_a_kind_without_defaults_needs_strengths(kind, model, reason):
    with pytest.raises(ValueError, match=f"has '{kind}' without strengths, but {reason}"):
        parse_stresses(kind, model)


@pytest.mark.parametrize(
    ("kind", "strength"),
    [("noise", 1), ("order", "random"), ("input-loss", True), ("weight-bits", 3.0), ("delay", -1)],
)
def test_a_malformed_stress_is_refused(kind, strength):
    with pytest.raises(ValueError, match=r"^`(kind|strength)` must be "):
        Stress(kind, strength)
