"""Measurement of a trained network on held-out samples, in every mode with every stop rule."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.file import write_recording
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
from neuroasync.runtime.network import Network
from neuroasync.study.design.case import GROUP_SIZE, Case, network_name
from neuroasync.study.results.output_folder import OutputFolder
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
from neuroasync.train.recipes import Training

__all__ = ["Subject", "measure"]

_CHIPS: Final = (CMOS_45NM, LOIHI)
"""Chips for which the energy is estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A trained network of a study, and the samples of its seed.

    Attributes:
        case, training, seed: The network.
        bundle: Bundle of the network.
        samples: Samples; the validation and test parts are run.
        versions: Versions of the packages that the study runs with.
        keep_recordings: Whether to write recordings of this network into the folder.
    """

    case: Case
    training: Training
    seed: int
    bundle: Bundle
    samples: SeedSamples
    versions: dict[str, str]
    keep_recordings: bool

    @property
    def name(self) -> str:
        """Name of the network, which the names of its files contain."""
        return network_name(self.case, self.training, self.seed)


def measure(subject: Subject, folder: OutputFolder, on_mode: Callable[[int], None]) -> Measurement:
    """Run a network in all modes of its case, in a new event loop.

    This writes recordings and wall times into the folder.

    Args:
        subject: The network.
        folder: Output folder of the study.
        on_mode: Called with the number of modes that are done.

    Raises:
        StudyError: Two engines disagree, or a rule stops a sample elsewhere than computed.
        LimitError: A pass did not end, or the samples do not fit into a recording.
    """
    return asyncio.run(_measure(subject, folder, on_mode))


async def _measure(
    subject: Subject, folder: OutputFolder, on_mode: Callable[[int], None]
) -> Measurement:
    dataset, seed = subject.samples.dataset, subject.seed
    end_us = subject.bundle.duration_us  # training leaves out later events, too
    validation, test = dataset.validation.before(end_us), dataset.test.before(end_us)
    runs: list[RunRecord] = []
    outcomes: list[RuleOutcome] = []
    curves: list[Curve] = []
    wall_ms: list[dict[str, object]] = []
    checked = 0
    trained: Sweep | None = None
    async with Network(subject.bundle, seed=seed) as network:
        for done, mode in enumerate(subject.case.grid, 1):
            swept = await sweep(network, mode, validation, test, seed)
            runs += _runs(subject, swept)
            outcomes += [RuleOutcome.of(mode, swept.points[k]) for k in (0, swept.best[0])]
            if mode.group_size == GROUP_SIZE and mode.input == subject.case.input:
                curves += _curves(swept)
                if subject.keep_recordings:
                    await _write_one_sample(subject, network, folder, swept)
            wall_ms.append(_wall_ms(swept))
            checked += swept.checked
            if mode == subject.case.trained_mode(subject.training):
                trained = swept
            on_mode(done)
    if trained is None:
        raise ValueError(f"{subject.name}: `grid` must have the mode that it was trained for")
    if subject.keep_recordings:
        write_recording(trained.recording, folder.recording(f"{subject.name}-own"))
    folder.write_json(folder.timings(subject.name), wall_ms)
    network_record = _describe(subject, _agreement(subject, trained), checked)
    return Measurement(network_record, trained.points[0].target.tolist(), runs, outcomes, curves)


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
    point, validation = swept.points[k], swept.validation[k]
    labelled, calibration = point.label >= 0, swept.calibrations.get(point.rule)
    to_decision: dict[str, Any] = {
        f"{unit}_to_decision": _mean(getattr(point, unit)[labelled]) for unit in UNITS
    }
    per_sample: dict[str, Any] = {f"{unit}_per_sample": point.mean(unit) for unit in UNITS}
    return RunRecord(
        case=subject.case.name,
        dataset=subject.case.dataset,
        training=subject.training,
        seed=subject.seed,
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
        config=subject.name,
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


def _agreement(subject: Subject, trained: Sweep) -> Agreement:
    """Compare the decisions of the trainer with those of the runtime, in the trained mode."""
    trainer = SpikingNetwork(subject.bundle.model, device="cpu")
    settings = subject.case.recipe(subject.training).config.run_settings
    test, duration_us = subject.samples.dataset.test, subject.bundle.duration_us
    labels, _ = evaluate(trainer, test, settings, subject.seed, duration_us)
    both = zip(labels.tolist(), trained.points[0].label.tolist(), strict=True)
    differ = [(k, one, other) for k, (one, other) in enumerate(both) if one != other]
    return Agreement(labels.size, labels.size - len(differ), differ)


async def _write_one_sample(
    subject: Subject, network: Network, folder: OutputFolder, swept: Sweep
) -> None:
    """Record the first held-out sample in one mode: whole, and with the chosen rule."""
    sample = subject.samples.dataset.test[:1].before(subject.bundle.duration_us)
    policy = swept.mode.policy
    rule = swept.points[swept.best[0]].rule
    for until, suffix in (("quiet", ""), (rule, "-stopped")):
        recording, _ = await record(network, swept.mode, sample, subject.seed, until=until)
        write_recording(recording, folder.recording(f"{subject.name}-{policy}{suffix}"))


def _describe(subject: Subject, agreement: Agreement, checked: int) -> NetworkRecord:
    case, dataset, bundle = subject.case, subject.samples.dataset, subject.bundle
    recipe = case.recipe(subject.training)
    accuracy = bundle.meta.get("validation_accuracy")
    return NetworkRecord(
        name=subject.name,
        case=case.name,
        dataset=case.dataset,
        training=subject.training,
        seed=subject.seed,
        input=case.input,
        bundle_digest=bundle.digest.hex(),
        topology=recipe.topology,
        parameters=bundle.model.parameters,
        config={
            k.removeprefix("train."): v for k, v in bundle.meta.items() if k.startswith("train.")
        },
        fold=subject.seed % case.folds if case.folds else None,
        samples={
            "train": len(dataset.train),
            "validation": len(dataset.validation),
            "test": len(dataset.test),
        },
        samples_digest=subject.samples.digest,
        validation_accuracy=accuracy if isinstance(accuracy, float) else None,
        agreement=agreement,
        checked_by_coroutines=checked,
    )


def _mean(values: NDArray[np.int64]) -> float | None:
    return float(values.mean()) if values.size else None
