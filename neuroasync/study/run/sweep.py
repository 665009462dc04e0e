"""One network in one mode, in the asyncio runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import Engine, RunOptions
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Calibration
from neuroasync.core.recording.recording import Recording
from neuroasync.metrics import StopPoint, stop_points
from neuroasync.runtime.network import Network
from neuroasync.study.design.case import Mode
from neuroasync.study.design.stop_rules import A_POINT, rules_for
from neuroasync.study.results.output_folder import StudyError
from neuroasync.train.stop_rule_search import best_rule

__all__ = ["Sweep", "record", "sweep"]

_TWICE: Final = 3
"""Samples that the coroutine engine decides on once more."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What came of one mode.

    Attributes:
        mode: how the network ran.
        recording: of the held-out samples, until quiet.
        points: where each rule ends them, ``quiet`` first.
        validation: the same of the validation samples.
        promises: what is promised of some rules, by ``validation``.
        best: positions of the rules that were chosen by ``validation``: for half of the rounds,
            and for a loss of a point at most.
        decisions: of whole samples, and of samples under the first of ``best``.
        checked: decisions that the coroutine engine made with the same spikes.
    """

    mode: Mode
    recording: Recording
    points: tuple[StopPoint, ...]
    validation: tuple[StopPoint, ...]
    promises: Mapping[str, Calibration]
    best: tuple[int, int]
    decisions: tuple[Sequence[Decision], Sequence[Decision]]
    checked: int


async def sweep(
    network: Network, mode: Mode, validation: SpikeTrains, test: SpikeTrains, seed: int
) -> Sweep:
    """Run an open network in one mode, and judge every stop rule there.

    Cancellation: safe; nothing is left behind.

    Args:
        network: open in this event loop.
        mode: how to run it.
        validation: samples to choose a rule by.
        test: held-out samples.
        seed: sample i runs with ``sample_seed(seed, i)``.

    Raises:
        StudyError: the engines disagree, or a rule ends a sample elsewhere than its recording
            says.
        LimitError: a pass did not end, or the samples do not fit into a recording.
    """
    tried, _ = await record(network, mode, validation, seed)
    rules = rules_for(tried)
    candidates = stop_points(tried, rules.names)
    within = best_rule(candidates, A_POINT)
    best = rules.names.index(rules.in_half), rules.names.index(within.rule)
    recording, whole = await record(network, mode, test, seed)
    points = stop_points(recording, rules.names)
    chosen = points[best[0]]
    until: RunOptions = {**mode.options, "until": chosen.rule}
    stopped = await network.decide_all(test, seed=seed, **until)
    _check_point(chosen, stopped, mode)
    checked = await _check_engines(network, mode, recording, test, seed)
    decisions = (whole, stopped)
    return Sweep(mode, recording, points, candidates, rules.promises, best, decisions, checked)


async def record(
    network: Network,
    mode: Mode,
    samples: SpikeTrains,
    seed: int,
    *,
    until: str = "quiet",
    engine: Engine = "auto",
) -> tuple[Recording, list[Decision]]:
    """Run samples, and write down every spike."""
    options: RunOptions = {**mode.options, "until": until, "engine": engine}
    recorder = network.recorder(**options)
    decisions = await network.decide_all(samples, seed=seed, recorder=recorder, **options)
    return recorder.finish(), decisions


def _check_point(point: StopPoint, decisions: Sequence[Decision], mode: Mode) -> None:
    """Raise StudyError unless a rule did what was worked out from the recording."""
    found = [(-1 if d.label is None else d.label, d.total_spikes, d.rounds) for d in decisions]
    expected = np.stack((point.label, point.spikes, point.rounds), axis=1)
    if (wrong := (np.array(found).reshape(-1, 3) != expected).any(axis=1)).any():
        at = int(np.argmax(wrong))
        raise StudyError(
            f"{point.rule} under {mode}: sample {at} came to (label, spikes, rounds) {found[at]}, "
            f"its recording says {tuple(expected[at].tolist())}; this is a defect of neuroasync"
        )


async def _check_engines(
    network: Network, mode: Mode, recording: Recording, samples: SpikeTrains, seed: int
) -> int:
    """Run the first samples with a coroutine for each population, too; how many that are."""
    again, _ = await record(network, mode, samples[:_TWICE], seed, engine="coroutines")
    for k in range(len(again)):
        if again.sample_digest(k) != recording.sample_digest(k):
            raise StudyError(
                f"{mode}: the engines fire other spikes in sample {k}; this is a defect of "
                "neuroasync"
            )
    return len(again)
