"""Stop rules are read from text, and invalid ones are refused."""

import pytest

from neuroasync.core.engine.stop_rules import StopRule, parse_stop_rule, short_rule
from neuroasync.errors import StopRuleError


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("votes(1)", "votes", (1,)), ("steps(0)", "steps", (0,)),
        ("margin(3, 0,2)", "margin", (3, 0, 2)),
    ],
)  # fmt: skip
def test_valid_text_gives_its_rule(text, name, arguments):
    assert parse_stop_rule(text) == StopRule(name, arguments)


@pytest.mark.parametrize("text", ["votes(0)", "margin(0)", "votes(1,2)", "steps(2,3)", "votes()"])
def test_rule_with_a_wrong_number_is_refused(text):
    with pytest.raises(StopRuleError, match=r"^`until` must be ") as caught:
        parse_stop_rule(text)
    assert "did you mean" not in str(caught.value)  # the name is right


def test_name_that_is_not_known_gets_a_suggestion():
    with pytest.raises(StopRuleError, match=r"did you mean '?votes"):
        parse_stop_rule("vote(3)")


def test_only_long_rules_are_shortened():
    assert short_rule("margin(1,2,3)") == "margin(1,2,3)"
    assert short_rule("margin(1,2,3,4)") == "margin(1,..,4)"
