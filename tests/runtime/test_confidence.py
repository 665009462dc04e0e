"""A network with ``confidence(p)`` uses the calibrated rule, or says why it cannot."""

from dataclasses import replace

import pytest

import neuroasync as na
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.metrics import stop_points
from neuroasync.replay import rerun
from tests.helpers.calibrations import calibration, confident, whole
from tests.helpers.recordings import relay


async def test_confidence_selects_the_calibrated_rule(no_leaks):
    sample = SpikeTrain([0, 0, 1000], [0, 1, 1])
    network = na.Network(confident(), until="confidence(0.90)")
    async with network:
        assert str(network.settings.until) == "margin(2,1)"
        recorder = network.recorder()
        decision = await network.decide(sample, recorder=recorder)
        assert decision == await network.decide(sample, until="margin(2,1)")
        assert (decision.stopped, decision.label) == (True, 1)
        assert not (await network.decide(sample, until="confidence(.95)")).stopped
        assert [decision] == await network.decide_all([sample], until="confidence(0.9)")
    recording = recorder.finish()
    assert (
        recording.info.until == "margin(2,1)"
    )  # the rule itself, so that replaying needs no calibration
    assert rerun(recording, confident()) == recording


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"until": "confidence(0.8)"},
            r"is calibrated for confidence\(0.9\), confidence\(0.95\); ",
        ),
        ({"until": "confidence(95)"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence()"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence(p)"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence(nan)"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": "confidence(0.9"}, r"must be confidence\(p\) with p between 0 and 1"),
        ({"until": f"confidence(0.{'9' * 40})"}, r"must be confidence\(p\) with p between 0 and"),
        (
            {"until": "confidence(0.9)", "policy": "random"},
            "is calibrated for fifo, F = 1, prioritised input, and this",
        ),
        (
            {"until": "confidence(0.9)", "group_size": 2},
            "this call uses fifo, F = 2, prioritised ",
        ),
        ({"until": "confidence(0.9)", "input": "queued"}, "this call uses fifo, F = 1, queued in"),
    ],
)
async def test_confidence_is_rejected_with_other_options_than_calibrated(
    options, message, no_leaks
):
    async with na.Network(confident()) as network:
        with pytest.raises(na.StopRuleError, match=message):
            await network.decide(SpikeTrain([], []), **options)


async def test_default_confidence_is_rejected_under_another_policy(no_leaks):
    async with na.Network(confident(), until="confidence(0.9)") as network:
        with pytest.raises(na.StopRuleError, match="this call uses random, F = 1"):
            network.session(policy="random")
        network.session(policy="random", until="quiet").close()


@pytest.mark.parametrize("accuracy", [1e-05, 0.1 * 7, 5e-324, 0.12345678901234567])
def test_accuracy_can_be_written_in_any_float_format(accuracy):
    known = replace(confident(), calibration=(calibration(accuracy, error=0.0),))
    for written in (accuracy, f"{accuracy:.17e}"):
        network = na.Network(known, until=f"confidence({written})")
        assert str(network.settings.until) == "margin(2,1)"


async def test_confidence_is_rejected_with_custom_populations(no_leaks):
    async def silent(inbox, fired, population):
        async for _ in inbox:
            await fired.put([])

    name = relay().model.populations[0].name
    message = rf"calibration is not valid with custom populations \('{name}'\); use margin"
    with pytest.raises(na.StopRuleError, match=message):
        na.Network(confident(), populations={name: silent}, until="confidence(0.9)")
    async with na.Network(confident(), populations={name: silent}) as network:
        with pytest.raises(na.StopRuleError, match=message):
            await network.decide(SpikeTrain([], []), until="confidence(0.9)")
        with pytest.raises(na.StopRuleError, match=message):
            network.session(until="confidence(0.9)")
        network.session(until="margin(2,1)").close()


async def test_error_without_calibration_explains_how_to_calibrate():
    with pytest.raises(
        na.StopRuleError, match="the bundle has no calibration; calibrate it with `neuroasy"
    ):
        na.Network(relay(), until="confidence(0.9)")
    with pytest.raises(na.StopRuleError, match="must be a rule other than confidence"):
        stop_points(whole(), ["confidence(0.9)"])
