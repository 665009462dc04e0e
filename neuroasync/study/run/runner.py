"""Runner of a study: trains, measures and reports; an interrupted study continues where it was."""

import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, TypeAlias

from neuroasync.core.formats.bundle import Bundle, read_bundle, write_bundle
from neuroasync.study.design.case import Case, StudyPlan, network_name
from neuroasync.study.report.report import write_report
from neuroasync.study.results.output_folder import OutputFolder, StudyError, locked_folder
from neuroasync.study.results.records import Measurement
from neuroasync.study.results.results_file import results_text
from neuroasync.study.run.measurement import Subject, measure
from neuroasync.study.run.samples import SeedSamples, StudySamples
from neuroasync.train.loop.results import BatchResult
from neuroasync.train.recipes import Training
from neuroasync.train.recipes.training import train_dataset

__all__ = ["OnProgress", "run_study"]

OnProgress: TypeAlias = Callable[[float, str], None]
"""Called with the share of the study that is done, 0 to 1, and a text for the current activity."""

_TRAINING_SHARE: Final = 0.7
"""Share of a network's time that its training takes, roughly."""
_PACKAGES: Final = ("neuroasync", "numpy", "numba", "torch")


def run_study(
    plan: StudyPlan, out: Path, on_progress: OnProgress | None = None
) -> list[Measurement]:
    """Train and measure all networks of a study, and write the report.

    Networks that an earlier, interrupted run has finished are not trained or measured again. The
    same plan, data and versions give the same bytes in ``results.json`` (on one kind of machine),
    whether the study was interrupted or not.

    Args:
        plan: The study.
        out: Output folder; ``neuroasync.study.results.output_folder`` describes its files.
        on_progress: Called with the progress. An exception that it raises ends the study.

    Returns:
        Measurements of all networks, in the order of the plan.

    Raises:
        StudyError: The folder belongs to another study, another process runs a study in it, or two
            engines disagree.
        ValueError, ImportError: A data set cannot be loaded, or a recipe does not fit it.
        FloatingPointError: A training diverged.
    """
    versions, is_new = _versions(), not out.exists()
    with ExitStack() as stack:
        # An existing folder is locked first, so that a second command says so at once.
        if not is_new:
            stack.enter_context(locked_folder(out))
        # A new folder is created only after the samples were loaded, so that a missing file leaves
        # no folder.
        first = StudySamples(plan.cases[0], plan.data_dir)
        first.of_seed(plan.seeds[0])
        _check_samples(plan)
        if is_new:
            stack.enter_context(locked_folder(out))
        folder = OutputFolder(out, plan, versions)
        study = _Study(plan, folder, versions, first, on_progress or (lambda *_: None))
        measurements = study.run()
        folder.write_text(out / "results.json", results_text(measurements))
        folder.write_json(out / "timings.json", folder.all_timings(measurements))
        write_report(plan, folder, measurements)
        return measurements


class _Study:
    """A study that is running."""

    def __init__(
        self,
        plan: StudyPlan,
        folder: OutputFolder,
        versions: dict[str, str],
        samples: StudySamples,
        on_progress: OnProgress,
    ) -> None:
        self._plan, self._folder, self._samples = plan, folder, samples
        self._versions, self._on_progress = versions, on_progress
        self._done = 0

    def run(self) -> list[Measurement]:
        """Train and measure all networks, in order."""
        measurements: list[Measurement] = []
        for case, training, seed in self._plan.networks:
            # Networks of one case follow each other, so its data set is loaded once.
            if self._samples.case is not case:
                self._samples = StudySamples(case, self._plan.data_dir)
            samples = self._samples.of_seed(seed)
            measurements.append(self._run_network(case, training, seed, samples))
            self._done += 1
        return measurements

    def _run_network(
        self, case: Case, training: Training, seed: int, samples: SeedSamples
    ) -> Measurement:
        name = network_name(case, training, seed)
        self._report(0.0, name)
        if (known := self._folder.measurement(name)) is not None:
            if known.network.samples_digest != samples.digest:
                raise StudyError(f"{name} was measured on other samples; use a new folder")
            return known
        subject = Subject(
            case=case,
            training=training,
            seed=seed,
            bundle=self._trained(case, training, seed, samples),
            samples=samples,
            versions=self._versions,
            # The first seed is enough for the figures; recordings of all seeds would be large.
            keep_recordings=seed == self._plan.seeds[0],
        )

        def on_mode(done: int) -> None:
            share = _TRAINING_SHARE + (1 - _TRAINING_SHARE) * done / len(case.grid)
            self._report(share, f"{name}: running")

        measurement = measure(subject, self._folder, on_mode)
        self._folder.write_measurement(measurement)
        return measurement

    def _trained(self, case: Case, training: Training, seed: int, samples: SeedSamples) -> Bundle:
        """Return the network, trained now or in an earlier run."""
        name = network_name(case, training, seed)
        path, checkpoint = self._folder.bundle(name), self._folder.checkpoint(name)
        if not path.exists():
            write_bundle(self._train(case, training, seed, samples), path)
        # The bundle is written atomically, so the checkpoint is not needed any more.
        checkpoint.unlink(missing_ok=True)
        bundle = read_bundle(path)
        if bundle.meta.get("samples_sha256") != samples.digest:
            raise StudyError(f"{name} was trained on other samples; use a new folder")
        return bundle

    def _train(self, case: Case, training: Training, seed: int, samples: SeedSamples) -> Bundle:
        """Train the network, from its checkpoint if there is one."""
        name, recipe = network_name(case, training, seed), case.recipe(training)
        checkpoint = self._folder.checkpoint(name)

        def on_batch(batch: BatchResult, epochs: int) -> None:
            share = (batch.epoch * batch.batches + batch.batch + 1) / (epochs * batch.batches)
            activity = f"{name}: training, accuracy {batch.accuracy:.0%}"
            self._report(_TRAINING_SHARE * share, activity)

        return train_dataset(
            samples.dataset,
            replace(recipe, config=replace(recipe.config, seed=seed)),
            name=training,
            checkpoint=checkpoint,
            resume=checkpoint.exists(),
            on_batch=on_batch,
            meta={"case": case.name, "samples_sha256": samples.digest},
        )

    def _report(self, share: float, activity: str) -> None:
        self._on_progress((self._done + share) / len(self._plan.networks), activity)


def _check_samples(plan: StudyPlan) -> None:
    """Load each data set once, so that a missing one is reported before hours of training."""
    checked = set()
    for case in plan.cases[1:]:  # run_study has loaded the first one
        key = (case.dataset, case.files, case.coding, case.encodings_per_image, case.folds)
        if key not in checked:
            checked.add(key)
            StudySamples(case, plan.data_dir).check(plan.seeds[0])


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"
