"""Choose stop rules for a trained network.

The runtime runs the validation samples once, to the end, and records them. Every candidate rule is
then evaluated on that recording.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle, Scalar
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import ForwardStepLimitError, LimitError, PassLimitError
from neuroasync.metrics import StopPoint, boldest_lead, calibrate, stop_points
from neuroasync.runtime.batch.blocking import run_blocking
from neuroasync.runtime.network import Network

__all__ = [
    "CANDIDATES",
    "best_rule",
    "choose_until",
    "falling_lead",
    "with_stop_rules",
]

CANDIDATES: Final = (
    "first-spike",
    *(f"{rule}({k})" for k in range(2, 9) for rule in ("votes", "margin")),
)
"""Candidate rules, besides ``quiet`` and a required lead that falls from pass to pass."""
_MAX_SAMPLES: Final = 1000
"""Enough samples to measure an accuracy to one or two percentage points, while their recording
still fits in memory."""


def with_stop_rules(bundle: Bundle, validation: SpikeTrains, seed: int, loss: float) -> Bundle:
    """Return the bundle with a chosen stop rule and with calibrations.

    The rule is stored in the meta as ``until``; the calibrations are for ``confidence(p)``. The
    samples run under the bundle's own ordering policy, so the results hold for that order only.
    An output of leaky integrators does not vote: its rule is ``quiet``, without a calibration.

    Args:
        bundle: The trained network.
        validation: At least one sample with labels. The network must not have been trained on them.
            The first 1,000 are used, or fewer if a recording cannot hold as many.
        seed: Sample i runs with ``sample_seed(seed, i)``.
        loss: Accuracy that the rule may cost, as a fraction from 0 to 1.
    """
    model = bundle.model
    if model.decides_by_potential:
        return replace(bundle, meta={**bundle.meta, "until": "quiet"})
    samples = validation[:_MAX_SAMPLES].before(bundle.duration_us)  # as in training
    recording = _recording(bundle, samples, seed)
    chosen = choose_until(recording, loss)
    entries: dict[str, Scalar] = {
        "until": chosen.rule,
        "until_validation_accuracy": chosen.accuracy,
        "until_validation_rounds": chosen.mean("rounds"),
        "until_validation_spikes": chosen.mean("spikes"),
    }
    return replace(bundle, meta={**bundle.meta, **entries}, calibration=calibrate(recording))


def choose_until(recording: Recording, loss: float) -> StopPoint:
    """Return the rule with the fewest rounds that loses at most ``loss`` accuracy to ``quiet``.

    Args:
        recording: At least one sample, run to its end, with a known correct class.
        loss: Accuracy that the rule may cost, as a fraction from 0 to 1.
    """
    rules = ("quiet", *CANDIDATES, falling_lead(recording, loss))
    return best_rule(stop_points(recording, rules), loss)


def falling_lead(recording: Recording, loss: float) -> str:
    """Return the boldest rule with a falling lead that loses at most ``loss`` accuracy.

    Such a rule requires a lead of votes that falls from pass to pass; the boldest one requires
    the smallest leads.

    Args:
        recording: At least one sample, run to its end, with a known correct class.
        loss: Accuracy that the rule may cost, as a fraction from 0 to 1.
    """
    correct = int((recording.label == recording.target).sum())
    return str(boldest_lead(recording, _min_correct(correct, loss, len(recording))))


def best_rule(points: Sequence[StopPoint], loss: float) -> StopPoint:
    """Return the point with the fewest rounds among those that lose at most ``loss`` accuracy.

    Args:
        points: Results of several rules on the same samples; ``quiet`` comes first. If several
            points have the fewest rounds, the first of them is returned.
        loss: Accuracy that the rule may lose to ``quiet``, as a fraction from 0 to 1.
    """
    correct = [int((point.label == point.target).sum()) for point in points]
    min_correct = _min_correct(correct[0], loss, points[0].target.size)
    allowed = [point for point, n in zip(points, correct, strict=True) if n >= min_correct]
    return min(allowed, key=lambda point: int(point.rounds.sum()))


def _min_correct(correct: int, loss: float, samples: int) -> int:
    """Return how many samples must be decided correctly, if ``quiet`` gets ``correct`` right."""
    # The small term keeps rounding errors in loss * samples from demanding one sample more.
    return max(math.ceil(correct - loss * samples - 1e-9), 0)


def _recording(bundle: Bundle, samples: SpikeTrains, seed: int) -> Recording:
    """Return a recording of the samples; of the first half, and so on, if it would be too large.

    Raises:
        ForwardStepLimitError, PassLimitError: A sample exceeded a limit.
        LimitError: The recording of a single sample would be too large.
    """
    while True:
        try:
            return run_blocking(_record(bundle, samples, seed))
        except (ForwardStepLimitError, PassLimitError):
            raise  # A sample is at fault; leaving it out would hide this.
        except LimitError:
            if len(samples) < 2:
                raise
            samples = samples[: len(samples) // 2]


async def _record(bundle: Bundle, samples: SpikeTrains, seed: int) -> Recording:
    network = Network(bundle)
    recorder = network.recorder()
    async with network:
        await network.decide_all(samples, seed=seed, recorder=recorder)
    return recorder.finish()
