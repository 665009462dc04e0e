"""A whole study: train, measure, report; interrupted, it goes on where it was."""

import platform
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, TypeAlias

from neuroasync.core.formats.bundle import Bundle, read_bundle, write_bundle
from neuroasync.study.design.case import Case, StudyPlan, network_name
from neuroasync.study.report.report import write_report
from neuroasync.study.results.output_folder import Folder, StudyError
from neuroasync.study.results.records import Measured
from neuroasync.study.results.results_file import results_text
from neuroasync.study.run.measurement import Subject, measure
from neuroasync.study.run.samples import Samples, SeedSamples
from neuroasync.train.recipe_training import train_dataset
from neuroasync.train.recipes import Training
from neuroasync.train.training_loop import BatchResult

__all__ = ["OnProgress", "run_study"]

OnProgress: TypeAlias = Callable[[float, str], None]
"""Called with the part of the study that is done, 0 to 1, and what it is at."""

_TRAINING: Final = 0.7
"""Part of a network's time that its training takes, roughly."""
_PACKAGES: Final = ("neuroasync", "numpy", "numba", "torch")


def run_study(plan: StudyPlan, out: Path, on_progress: OnProgress | None = None) -> list[Measured]:
    """Train and measure all networks of a study, and report; what is done is not done again.

    The same plan, data and versions give the same ``results.json``, to the byte (on one kind of
    machine), interrupted or not.

    Args:
        plan: the study.
        out: its folder; see ``neuroasync.study.results.output_folder``.
        on_progress: told how far it is; what it raises ends the study.

    Raises:
        StudyError: the folder is of another study, or two engines disagree.
        ValueError, ImportError: a data set cannot be loaded, or a recipe does not fit it.
        FloatingPointError: a training went astray.
    """
    versions = _versions()
    # Read before the folder is made: a file that is missing leaves nothing behind.
    first = Samples(plan.cases[0], plan.data_dir)
    first.of_seed(plan.seeds[0])
    _check_samples(plan)
    folder = Folder(out, plan, versions)
    study = _Study(plan, folder, versions, first, on_progress or (lambda *_: None))
    found = study.run()
    study.folder.write_text(out / "results.json", results_text(found))
    study.folder.write_json(out / "timings.json", study.folder.all_timings(found))
    write_report(plan, study.folder, found)
    return found


class _Study:
    """A study under way."""

    def __init__(
        self,
        plan: StudyPlan,
        folder: Folder,
        versions: dict[str, str],
        samples: Samples,
        on_progress: OnProgress,
    ) -> None:
        self.plan, self.folder, self._samples = plan, folder, samples
        self._versions, self._on_progress = versions, on_progress
        self._done = 0

    def run(self) -> list[Measured]:
        """All networks, in order."""
        found: list[Measured] = []
        for case, training, seed in self.plan.networks:
            if self._samples.case is not case:
                self._samples = Samples(case, self.plan.data_dir)
            found.append(self._network(case, training, seed, self._samples.of_seed(seed)))
            self._done += 1
        return found

    def _network(self, case: Case, training: Training, seed: int, samples: SeedSamples) -> Measured:
        name = network_name(case, training, seed)
        self._tell(0.0, name)
        if (known := self.folder.measured(name)) is not None:
            if known.network.samples_digest != samples.digest:
                raise StudyError(f"{name}: was measured on other samples; use a new folder")
            return known
        subject = Subject(
            case=case,
            training=training,
            seed=seed,
            bundle=self._trained(case, training, seed, samples),
            samples=samples,
            versions=self._versions,
            keep_recordings=seed == self.plan.seeds[0],
        )

        def on_mode(done: int) -> None:
            self._tell(_TRAINING + (1 - _TRAINING) * done / len(case.grid), f"{name}: running")

        measured = measure(subject, self.folder, on_mode)
        self.folder.keep(measured)
        return measured

    def _trained(self, case: Case, training: Training, seed: int, samples: SeedSamples) -> Bundle:
        """The network, trained now or in an earlier run."""
        name = network_name(case, training, seed)
        path, checkpoint = self.folder.bundle(name), self.folder.checkpoint(name)
        if not path.exists():
            write_bundle(self._train(case, training, seed, samples), path)
        checkpoint.unlink(missing_ok=True)
        bundle = read_bundle(path)
        if bundle.meta.get("samples_sha256") != samples.digest:
            raise StudyError(f"{name}: was trained on other samples; use a new folder")
        return bundle

    def _train(self, case: Case, training: Training, seed: int, samples: SeedSamples) -> Bundle:
        """Train it, from its checkpoint if there is one."""
        name, recipe = network_name(case, training, seed), case.recipe(training)
        checkpoint = self.folder.checkpoint(name)

        def on_batch(batch: BatchResult, epochs: int) -> None:
            part = (batch.epoch * batch.batches + batch.batch + 1) / (epochs * batch.batches)
            self._tell(_TRAINING * part, f"{name}: training, accuracy {batch.accuracy:.0%}")

        return train_dataset(
            samples.dataset,
            replace(recipe, config=replace(recipe.config, seed=seed)),
            name=training,
            checkpoint=checkpoint,
            resume=checkpoint.exists(),
            on_batch=on_batch,
            meta={"case": case.name, "samples_sha256": samples.digest},
        )

    def _tell(self, part: float, what: str) -> None:
        self._on_progress((self._done + part) / len(self.plan.networks), what)


def _check_samples(plan: StudyPlan) -> None:
    """Look at each data set once, lest one that is missing is told after hours of training."""
    known = set()
    for case in plan.cases[1:]:  # the first one is read anyway
        what = (case.dataset, case.files, case.coding, case.encodings_per_image, case.folds)
        if what not in known:
            known.add(what)
            Samples(case, plan.data_dir).check(plan.seeds[0])


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"
