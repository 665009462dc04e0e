"""Draw how lost charge relates to lost accuracy: ``python -m tools.order_picture``.

It runs the shipped digit networks in all run modes, prints a table and the correlations, and
writes the picture of ``docs/concepts/order.md``. Takes a minute. Needs the extra ``viz``.
"""

import asyncio
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from neuroasync import Network
from neuroasync.core.formats.orders.run_modes import mode_text, parse_run_modes
from neuroasync.metrics import order_dependence, summarise
from neuroasync.metrics.orders.mode_runs import run_options
from neuroasync.plot.canvas import COLOURS, MARKERS, new_figure
from neuroasync.shipped import shipped_bundle, shipped_spikes

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "assets"
MODES: Final = "layer-sync F=8; random,momentum,fifo F=1,8 prioritised,queued"
"""All run modes. F and the input mode do not change what a whole run under layer-sync decides."""

OWN_MODES: Final = {
    "layered-paper": "layer-sync F=8",
    "layered": "layer-sync F=8",
    "unlayered": "random F=8",
    "queued": "momentum F=8 queued",
}
"""The run mode that each network was trained in."""


class Run(NamedTuple):
    """One network in one run mode."""

    mode: str
    accuracy: float
    inhibitory: float
    lost: float


async def runs_of(name: str) -> list[Run]:
    """Run a network in all modes."""
    bundle, samples, runs = shipped_bundle(name), shipped_spikes(), []
    for mode in parse_run_modes(MODES).modes:
        async with Network(bundle, until="quiet", **run_options(mode)) as network:
            recorder = network.recorder()
            decisions = await network.decide_all(samples, recorder=recorder)
        share = order_dependence(recorder.finish(), bundle)
        accuracy = summarise(decisions, samples.labels).accuracy
        runs.append(Run(mode_text(mode), accuracy, share.inhibitory, share.lost))
    return runs


def losses(name: str, runs: list[Run]) -> tuple[list[float], list[float]]:
    """Return the share of lost charge in each run, and the accuracy lost against the own mode."""
    own = next(run.accuracy for run in runs if run.mode == OWN_MODES[name])
    return [run.lost for run in runs], [own - run.accuracy for run in runs]


def draw(axis: Axes, results: dict[str, list[Run]]) -> None:
    """Draw one marker for each network and mode."""
    for k, (name, runs) in enumerate(results.items()):
        lost, drop = losses(name, runs)
        points = 100 * np.array(drop)
        axis.scatter(100 * np.array(lost), points, c=COLOURS[k], marker=MARKERS[k], label=name)
    axis.set_xlabel("charge lost to refractoriness, % of all")
    axis.set_ylabel("accuracy lost against the own mode, points")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)


def main() -> None:
    """Print the table and the correlations, and write the picture."""
    results = {name: asyncio.run(runs_of(name)) for name in OWN_MODES}
    for name, runs in results.items():
        for run in runs:
            shares = f"{run.inhibitory:6.1%} inhibitory {run.lost:6.1%} lost"
            print(f"{name:14}{run.mode:22}{run.accuracy:6.1%} right {shares}")
        lost, drop = losses(name, runs)
        print(f"{name:14}r = {np.corrcoef(lost, drop)[0, 1]:.2f}")
    pairs = [losses(name, runs) for name, runs in results.items()]
    lost, drop = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    print(f"all networks  r = {np.corrcoef(lost, drop)[0, 1]:.2f}")
    figure = new_figure(6.4, 3.6)
    draw(figure.subplots(), results)
    figure.savefig(FOLDER / "order.png", dpi=160, metadata={"Software": "neuroasync"})


if __name__ == "__main__":
    main()
