"""Draw the picture of the README: ``python -m tools.benefit_picture docs/assets/benefit.png``.

One test digit runs under random order through a network that was trained layer by layer by the
recipe of Koopman et al., and through one that was trained in that order. Needs the extra ``viz``.
"""

import asyncio
import sys
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes

RULE = "margin(3)"
NETWORKS = {
    "layered-paper": "trained layer by layer",
    "unlayered": "trained in random order",
}
RIGHT, WRONG, HIDDEN, MUTED = "#1a7f5a", "#c0392b", "#8794a8", "#5d6675"


@dataclass(frozen=True)
class Run:
    """One network on the test samples under random order, and its recording of the chosen one."""

    title: str
    accuracy: float
    spikes: float
    whole: neuroasync.Recording
    decided: neuroasync.Decision


async def decide(name: str, samples: neuroasync.SpikeTrains) -> list[neuroasync.Decision]:
    """Return the decisions of a network on all samples, under random order and the stop rule."""
    async with neuroasync.Network(shipped_bundle(name), policy="random", group_size=8) as network:
        return await network.decide_all(samples, until=RULE)


async def record(name: str, samples: neuroasync.SpikeTrains, number: int) -> Run:
    """Run all samples to the end, and record every spike of sample ``number``."""
    async with neuroasync.Network(shipped_bundle(name), policy="random", group_size=8) as network:
        decisions = await network.decide_all(samples)
        right = [d.label == label for d, label in zip(decisions, samples.labels, strict=True)]
        recorder = network.recorder()
        chosen = samples[number : number + 1]
        await network.decide_all(chosen, first=number, recorder=recorder)
        (early,) = await network.decide_all(chosen, first=number, until=RULE)
    spikes = np.mean([d.total_spikes for d in decisions])
    return Run(NETWORKS[name], float(np.mean(right)), float(spikes), recorder.finish(), early)


def telling_sample(samples: neuroasync.SpikeTrains) -> int:
    """Return the first sample that the first network gets wrong and the second right and early."""
    paper, unlayered = (asyncio.run(decide(name, samples)) for name in NETWORKS)
    lost = [
        k
        for k, label in enumerate(samples.labels.tolist())
        if paper[k].label not in (label, None)
        and paper[k].rounds > 60
        and unlayered[k].label == label
        and unlayered[k].rounds < 10
    ]
    return lost[0]


def rounds_of(recording: neuroasync.Recording) -> NDArray[np.int64]:
    """Return the round in which each spike fired; under random order, each step takes one."""
    steps = np.zeros(int(recording.passes[0]), np.int64)
    np.maximum.at(steps, recording.delivered_pass, recording.delivered_step)
    before = np.concatenate(([0], np.cumsum(steps)[:-1]))
    return before[recording.pass_] + recording.step


def draw_raster(axes: Axes, run: Run, target: int, last_round: int) -> None:
    """Draw the spikes of one run, its votes in colour, and a line at its decision."""
    recording, populations = run.whole, run.whole.info.populations
    rounds, neuron = rounds_of(recording), recording.neuron
    hidden = sum(size for _, size in populations[:-1])
    # The ten output neurons are drawn apart and larger: their spikes are the votes.
    classes = neuron - hidden
    y = np.where(classes < 0, neuron / hidden * 60, 66 + classes * 3.2)
    for chosen, colour, size in (
        (classes < 0, HIDDEN, 3),
        ((classes >= 0) & (classes != target), WRONG, 16),
        (classes == target, RIGHT, 16),
    ):
        axes.scatter(rounds[chosen], y[chosen], s=size, color=colour, linewidths=0)
    is_right = run.decided.label == target
    colour = RIGHT if is_right else WRONG
    axes.axvline(run.decided.rounds, color=colour, linewidth=1.6)
    verdict = "right" if is_right else "wrong"
    axes.text(
        run.decided.rounds + 2 if run.decided.rounds < last_round / 2 else run.decided.rounds - 2,
        104,
        f"{run.decided.class_name}: {verdict}, after {run.decided.rounds} rounds",
        color=colour,
        fontweight="bold",
        ha="left" if run.decided.rounds < last_round / 2 else "right",
        va="center",
    )
    axes.set_xlim(-2, last_round + 3)
    axes.set_ylim(-2, 109)
    axes.set_yticks([30, 80], ["hidden\nneurons", "votes"])
    axes.tick_params(axis="y", length=0)
    axes.set_title(run.title, fontsize=11, fontweight="bold", loc="left")
    axes.set_xlabel("rounds (8 spikes each)")


def draw_digit(axes: Axes, samples: neuroasync.SpikeTrains, number: int) -> None:
    """Draw how often each input pixel spikes."""
    image = np.bincount(samples[number].index, minlength=64).reshape(8, 8)
    axes.imshow(image, cmap="Greys")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("input", fontsize=11, fontweight="bold", loc="left")


def draw_bars(axes: Axes, runs: list[Run]) -> None:
    """Draw the accuracy of each network on all samples, with its number of spikes."""
    for k, run in enumerate(runs):
        colour = RIGHT if k else WRONG
        axes.barh(1 - k, 100 * run.accuracy, color=colour, height=0.5)
        axes.text(
            3, 1 - k, f"{100 * run.accuracy:.1f} %, {run.spikes:.0f} spikes", color="white",
            va="center", fontsize=9, fontweight="bold",
        )  # fmt: skip
        axes.text(0, 1.33 - k, run.title, color=MUTED, fontsize=9, va="bottom")
    axes.set_xlim(0, 100)
    axes.set_ylim(-0.4, 1.75)
    axes.axis("off")
    axes.set_title("all 360 test digits", fontsize=11, fontweight="bold", loc="left")


def main(path: str) -> None:
    """Choose a sample, run both networks on it, and write the picture."""
    samples = shipped_spikes()
    number = telling_sample(samples)
    target = int(samples.labels[number])
    runs = [asyncio.run(record(name, samples, number)) for name in NETWORKS]
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": "#c3c9d2"})
    figure = Figure(figsize=(10, 4.6), dpi=150, layout="constrained", facecolor="white")
    grid = figure.add_gridspec(2, 3, width_ratios=(1.0, 2.1, 2.1), height_ratios=(1, 0.8))
    draw_digit(figure.add_subplot(grid[0, 0]), samples, number)
    draw_bars(figure.add_subplot(grid[1, 0]), runs)
    last_round = max(int(rounds_of(run.whole).max()) for run in runs)
    for column, run in enumerate(runs, 1):
        axes = figure.add_subplot(grid[:, column])
        draw_raster(axes, run, target, last_round)
        axes.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle(
        f"A handwritten {target} without layer synchronization: two networks of one size",
        fontsize=13, fontweight="bold",
    )  # fmt: skip
    figure.savefig(path)
    print(f"sample {number}, wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1])
