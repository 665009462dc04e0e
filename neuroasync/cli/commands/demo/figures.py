"""The figures of the demo: a spike raster and the decision latency."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Final

from neuroasync.cli.commands.demo.runs import Row, RowResult, stop_rule, trained_row
from neuroasync.cli.decide_samples import decide_samples, run_in_loop
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import PolicyName
from neuroasync.core.engine.stop_rules import short_rule
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recording import Recording

__all__ = ["FIGURES", "RasterSubject", "load_plot", "save_figures"]

FIGURES: Final = ("raster.png", "decision-latency.png")


@dataclass(frozen=True, slots=True)
class RasterSubject:
    """The network, sample and seed that the raster shows."""

    bundle: Bundle
    spikes: SpikeTrains
    number: int
    seed: int


def load_plot() -> ModuleType | None:
    """Import ``neuroasync.plot``; return None if matplotlib is not installed."""
    try:
        from neuroasync import plot
    except ImportError:
        return None
    return plot


def save_figures(
    plot: ModuleType,
    folder: Path,
    subject: RasterSubject,
    results: Sequence[RowResult],
) -> list[Path]:
    """Draw both figures and write them.

    Args:
        plot: The module ``neuroasync.plot``.
        folder: Folder for the files; created if it does not exist.
        subject: What the raster shows.
        results: All results of the demo.

    Returns:
        Paths of the files.

    Raises:
        CliError: The folder cannot be created.
    """
    figures = _raster(plot, subject), _latency(plot, results)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"{str(folder)!r}: {error.strerror or error}") from error
    paths = [folder / name for name in FIGURES]
    for figure, path in zip(figures, paths, strict=True):
        plot.save_png(figure, path)
    return paths


def _raster(plot: ModuleType, subject: RasterSubject) -> object:
    """Draw the spikes of one sample under each ordering policy."""
    trained, model = trained_row(subject.bundle), subject.bundle.model
    rule = stop_rule(subject.bundle) or "first-spike"
    panels = []
    for policy in PolicyName:
        row = replace(trained, policy=policy.value)
        # The first recording has all spikes of the sample. The second one shows where the rule
        # stops it.
        whole, stopped = _record(subject, row), _record(subject, replace(row, until=rule))
        title = f"{policy.value}: {whole.spikes[0]} spikes, {whole.rounds[0]} rounds"
        starts, step = plot.steps_of(whole)
        panels.append(plot.RasterPanel(title, step, whole.neuron, starts, plot.decided_at(stopped)))
    labels = subject.spikes.labels
    label = "" if labels is None else f" (a {labels[subject.number]})"
    title = (
        f"Test digit {subject.number}{label}: one network, four ordering policies, "
        f"F = {trained.group_size}"
    )
    populations = [(p.name, p.size) for p in model.populations]
    return plot.raster(panels, populations, model.output, title, f"decided: {short_rule(rule)}")


def _record(subject: RasterSubject, row: Row) -> Recording:
    """Record the sample with the options of a row."""
    from neuroasync.core.recording.recorder import Recorder
    from neuroasync.runtime.network import Network

    network = Network(subject.bundle, seed=subject.seed, **asdict(row))
    recorder = Recorder(subject.bundle, network.settings)
    numbers = range(subject.number, subject.number + 1)
    run_in_loop(decide_samples(network, subject.spikes, numbers, subject.seed, recorder))
    return recorder.finish()


def _latency(plot: ModuleType, results: Sequence[RowResult]) -> object:
    """Draw how many rounds each network takes to its first output spike and to its decision."""
    curves = []
    for result in _latency_rows(results):
        row, first = result.row, [d.first_spike for d in result.decisions]
        queued = ", input queued" if row.input == "queued" else ""
        curves.append(
            plot.LatencyCurve(
                label=f"{result.network}: {row.policy}, F = {row.group_size}{queued}",
                first_output=[f[2] for f in first if f is not None],
                stopped=[d.rounds for d in result.decisions if d.stopped],
                rule=short_rule(row.until),
                samples=len(result.decisions),
            )
        )
    samples = max(curve.samples for curve in curves)
    return plot.decision_latency(curves, f"Decision latency on {samples} test digits")


def _latency_rows(results: Sequence[RowResult]) -> list[RowResult]:
    """Return one result per network: as it was trained, with its stop rule if it has one."""
    chosen: dict[str, RowResult] = {}
    for result in results:
        known = chosen.get(result.network)
        stops = result.row.until != "quiet"
        if result.is_as_trained and (known is None or (stops and known.row.until == "quiet")):
            chosen[result.network] = result
    return list(chosen.values())
