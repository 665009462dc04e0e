"""Measurement of a trained network on held-out samples, in every mode with every stop rule."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recording import Recording
from neuroasync.metrics import (
    CMOS_45NM,
    LOIHI,
    Summary,
    anytime_curve,
    estimate_energy,
    spike_density,
    summarise,
)
from neuroasync.metrics.trajectory import UNITS
from neuroasync.runtime.batch.blocking import run_blocking
from neuroasync.runtime.network import Network
from neuroasync.study.design.case import GROUP_SIZE, StudyNetwork
from neuroasync.study.results.records import (
    BUDGETS,
    Agreement,
    Curve,
    Measurement,
    NetworkRecord,
    RuleOutcome,
    RunRecord,
)
from neuroasync.study.run.samples import SeedSamples
from neuroasync.study.run.sweep import Sweep, record, sweep
from neuroasync.train.loop.evaluation import evaluate
from neuroasync.train.module import SpikingNetwork

__all__ = ["Measured", "Subject", "measure"]

_CHIPS: Final = (CMOS_45NM, LOIHI)
"""Chips for which the energy is estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A trained network of a study.

    Attributes:
        network: The network.
        bundle: Bundle of the network.
        versions: Versions of the packages that the study runs with.
        keep_recordings: Whether to return recordings of this network.
    """

    network: StudyNetwork
    bundle: Bundle
    versions: dict[str, str]
    keep_recordings: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurement of a network, and the files that the study keeps besides.

    Attributes:
        measurement: The measurement.
        wall_ms: Wall times of the decisions, one mapping per mode.
        recordings: Recordings by name; none unless ``Subject.keep_recordings``.
    """

    measurement: Measurement
    wall_ms: list[dict[str, object]]
    recordings: dict[str, Recording]


def measure(subject: Subject, samples: SeedSamples, on_mode: Callable[[int], None]) -> Measured:
    """Run a network in all modes of its case, in a new event loop.

    Args:
        subject: The network.
        samples: The samples of its seed; the validation and test parts are run.
        on_mode: Called with the number of modes that are done.

    Raises:
        StudyError: Two engines disagree, or a rule stops a sample elsewhere than computed.
        LimitError: A pass did not end, or the samples do not fit into a recording.
    """
    return run_blocking(_measure(subject, samples, on_mode))


async def _measure(
    subject: Subject, samples: SeedSamples, on_mode: Callable[[int], None]
) -> Measured:
    case, name, seed = subject.network.case, subject.network.name, subject.network.seed
    end_us = subject.bundle.duration_us  # training leaves out later events, too
    validation, test = (
        part.before(end_us) for part in (samples.dataset.validation, samples.dataset.test)
    )
    runs: list[RunRecord] = []
    outcomes: list[RuleOutcome] = []
    curves: list[Curve] = []
    wall_ms: list[dict[str, object]] = []
    recordings: dict[str, Recording] = {}
    checked = 0
    trained: Sweep | None = None
    async with Network(subject.bundle, seed=seed) as network:
        for done, mode in enumerate(case.grid, 1):
            swept = await sweep(network, mode, validation, test, seed)
            runs += _runs(subject, swept)
            outcomes += [RuleOutcome.of(mode, swept.points[k]) for k in (0, swept.best[0])]
            if mode.group_size == GROUP_SIZE and mode.input == case.input:
                curves += _curves(swept)
                if subject.keep_recordings:
                    recordings |= await _record_one_sample(name, network, test[:1], swept, seed)
            wall_ms.append(_wall_ms(swept))
            checked += swept.checked
            if mode == case.trained_mode(subject.network.training):
                trained = swept
            on_mode(done)
    if trained is None:
        raise ValueError(f"{name}: `grid` must have the mode that it was trained for")
    if subject.keep_recordings:
        recordings[f"{name}-own"] = trained.recording
    described = _describe(subject, samples, _agreement(subject, samples, trained), checked)
    target = trained.points[0].target.tolist()
    return Measured(Measurement(described, target, runs, outcomes, curves), wall_ms, recordings)


def _runs(subject: Subject, swept: Sweep) -> list[RunRecord]:
    """Return a record for each rule."""
    targets = swept.points[0].target.tolist()
    neurons = subject.bundle.model.size
    summaries = {
        k: summarise(decisions, targets, neurons=neurons)
        for k, decisions in zip((0, swept.best[0]), swept.decisions, strict=True)
    }
    return [_run(subject, swept, k, summaries.get(k)) for k in range(len(swept.points))]


