"""Runner of a study: trains, measures and reports; an interrupted study continues where it was."""

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from neuroasync.core.formats.bundle import Bundle, write_bundle
from neuroasync.core.model.checks import check_callback, check_type
from neuroasync.core.recording.file import write_recording
from neuroasync.study.design.case import StudyNetwork, StudyPlan
from neuroasync.study.report.report import write_report
from neuroasync.study.results.output_folder import OutputFolder, StudyError, locked_folder
from neuroasync.study.results.records import Measurement
from neuroasync.study.results.results_file import results_text
from neuroasync.study.run.executor import Executor, LocalExecutor
from neuroasync.study.run.measurement import Measured, Subject
from neuroasync.study.run.network_tasks import measure_network, train_network
from neuroasync.study.run.samples import SeedSamples, StudySamples
from neuroasync.study.run.versions import package_versions

if TYPE_CHECKING:
    from neuroasync.cluster import Cluster

__all__ = ["OnProgress", "run_study"]

OnProgress: TypeAlias = Callable[[float, str], None]
"""Called with the share of the study that is done, 0 to 1, and a text for the current activity."""


def run_study(
    plan: StudyPlan,
    out: str | os.PathLike[str],
    on_progress: OnProgress | None = None,
    *,
    cluster: "Cluster | None" = None,
) -> list[Measurement]:
    """Train and measure all networks of a study, and write the report.

    Networks are trained on the CPU, even if there is a GPU. Those that an earlier, interrupted run
    has finished are not trained or measured again. The same plan, data and versions give the same
    bytes in ``results.json`` (on one kind of machine), whether the study was interrupted or not,
    and wherever it runs.

    Args:
        plan: The study.
        out: Output folder; ``neuroasync.study.results.output_folder`` describes its files.
        on_progress: Called with the progress. An exception that it raises ends the study.
        cluster: A connected :class:`neuroasync.cluster.Cluster`, whose workers train and measure
            several networks at a time, each on one core. Only this process reads the data sets
            and writes the output folder. By default, all cores of this machine train and measure
            one network after the other.

    Returns:
        Measurements of all networks, in the order of the plan.

    Raises:
        StudyError: The folder belongs to another study, another process runs a study in it, one of
            its files is damaged, two engines disagree, or a machine of the cluster has other
            versions.
        ValueError, ImportError: A data set cannot be loaded, or a recipe does not fit it.
        FloatingPointError: A training diverged.
        TypeError: ``plan`` is no study plan, or ``cluster`` no cluster.
        ClosedError: ``cluster`` is not connected.
        ClusterError: Ray could not run a task, even after retries.
    """
    check_type("plan", plan, StudyPlan)
    check_callback("on_progress", on_progress)
    out = Path(out)
    versions, is_new = package_versions(), not out.exists()
    with ExitStack() as stack:
        executor = stack.enter_context(closing(_executor(cluster)))
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
        study = _Study(plan, folder, versions, first, executor, on_progress or (lambda *_: None))
        measurements = study.run()
        folder.write_text(out / "results.json", results_text(measurements))
        folder.write_json(out / "timings.json", folder.all_timings(measurements))
        write_report(plan, folder, measurements)
        return measurements


def _executor(cluster: "Cluster | None") -> Executor:
    if cluster is None:
        return LocalExecutor()
    from neuroasync.cluster.executor import ClusterExecutor  # loads Ray

    return ClusterExecutor(cluster)


@dataclass(slots=True)
class _Started:
    """A network that is being trained or measured.

    Attributes:
        network: The network.
        digest: Digest of its samples, hex.
        samples: Its samples, as the executor has stored them.
        share: Share of the network that is done, 0 to 1.
    """

    network: StudyNetwork
    digest: str
    samples: Any = None
    share: float = 0.0


