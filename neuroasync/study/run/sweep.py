"""Sweep over all stop rules of one network in one mode, on recordings of the compiled engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import Engine, RunOptions
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Calibration
from neuroasync.core.recording.recording import Recording
from neuroasync.metrics import StopPoint, stop_points
from neuroasync.runtime.network import Network
from neuroasync.study.design.case import Mode
from neuroasync.study.design.stop_rules import ONE_POINT, rules_for
from neuroasync.study.results.output_folder import StudyError
from neuroasync.train.recipes.stop_rule_search import best_rule

__all__ = ["Sweep", "record", "sweep"]

_REPEATED_SAMPLES: Final = 3
"""Number of samples that the coroutine engine decides again, to compare the engines."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Results of one mode.

    Attributes:
        mode: How the network ran.
        recording: Recording of the held-out samples, until quiet.
        points: Where each rule ends the held-out samples, ``quiet`` first.
        validation: Where each rule ends the validation samples.
        calibrations: Calibrated rules with their guaranteed accuracy, from the validation samples.
        best: Positions of the two rules that were chosen on the validation samples: for half of
            the rounds, and for a loss of at most one percentage point.
        decisions: Decisions until quiet, and with the first rule of ``best``.
        checked: Number of decisions that the coroutine engine repeated with the same spikes.
    """

    mode: Mode
    recording: Recording
    points: tuple[StopPoint, ...]
    validation: tuple[StopPoint, ...]
    calibrations: Mapping[str, Calibration]
    best: tuple[int, int]
    decisions: tuple[Sequence[Decision], Sequence[Decision]]
    checked: int


async def sweep(
    network: Network, mode: Mode, validation: SpikeTrains, test: SpikeTrains, seed: int
) -> Sweep:
    """Run an open network in one mode, and evaluate every stop rule there.

    Cancellation: safe; nothing is left behind.

    Args:
        network: Network that is open in this event loop.
        mode: How to run it.
        validation: Samples to choose rules by.
        test: Held-out samples.
        seed: Seed of the order keys; sample i runs with ``sample_seed(seed, i)``.

    Raises:
        StudyError: The engines disagree, or a rule stops a sample elsewhere than computed from
            its recording.
        LimitError: A pass did not end, or the samples do not fit into a recording.
    """
    validated, _ = await record(network, mode, validation, seed)
    rules = rules_for(validated)
    candidates = stop_points(validated, rules.names)
    within_a_point = best_rule(candidates, ONE_POINT)
    best = rules.names.index(rules.half_rounds), rules.names.index(within_a_point.rule)
    recording, whole = await record(network, mode, test, seed)
    points = stop_points(recording, rules.names)
    chosen = points[best[0]]
    # The chosen rule actually runs, which checks the computed stop points and gives wall times.
    until: RunOptions = {**mode.options, "until": chosen.rule}
    stopped = await network.decide_all(test, seed=seed, **until)
    _check_point(chosen, stopped, mode)
    checked = await _check_engines(network, mode, recording, test, seed)
    decisions = (whole, stopped)
    return Sweep(mode, recording, points, candidates, rules.calibrations, best, decisions, checked)


async def record(
    network: Network,
    mode: Mode,
    samples: SpikeTrains,
    seed: int,
    *,
    until: str = "quiet",
    engine: Engine = "auto",
) -> tuple[Recording, list[Decision]]:
    """Decide on samples and record every spike."""
    options: RunOptions = {**mode.options, "until": until, "engine": engine}
    recorder = network.recorder(**options)
    decisions = await network.decide_all(samples, seed=seed, recorder=recorder, **options)
    return recorder.finish(), decisions


def _check_point(point: StopPoint, decisions: Sequence[Decision], mode: Mode) -> None:
    """Raise StudyError unless the decisions match the stop point computed from the recording."""
    actual = [(-1 if d.label is None else d.label, d.total_spikes, d.rounds) for d in decisions]
    expected = np.stack((point.label, point.spikes, point.rounds), axis=1)
    if (wrong := (np.array(actual).reshape(-1, 3) != expected).any(axis=1)).any():
        at = int(np.argmax(wrong))
        raise StudyError(
            f"{point.rule} under {mode}: sample {at} has (label, spikes, rounds) {actual[at]}, but "
            f"its recording gives {tuple(expected[at].tolist())}; this is a defect of neuroasync"
        )


async def _check_engines(
    network: Network, mode: Mode, recording: Recording, samples: SpikeTrains, seed: int
) -> int:
    """Repeat the first samples with one coroutine per population; return how many they are."""
    again, _ = await record(network, mode, samples[:_REPEATED_SAMPLES], seed, engine="coroutines")
    for k in range(len(again)):
        if again.sample_digest(k) != recording.sample_digest(k):
            raise StudyError(
                f"{mode}: the engines fire different spikes in sample {k}; this is a defect of "
                "neuroasync"
            )
    return len(again)