def _run(subject: Subject, swept: Sweep, k: int, summary: Summary | None) -> RunRecord:
    network, point, validation = subject.network, swept.points[k], swept.validation[k]
    labelled, calibration = point.label >= 0, swept.calibrations.get(point.rule)
    to_decision: dict[str, Any] = {
        f"{unit}_to_decision": _mean(getattr(point, unit)[labelled]) for unit in UNITS
    }
    per_sample: dict[str, Any] = {f"{unit}_per_sample": point.mean(unit) for unit in UNITS}
    return RunRecord(
        case=network.case.name,
        dataset=network.case.dataset,
        training=network.training,
        seed=network.seed,
        **asdict(swept.mode),
        until=point.rule,
        chosen=k == swept.best[0],
        chosen_within_a_point=k == swept.best[1],
        promised=None if calibration is None else calibration.accuracy,
        promised_error=None if calibration is None else calibration.error,
        samples=point.label.size,
        accuracy=point.accuracy or 0.0,
        undecided=int((~labelled).sum()),
        **per_sample,
        **to_decision,
        validation_accuracy=validation.accuracy or 0.0,
        validation_rounds=validation.mean("rounds") or 0.0,
        **_run_values(subject, summary),
        bundle_digest=subject.bundle.digest.hex(),
        config=network.name,
        versions=subject.versions,
    )


def _run_values(subject: Subject, summary: Summary | None) -> dict[str, Any]:
    """Return the values that only an actual run with the rule gives; None without one."""
    flat = {} if summary is None else summary.to_json()
    names = [f"{unit}_to_{moment}" for moment in ("first", "first_correct") for unit in UNITS]
    values: dict[str, Any] = {name: flat.get(name) for name in ("synops_per_sample", *names)}
    values["spike_density"] = values["energy_pj"] = None
    if summary is not None:
        synops, spikes = summary.synops_per_sample or 0.0, summary.spikes_per_sample or 0.0
        values["spike_density"] = spike_density(summary, subject.bundle.model)
        values["energy_pj"] = {
            chip.name: estimate_energy(chip, synops=synops, spikes=spikes).total_pj
            for chip in _CHIPS
        }
    return values


def _curves(swept: Sweep) -> list[Curve]:
    return [Curve.of(swept.mode, anytime_curve(swept.recording, unit, BUDGETS)) for unit in UNITS]


def _wall_ms(swept: Sweep) -> dict[str, object]:
    """Return wall times of decisions, ms: until quiet (recorded) and with the chosen rule (not)."""
    whole, chosen = ([1e3 * d.wall_s for d in decisions] for decisions in swept.decisions)
    return {**asdict(swept.mode), "quiet": whole, "chosen": chosen}


def _agreement(subject: Subject, samples: SeedSamples, trained: Sweep) -> Agreement:
    """Compare the decisions of the trainer with those of the runtime, in the trained mode."""
    trainer = SpikingNetwork(subject.bundle.model, device="cpu")
    settings = subject.network.recipe.config.run_settings
    test, duration_us = samples.dataset.test, subject.bundle.duration_us
    labels, _ = evaluate(trainer, test, settings, subject.network.seed, duration_us)
    both = zip(labels.tolist(), trained.points[0].label.tolist(), strict=True)
    differ = [(k, one, other) for k, (one, other) in enumerate(both) if one != other]
    return Agreement(labels.size, labels.size - len(differ), differ)


async def _record_one_sample(
    name: str, network: Network, sample: SpikeTrains, swept: Sweep, seed: int
) -> dict[str, Recording]:
    """Record the first held-out sample in one mode: whole, and with the chosen rule."""
    rule = swept.points[swept.best[0]].rule
    whole, _ = await record(network, swept.mode, sample, seed)
    stopped, _ = await record(network, swept.mode, sample, seed, until=rule)
    return {f"{name}-{swept.mode.policy}": whole, f"{name}-{swept.mode.policy}-stopped": stopped}


def _describe(
    subject: Subject, samples: SeedSamples, agreement: Agreement, checked: int
) -> NetworkRecord:
    network, case, bundle = subject.network, subject.network.case, subject.bundle
    accuracy = bundle.meta.get("validation_accuracy")
    return NetworkRecord(
        name=network.name,
        case=case.name,
        dataset=case.dataset,
        training=network.training,
        seed=network.seed,
        input=case.input,
        bundle_digest=bundle.digest.hex(),
        topology=network.recipe.topology,
        parameters=bundle.model.parameters,
        config={
            k.removeprefix("train."): v for k, v in bundle.meta.items() if k.startswith("train.")
        },
        fold=network.seed % case.folds if case.folds else None,
        samples={
            "train": len(samples.dataset.train),
            "validation": len(samples.dataset.validation),
            "test": len(samples.dataset.test),
        },
        samples_digest=samples.digest,
        validation_accuracy=accuracy if isinstance(accuracy, float) else None,
        agreement=agreement,
        checked_by_coroutines=checked,
    )


def _mean(values: NDArray[np.int64]) -> float | None:
    return float(values.mean()) if values.size else None
