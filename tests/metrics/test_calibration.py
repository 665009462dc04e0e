"""Calibration rejects unsuitable recordings; a bundle rejects unsuitable calibrations."""

import math
from dataclasses import replace

import numpy as np
import pytest

import neuroasync as na
from neuroasync.metrics import boldest_lead, calibrate, slowest_lead
from tests.helpers.calibrations import calibration, whole
from tests.helpers.malformed_files import rich_bundle
from tests.helpers.recordings import relay


def test_accuracy_above_that_of_complete_samples_is_rejected():
    recording = whole()
    (result,) = calibrate(recording, [0.9])
    assert (result.measured, result.samples, result.policy) == (1.0, 4, na.PolicySpec("fifo", 1))
    assert result.error == pytest.approx(0.9 - 0.05 ** (1 / 4))
    with pytest.raises(
        ValueError, match=r"^`accuracies` must be at most 0.75, the accuracy without early"
    ):
        calibrate(replace(recording, target=np.array([1, 0, 1, 1])), [0.9])


@pytest.mark.parametrize("accuracy", [0.7, 0.1 * 7, 0.7 + 1e-12])
def test_exactly_the_required_accuracy_is_enough_despite_rounding(accuracy):
    (result,) = calibrate(
        replace(whole(100), target=(np.arange(100) < 70).astype(np.int64)), [accuracy]
    )
    assert (result.accuracy, result.measured, result.samples) == (accuracy, accuracy, 100)
    known = replace(relay(), policy=result.policy, calibration=(result,))
    assert str(na.Network(known, until=f"confidence({accuracy})").settings.until) == result.until


@pytest.mark.parametrize("accuracy", [0.0, 1.0, math.nan, 1, "0.9", True])
def test_accuracy_must_lie_between_0_and_1(accuracy):
    with pytest.raises(ValueError, match=r"^`accuracies` must be between 0 and 1, got"):
        calibrate(whole(), [accuracy])


def test_unsuitable_recording_is_rejected():
    for other, message in (
        (whole(0), "^the recording has no samples"),
        (replace(whole(), info=replace(whole().info, custom_policy=True)), "with a custom policy"),
        (
            replace(whole(), info=replace(whole().info, until="first-spike")),
            "^`until` of the recording must be 'quiet'",
        ),
    ):
        with pytest.raises(na.RecordingError, match=message):
            calibrate(other, [0.9])
    for choose, value in ((boldest_lead, 1), (slowest_lead, 0.5)):
        with pytest.raises(na.RecordingError, match=r"^the recording has no samples"):
            choose(whole(0), value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"accuracy": 0.0}, r"^`accuracy` must be a float between 0 and 1, both excluded, got 0\."),
        ({"accuracy": 1.0, "measured": 1}, r"^`accuracy` must be a float between 0 and 1, both ex"),
        ({"accuracy": math.nan}, r"^`accuracy` must be a float between 0 and 1, both excluded, go"),
        ({"accuracy": "0.9"}, r"^`accuracy` must be a float between 0 and 1, both excluded, got '"),
        ({"error": 0.91}, r"^`error` must be a number from 0 to 0\.9, got 0\.91$"),
        ({"error": -0.01}, r"^`error` must be a number from 0 to 0\.9, got -0\.01$"),
        ({"measured": 0.89}, r"^`measured` must be a number from 0\.9 to 1, got 0\.89$"),
        ({"samples": 0}, r"^`samples` must be an integer of at least 1, got 0$"),
        ({"leads": ()}, r"^`leads` must be a tuple of 1 to 4096 integers, got \(\)$"),
        ({"leads": [1]}, r"^`leads` must be a tuple of 1 to 4096 integers, got \[1\]$"),
        ({"leads": (1,) * 4097}, r"^`leads` must be a tuple of 1 to 4096 integers, got \(1, 1, 1,"),
        ({"leads": (1, -1)}, r"^`leads\[1\]` must be an integer from 0 to 999999999, got -1$"),
        ({"leads": (0, 0)}, r"^`leads` must have an entry above 0, or the rule never stops$"),
        ({"policy": "fifo"}, r"^`policy` must be a PolicySpec, got 'fifo'$"),
    ],
)
def test_invalid_calibration_is_rejected(fields, message):
    with pytest.raises(na.BundleError, match=message):
        replace(calibration(), **fields)


def test_accuracy_is_calibrated_once_per_policy():
    bundle = rich_bundle()
    with pytest.raises(
        na.BundleError,
        match=r"^`calibration\[1\]\.accuracy` must be different from all others with the same",
    ):
        replace(bundle, calibration=(calibration(), calibration(leads=(3,))))
    with pytest.raises(
        na.BundleError, match=r"^`calibration` must be a list of at most 64 entries, got 65$"
    ):
        replace(bundle, calibration=[calibration(k / 100) for k in range(6, 71)])
