"""``confidence(p)`` becomes a calibrated stop rule, or an error that says what is calibrated."""

from dataclasses import replace

import pytest

from neuroasync import StopRuleError
from neuroasync.core.formats.bundle import Calibration, PolicySpec
from neuroasync.runtime.option_resolver import OptionResolver
from tests.helpers.small_networks import chain

SPEC = PolicySpec("momentum", 2, noise=0.5)
CALIBRATED = replace(
    chain(), policy=SPEC, calibration=(Calibration(0.9, 0.0, 1.0, 10, (3, 1), SPEC),)
)


def test_confidence_becomes_the_calibrated_rule():
    settings = OptionResolver(CALIBRATED, {}, ()).resolve({"until": "confidence(0.9)"})
    assert str(settings.until) == "margin(3,1)"


@pytest.mark.parametrize(
    ("bundle", "custom", "options", "error"),
    [
        (CALIBRATED, (), {"until": "confidence(2)"}, "must be confidence(p) with p between 0 and"),
        (CALIBRATED, (), {"until": "confidence(x)"}, "must be confidence(p) with p between 0 and"),
        (CALIBRATED, ("hidden1",), {"until": "confidence(0.9)"}, "not valid with custom popul"),
        (chain(), (), {"until": "confidence(0.9)"}, "but the bundle has no calibration; calibr"),
        (CALIBRATED, (), {"until": "confidence(0.8)"}, "calibrated for confidence(0.9); calibr"),
        (
            CALIBRATED,
            (),
            {"until": "confidence(0.9)", "policy": "fifo"},
            "calibrated for momentum, F = 2, prioritised input, noise 0.5, and this call uses fifo",
        ),
        (
            CALIBRATED,
            (),
            {"until": "confidence(0.9)", "policy": type("P", (), {"order": lambda *_: []})()},
            "and this call uses a custom policy",
        ),
    ],
)
def test_confidence_that_is_not_calibrated_is_refused(bundle, custom, options, error):
    with pytest.raises(StopRuleError) as caught:
        OptionResolver(bundle, {}, custom).resolve(options)
    assert error in str(caught.value)


def test_option_that_does_not_exist_is_named():
    with pytest.raises(TypeError, match="'speed' is not an option; the options are policy, "):
        OptionResolver(CALIBRATED, {}, ()).resolve({"speed": 1})


def test_trained_is_the_rule_in_the_meta():
    bundle = replace(CALIBRATED, meta={"until": "margin(4,2)"})
    for resolver in (OptionResolver(bundle, {}, ()), OptionResolver(bundle, {}, ("hidden1",))):
        settings = resolver.resolve({"until": "trained", "group_size": 5})
        assert (str(settings.until), settings.group_size) == ("margin(4,2)", 5)
    assert str(OptionResolver(bundle, {"until": "trained"}, ()).defaults.until) == "margin(4,2)"


@pytest.mark.parametrize(
    ("bundle", "error"),
    [
        (chain(), "`until` is 'trained', but the bundle does not state the stop rule of its"),
        (CALIBRATED, r"\(`until` in its meta\); it is calibrated for confidence\(0.9\)$"),
        (replace(chain(), meta={"until": 3}), "does not state the stop rule of its training"),
        (replace(chain(), meta={"until": "trained"}), "in the bundle's meta `until` must be a "),
        (replace(chain(), meta={"until": "soon"}), "in the bundle's meta `until` must be quiet"),
    ],
)
def test_trained_without_a_valid_rule_is_refused(bundle, error):
    with pytest.raises(StopRuleError, match=error):
        OptionResolver(bundle, {"until": "trained"}, ())


def test_sessions_with_any_options_share_the_weights():
    resolver = OptionResolver(chain(), {}, ())
    plans = [resolver.plan(resolver.resolve(options)) for options in ({}, {"policy": "fifo"})]
    assert plans[0].packed.arrays.weights is plans[1].packed.arrays.weights
