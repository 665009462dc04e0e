"""The figures of a report."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from matplotlib.figure import Figure as Drawing

from neuroasync.core.quantity import quantity
from neuroasync.metrics import StopPoint
from neuroasync.metrics.anytime import Unit
from neuroasync.plot import (
    AnytimeRun,
    RasterPanel,
    decided_at,
    plot_anytime,
    plot_density,
    plot_group_sizes,
    plot_latency,
    raster,
    save_png,
    steps_of,
)
from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.report.document import Figure
from neuroasync.study.report.number_format import mode_name
from neuroasync.study.report.tables import mean_density
from neuroasync.study.results.output_folder import OutputFolder
from neuroasync.study.results.records import mean_curve
from neuroasync.study.results.statistics import CaseResults
from neuroasync.train.recipes import Training

__all__ = ["case_figures"]

_UNITS: Final[tuple[Unit, ...]] = ("steps", "rounds", "spikes")
_WALL: Final = "decision latency in wall time (differs from one run of the study to the next)"


def case_figures(results: CaseResults, folder: OutputFolder) -> list[Figure]:
    """Draw all figures of a case and write them into the folder."""
    figures = []
    for name, text, drawing in _draw(results, folder):
        path = folder.figure(f"{results.case.name}-{name}")
        save_png(drawing, path)
        figures.append(Figure(f"pictures/{path.name}", f"{results.case.name}: {text}"))
    return figures


def _draw(results: CaseResults, folder: OutputFolder) -> Iterator[tuple[str, str, Drawing]]:
    """Yield the name, the caption and the drawing of each figure."""
    name = results.case.name
    for unit in _UNITS:
        text = f"accuracy against the number of {unit} spent"
        yield f"accuracy-{unit}", text, _anytime(results, unit)
    text = "decision latency in rounds, with the chosen stop rule"
    yield "latency-rounds", text, plot_latency(_rounds(results), "rounds", f"{name}: {text}")
    yield "latency-ms", _WALL, plot_latency(_wall_ms(results, folder), "ms", f"{name}: {_WALL}")
    text = "spike density by population, until quiet"
    density = {label: mean_density(results, t, mode) for label, t, mode in _lines(results)}
    yield "density", text, plot_density(density, f"{name}: {text}")
    text = "accuracy over the group size F, until quiet"
    yield "group-sizes", text, plot_group_sizes(_over_sizes(results), f"{name}: {text}")
    for training in results.case.trainings:
        text = f"one sample under each ordering policy, {training}"
        yield f"raster-{training}", text, _raster(results, training, folder)


def _lines(results: CaseResults) -> Iterator[tuple[str, Training, Mode]]:
    """Yield the networks and modes that figures compare.

    These are all networks under the policy that they are trained for, and layered networks also in
    random order.
    """
    case = results.case
    for training in case.trainings:
        modes = [case.shown_mode(training)]
        if modes[0].policy == "layer-sync" and "random" in case.grid.policies:
            modes.append(Mode("random", GROUP_SIZE, case.input))
        for mode in modes:
            yield f"{training}, {mode_name(mode)}", training, mode


def _anytime(results: CaseResults, unit: Unit) -> Drawing:
    runs = []
    for label, training, mode in _lines(results):
        curves = [
            curve
            for measurement in results.networks(training)
            for curve in measurement.curves
            if (curve.mode, curve.unit) == (mode, unit)
        ]
        if curves:
            point = _chosen_point(results, training, mode)
            runs.append(AnytimeRun(label, mean_curve(curves), [point]))
    title = f"{results.case.name}: accuracy if samples are answered at a budget, F = {GROUP_SIZE}"
    return plot_anytime(runs, title)


def _chosen_point(results: CaseResults, training: Training, mode: Mode) -> StopPoint:
    """Return where the chosen rules end the samples of all seeds."""
    measurements = results.networks(training)
    outcomes = [measurement.outcome(mode, chosen=True) for measurement in measurements]
    columns = {
        name: np.concatenate([np.array(getattr(outcome, name)) for outcome in outcomes])
        for name in ("label", "stopped", "spikes", "steps", "rounds")
    }
    target = np.concatenate([np.array(measurement.target) for measurement in measurements])
    return StopPoint("the chosen stop rule", target, **columns)


def _rounds(results: CaseResults) -> dict[str, list[float]]:
    return {
        label: [float(r) for m in results.networks(t) for r in m.outcome(mode, chosen=True).rounds]
        for label, t, mode in _lines(results)
    }


def _wall_ms(results: CaseResults, folder: OutputFolder) -> dict[str, list[float]]:
    wall_ms: dict[str, list[float]] = {}
    for label, training, mode in _lines(results):
        for measurement in results.networks(training):
            times = folder.wall_ms(measurement.network.name, mode)
            wall_ms.setdefault(label, []).extend(times)
    return wall_ms


def _over_sizes(
    results: CaseResults,
) -> dict[str, list[tuple[int, float, float | None]]]:
    by_label = {}
    for label, training, mode in _lines(results):
        points = []
        for size in results.case.grid.group_sizes:
            mean = results.accuracy(training, Mode(mode.policy, size, mode.input))
            points.append((size, mean.value, mean.error))
        by_label[label] = points
    return by_label


def _raster(results: CaseResults, training: Training, folder: OutputFolder) -> Drawing:
    first = results.networks(training)[0].network
    panels = []
    for policy in results.case.grid.policies:
        whole = folder.read_recording(first.name, policy)
        stopped = folder.read_recording(first.name, policy, stopped=True)
        starts, step = steps_of(whole)
        spikes, rounds = int(whole.spikes[0]), int(whole.rounds[0])
        title = f"{policy}: {quantity(spikes, 'spike')}, {quantity(rounds, 'round')}"
        panels.append(RasterPanel(title, step, whole.neuron, starts, decided_at(stopped)))
    title = f"{first.name}: held-out sample 0, of class {whole.target[0]}"
    info = whole.info
    return raster(panels, info.populations, info.output, title, "decided: the chosen stop rule")
