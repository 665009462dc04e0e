"""The figure of the demo: one digit in three runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.cli.commands.demo.runs import RowResult
from neuroasync.cli.commands.demo.story import FRAGILE, ROBUST, Comparison
from neuroasync.cli.decide_samples import decide_samples, run_in_loop
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.output import format_number
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recording import Recording

__all__ = [
    "FIGURE",
    "Example",
    "choose_example",
    "digit_figure",
    "load_plot",
    "save_figure",
]

FIGURE: Final = "digit.png"
"""Name of the file."""


@dataclass(frozen=True, slots=True)
class Example:
    """A digit in three runs: the fragile network with and without layers, and the robust one.

    Attributes:
        number: Number of the sample.
        target: Its correct class.
        caption: How it was chosen, and how many samples are like it.
        runs: Title and result of each run.
        position: Position of the sample in the decisions of a result.
        samples: Number of samples that it was chosen from.
    """

    number: int
    target: int
    caption: str
    runs: Mapping[str, RowResult]
    position: int
    samples: int


def load_plot() -> ModuleType | None:
    """Import ``neuroasync.plot``; return None if matplotlib is not installed."""
    try:
        from neuroasync import plot
    except ImportError:
        return None
    return plot


def choose_example(
    comparisons: Sequence[Comparison], spikes: SpikeTrains, numbers: range
) -> Example:
    """Choose the first digit that shows the difference, and count all digits that show it.

    A digit shows the difference if the fragile network is right with layers and wrong without, and
    the robust network is right without layers. If there is no such digit, choose the first digit.

    Args:
        comparisons: The comparisons of all networks.
        spikes: All samples, with their correct classes.
        numbers: Numbers of the samples that the networks ran on.
    """
    fragile, robust = (
        next(c for c in comparisons if c.network == name) for name in (FRAGILE, ROBUST)
    )
    runs = {
        f"{FRAGILE}, sync: trained and run layer by layer": fragile.sync,
        f"{FRAGILE}, async: run without waiting for layers": fragile.free,
        f"{ROBUST}, async: trained and run without waiting": robust.free,
    }
    labels = [-1] * len(spikes) if spikes.labels is None else spikes.labels.tolist()
    decisions = [run.decisions for run in runs.values()]
    chosen = labels[numbers.start : numbers.stop]
    right = [_array(d.label == c for d, c in zip(run, chosen, strict=True)) for run in decisions]
    late = _array(d.rounds > s.rounds for s, d in zip(*decisions[:2], strict=True))
    hits = right[0] & ~right[1] & right[2]
    position = int(np.argmax(hits))
    return Example(
        number=numbers[position],
        target=labels[numbers[position]],
        caption=_caption(numbers[position], hits, right[1] & late),
        runs=runs,
        position=position,
        samples=len(numbers),
    )


def _array(values: Iterable[bool]) -> NDArray[np.bool_]:
    return np.fromiter(values, np.bool_)


def _caption(number: int, hits: NDArray[np.bool_], late: NDArray[np.bool_]) -> str:
    """Return how the digit was chosen, and how often digits look like it."""
    share = format_number(float(hits.mean()), "%", digits=0)
    chosen = (
        f"Test digit {number} is the first that only the second run gets wrong. "
        f"This happens to {hits.sum()} of {hits.size} digits ({share})."
        if hits.any()
        else f"Test digit {number}. Of {hits.size} digits, none is wrong in the second run only."
    )
    return f"{chosen}\nIn {late.sum()} more, the second run is right, but later than the first."


def digit_figure(
    plot: ModuleType,
    example: Example,
    bundles: Mapping[str, Bundle],
    spikes: SpikeTrains,
    seed: int,
    *,
    dark: bool = False,
) -> Any:
    """Record the digit in each run, and draw its spikes and the decisions.

    Args:
        plot: The module ``neuroasync.plot``.
        example: The digit.
        bundles: The networks by name.
        spikes: All samples.
        seed: Seed of the runs.
        dark: Whether the page around the figure is dark.
    """
    panels = []
    for title, result in example.runs.items():
        decision = result.decisions[example.position]
        recording = _record(bundles[result.network], result, spikes, example.number, seed)
        note = "\n".join(
            (
                f"{format_number(result.summary.accuracy, '%')} right",
                f"{format_number(result.summary.rounds_per_sample)} rounds",
                f"{format_number(result.summary.spikes_per_sample)} spikes",
            )
        )
        panels.append(plot.DecisionPanel(title, note, recording, decision.rounds, decision.label))
    rows, columns = (1, *spikes.shape)[-2:]
    image = np.bincount(spikes[example.number].index, minlength=rows * columns)
    return plot.plot_decisions(
        panels,
        image.reshape(rows, columns),
        f"A handwritten {example.target}, with and without waiting for layers",
        example.caption,
        notes=f"all {example.samples} digits",
        dark=dark,
    )


def _record(
    bundle: Bundle, result: RowResult, spikes: SpikeTrains, number: int, seed: int
) -> Recording:
    """Record a whole sample with the options of a result."""
    from neuroasync.core.recording.recorder import Recorder
    from neuroasync.runtime.network import Network

    network = Network(bundle, seed=seed, **asdict(replace(result.row, until="quiet")))
    recorder = Recorder(bundle, network.settings)
    run_in_loop(decide_samples(network, spikes, range(number, number + 1), seed, recorder))
    return recorder.finish()


def save_figure(
    plot: ModuleType,
    folder: Path,
    comparisons: Sequence[Comparison],
    bundles: Mapping[str, Bundle],
    spikes: SpikeTrains,
    numbers: range,
    seed: int,
) -> Path:
    """Choose a digit, draw it, and return the path of the file.

    Args:
        plot: The module ``neuroasync.plot``.
        folder: Folder for the file; created if it does not exist.
        comparisons: The comparisons of all networks.
        bundles: The networks by name.
        spikes: All samples.
        numbers: Numbers of the samples that the networks ran on.
        seed: Seed of the runs.

    Raises:
        CliError: The folder cannot be created.
    """
    example = choose_example(comparisons, spikes, numbers)
    figure = digit_figure(plot, example, bundles, spikes, seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"{str(folder)!r}: {error.strerror or error}") from error
    path = folder / FIGURE
    plot.save_png(figure, path)
    return path
