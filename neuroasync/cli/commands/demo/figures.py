"""The demo's pictures: what is drawn, and where it is saved."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Final

from neuroasync.cli.commands.demo.runs import Result, Row, own_row, stop_rule
from neuroasync.cli.decide_samples import decide_samples, run_in_loop
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import PolicyName
from neuroasync.core.engine.stop_rules import short_rule
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recording import Recording

__all__ = ["PICTURES", "RasterOf", "load_plot", "save_pictures"]

PICTURES: Final = ("raster.png", "decision-latency.png")


@dataclass(frozen=True, slots=True)
class RasterOf:
    """The network and the sample that the raster shows, and the seed."""

    bundle: Bundle
    spikes: SpikeTrains
    number: int
    seed: int


def load_plot() -> ModuleType | None:
    """What draws, if matplotlib is installed."""
    try:
        from neuroasync import plot
    except ImportError:
        return None
    return plot


def save_pictures(
    plot: ModuleType,
    folder: Path,
    raster_of: RasterOf,
    results: Sequence[Result],
) -> list[Path]:
    """Draw both pictures, and write them.

    Args:
        plot: the module.
        folder: made if it is not there.
        raster_of: what the raster shows.
        results: all of the demo's.
    """
    figures = _raster(plot, raster_of), _latency(plot, results)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"{str(folder)!r}: {error.strerror or error}") from error
    paths = [folder / name for name in PICTURES]
    for figure, path in zip(figures, paths, strict=True):
        plot.save_png(figure, path)
    return paths


def _raster(plot: ModuleType, of: RasterOf) -> object:
    own, model = own_row(of.bundle), of.bundle.model
    rule = stop_rule(of.bundle) or "first-spike"
    panels = []
    for policy in PolicyName:
        row = replace(own, policy=policy.value)
        whole, stopped = _recorded(of, row), _recorded(of, replace(row, until=rule))
        title = f"{policy.value}: {whole.spikes[0]} spikes, {whole.rounds[0]} rounds"
        starts, step = plot.steps_of(whole)
        panels.append(plot.RasterPanel(title, step, whole.neuron, starts, plot.decided_at(stopped)))
    labels = of.spikes.labels
    what = "" if labels is None else f", a {labels[of.number]}"
    title = f"Test digit {of.number}{what}: one network, four orders, F = {own.group_size}"
    populations = [(p.name, p.size) for p in model.populations]
    return plot.raster(panels, populations, model.output, title, f"decided: {short_rule(rule)}")


def _recorded(of: RasterOf, row: Row) -> Recording:
    from neuroasync.core.recording.recorder import Recorder
    from neuroasync.runtime.network import Network

    network = Network(of.bundle, seed=of.seed, **asdict(row))
    recorder = Recorder(of.bundle, network.settings)
    numbers = range(of.number, of.number + 1)
    run_in_loop(decide_samples(network, of.spikes, numbers, of.seed, recorder))
    return recorder.finish()


def _latency(plot: ModuleType, results: Sequence[Result]) -> object:
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
    return plot.decision_latency(curves, f"When {samples} test digits are decided")


def _latency_rows(results: Sequence[Result]) -> list[Result]:
    """Each network as it was trained to run, with its stop rule if it has one."""
    chosen: dict[str, Result] = {}
    for result in results:
        known = chosen.get(result.network)
        stops = result.row.until != "quiet"
        if result.is_own and (known is None or (stops and known.row.until == "quiet")):
            chosen[result.network] = result
    return list(chosen.values())
