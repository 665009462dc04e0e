"""A trained network on held-out samples: every mode, every stop rule, in the runtime."""

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
from neuroasync.study.results.output_folder import Folder
from neuroasync.study.results.records import (
    BUDGETS,
    Agreement,
    Curve,
    Measured,
    NetworkRecord,
    Outcome,
    Run,
)
from neuroasync.study.run.samples import SeedSamples
from neuroasync.study.run.sweep import Sweep, record, sweep
from neuroasync.train.module import SpikingNetwork
from neuroasync.train.recipes import Training
from neuroasync.train.training_loop import evaluate

__all__ = ["Subject", "measure"]

_CHIPS: Final = (CMOS_45NM, LOIHI)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A trained network of a study, and the samples of its seed.

    Attributes:
        case, training, seed: which network.
        bundle: it.
        samples: of which the validation and test parts are run.
        versions: of what all is made with.
        keep_recordings: whether the folder is to have recordings of it.
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
        """What its files are called."""
        return network_name(self.case, self.training, self.seed)


def measure(subject: Subject, folder: Folder, on_mode: Callable[[int], None]) -> Measured:
    """Run a network in all modes of its case, in an event loop of its own.

    Recordings and wall times go into the folder.

    Args:
        subject: the network.
        folder: of the study.
        on_mode: called with the number of modes that are done.

    Raises:
        StudyError, LimitError: see ``sweep``.
    """
    return asyncio.run(_measure(subject, folder, on_mode))


async def _measure(subject: Subject, folder: Folder, on_mode: Callable[[int], None]) -> Measured:
    dataset, seed = subject.samples.dataset, subject.seed
    runs: list[Run] = []
    outcomes: list[Outcome] = []
    curves: list[Curve] = []
    wall_ms: list[dict[str, object]] = []
    checked = 0
    own: Sweep | None = None
    async with Network(subject.bundle, seed=seed) as network:
        for done, mode in enumerate(subject.case.grid, 1):
            found = await sweep(network, mode, dataset.validation, dataset.test, seed)
            runs += _runs(subject, found)
            outcomes += [Outcome.of(mode, found.points[k]) for k in (0, found.best[0])]
            if mode.group_size == GROUP_SIZE and mode.input == subject.case.input:
                curves += _curves(found)
                if subject.keep_recordings:
                    await _keep_one_sample(subject, network, folder, found)
            wall_ms.append(_wall_ms(found))
            checked += found.checked
            if mode == subject.case.own_mode(subject.training):
                own = found
            on_mode(done)
    if own is None:
        raise ValueError(f"{subject.name}: the grid lacks the order it was trained for")
    if subject.keep_recordings:
        write_recording(own.recording, folder.recording(f"{subject.name}-own"))
    folder.write_json(folder.timings(subject.name), wall_ms)
    network_record = _describe(subject, _agreement(subject, own), checked)
    return Measured(network_record, own.points[0].target.tolist(), runs, outcomes, curves)


def _runs(subject: Subject, found: Sweep) -> list[Run]:
    """A row for each rule."""
    targets = found.points[0].target.tolist()
    neurons = subject.bundle.model.size
    counted = {
        k: summarise(decisions, targets, neurons=neurons)
        for k, decisions in zip((0, found.best[0]), found.decisions, strict=True)
    }
    return [_run(subject, found, k, counted.get(k)) for k in range(len(found.points))]


def _run(subject: Subject, found: Sweep, k: int, counted: Summary | None) -> Run:
    point, tried = found.points[k], found.validation[k]
    labelled, promise = point.label >= 0, found.promises.get(point.rule)
    to_decision: dict[str, Any] = {
        f"{unit}_to_decision": _mean(getattr(point, unit)[labelled]) for unit in UNITS
    }
    per_sample: dict[str, Any] = {f"{unit}_per_sample": point.mean(unit) for unit in UNITS}
    return Run(
        case=subject.case.name,
        dataset=subject.case.dataset,
        training=subject.training,
        seed=subject.seed,
        **asdict(found.mode),
        until=point.rule,
        chosen=k == found.best[0],
        chosen_within_a_point=k == found.best[1],
        promised=None if promise is None else promise.accuracy,
        promised_error=None if promise is None else promise.error,
        samples=point.label.size,
        accuracy=point.accuracy or 0.0,
        undecided=int((~labelled).sum()),
        **per_sample,
        **to_decision,
        validation_accuracy=tried.accuracy or 0.0,
        validation_rounds=tried.mean("rounds") or 0.0,
        **_counted(subject, counted),
        bundle_digest=subject.bundle.digest.hex(),
        config=subject.name,
        versions=subject.versions,
    )


def _counted(subject: Subject, summary: Summary | None) -> dict[str, Any]:
    """What only a run until then has counted."""
    flat = {} if summary is None else summary.to_json()
    names = [f"{unit}_to_{what}" for what in ("first", "first_correct") for unit in UNITS]
    said: dict[str, Any] = {name: flat.get(name) for name in ("synops_per_sample", *names)}
    said["spike_density"] = said["energy_pj"] = None
    if summary is not None:
        synops, spikes = summary.synops_per_sample or 0.0, summary.spikes_per_sample or 0.0
        said["spike_density"] = spike_density(summary, subject.bundle.model)
        said["energy_pj"] = {
            chip.name: estimate_energy(chip, synops=synops, spikes=spikes).total_pj
            for chip in _CHIPS
        }
    return said


def _curves(found: Sweep) -> list[Curve]:
    return [Curve.of(found.mode, anytime_curve(found.recording, unit, BUDGETS)) for unit in UNITS]


def _wall_ms(found: Sweep) -> dict[str, object]:
    """Wall times of decisions, ms: until quiet, recorded; under the chosen rule, not recorded."""
    whole, chosen = ([1e3 * d.wall_s for d in decisions] for decisions in found.decisions)
    return {**asdict(found.mode), "quiet": whole, "chosen": chosen}


def _agreement(subject: Subject, own: Sweep) -> Agreement:
    """The trainer's decisions beside the runtime's, in the order trained for."""
    trainer = SpikingNetwork(subject.bundle.model, device="cpu")
    settings = subject.case.recipe(subject.training).config.run_settings
    labels, _ = evaluate(trainer, subject.samples.dataset.test, settings, subject.seed)
    both = zip(labels.tolist(), own.points[0].label.tolist(), strict=True)
    differ = [(k, one, other) for k, (one, other) in enumerate(both) if one != other]
    return Agreement(labels.size, labels.size - len(differ), differ)


async def _keep_one_sample(
    subject: Subject, network: Network, folder: Folder, found: Sweep
) -> None:
    """Recordings of the first held-out sample in one order: whole, and under the chosen rule."""
    one, policy = subject.samples.dataset.test[:1], found.mode.policy
    rule = found.points[found.best[0]].rule
    for until, suffix in (("quiet", ""), (rule, "-stopped")):
        recording, _ = await record(network, found.mode, one, subject.seed, until=until)
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
        config={k[6:]: v for k, v in bundle.meta.items() if k.startswith("train.")},
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