class _Study:
    """A study that is running."""

    def __init__(
        self,
        plan: StudyPlan,
        folder: OutputFolder,
        versions: dict[str, str],
        samples: StudySamples,
        executor: Executor,
        on_progress: OnProgress,
    ) -> None:
        self._plan, self._folder, self._versions = plan, folder, versions
        self._samples, self._executor, self._on_progress = samples, executor, on_progress
        self._stored: tuple[SeedSamples, Any] | None = None
        self._started: dict[str, _Started] = {}
        self._measurements: dict[str, Measurement] = {}

    def run(self) -> list[Measurement]:
        """Train and measure all networks."""
        for network in self._plan.networks:
            while not self._executor.has_room:
                self._await_task()
            self._start(network)
        while self._started:
            self._await_task()
        return [self._measurements[network.name] for network in self._plan.networks]

    def _start(self, network: StudyNetwork) -> None:
        """Submit the first task of a network that an earlier run has not finished."""
        # Networks of one case follow each other, so its data set is loaded once.
        if self._samples.case is not network.case:
            self._samples = StudySamples(network.case, self._plan.data_dir)
        samples, name = self._samples.of_seed(network.seed), network.name
        self._started[name] = started = _Started(network, samples.digest)
        self._report(name, 0.0, name)
        known = self._folder.measurement(name)
        if known is not None and self._folder.bundle(name).exists():
            if known.network.samples_digest != samples.digest:
                raise StudyError(f"{name} was measured on other samples; use a new folder")
            self._folder.check_bundle(name, known)
            self._finish(known)
            return
        if self._stored is None or self._stored[0] is not samples:
            self._stored = samples, self._executor.store(samples)
        started.samples = self._stored[1]
        if self._folder.bundle(name).exists():
            self._measure(started)
            return
        checkpoint = self._folder.checkpoint(name) if self._executor.is_local else None
        self._executor.submit(
            name, train_network, network, self._versions, checkpoint, started.samples
        )

    def _await_task(self) -> None:
        """Wait for a task to end, write its result, and submit the next one of its network."""
        name, result = self._executor.wait(self._report)
        if isinstance(result, Bundle):
            write_bundle(result, self._folder.bundle(name))
            self._measure(self._started[name])
        else:
            self._keep(name, result)

    def _measure(self, started: _Started) -> None:
        """Submit the measurement of a network, which was trained now or in an earlier run."""
        name = started.network.name
        # The bundle was written atomically, so the checkpoint is not needed any more.
        self._folder.checkpoint(name).unlink(missing_ok=True)
        bundle = self._folder.read_bundle(name)
        if bundle.meta.get("samples_sha256") != started.digest:
            raise StudyError(f"{name} was trained on other samples; use a new folder")
        subject = Subject(
            network=started.network,
            bundle=bundle,
            versions=self._versions,
            # The first seed is enough for the figures; recordings of all seeds would be large.
            keep_recordings=started.network.seed == self._plan.seeds[0],
        )
        self._executor.submit(name, measure_network, subject, started.samples)

    def _keep(self, name: str, measured: Measured) -> None:
        """Write what was measured."""
        for recording_name, recording in measured.recordings.items():
            write_recording(recording, self._folder.recording(recording_name))
        self._folder.write_json(self._folder.timings(name), measured.wall_ms)
        # An interrupted study measures each network again that has no measurement in the folder.
        self._folder.write_measurement(measured.measurement)
        self._finish(measured.measurement)

    def _finish(self, measurement: Measurement) -> None:
        name = measurement.network.name
        del self._started[name]
        self._measurements[name] = measurement

    def _report(self, name: str, share: float, activity: str) -> None:
        """Report the progress of a network, unless it comes after its measurement."""
        if (started := self._started.get(name)) is not None:
            started.share = share
            done = len(self._measurements) + sum(each.share for each in self._started.values())
            self._on_progress(done / len(self._plan.networks), activity)


def _check_samples(plan: StudyPlan) -> None:
    """Load each data set once, so that a missing one is reported before hours of training."""
    checked = set()
    for case in plan.cases[1:]:  # run_study has loaded the first one
        key = (case.dataset, case.files, case.coding, case.encodings_per_image, case.folds)
        if key not in checked:
            checked.add(key)
            StudySamples(case, plan.data_dir).check(plan.seeds[0])
