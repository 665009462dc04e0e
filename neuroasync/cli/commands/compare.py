"""``neuroasync compare``: one network under every ordering policy, group size and input mode."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync.cli.decide_samples import load_inputs
from neuroasync.cli.exit_codes import require_package
from neuroasync.cli.options import (
    JsonOption,
    NetworkArgument,
    SamplesArgument,
    SamplesOption,
    SeedOption,
    UntilOption,
    chosen_samples,
)
from neuroasync.cli.output import echo_json, echo_text, format_number
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.progress import progress
from neuroasync.cli.tables import echo, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from neuroasync.interchange.comparison import ComparedRun

__all__ = ["compare"]

GroupSizesOption = Annotated[
    list[int] | None,
    typer.Option(
        "--group-size", metavar="F", min=1, max=2**31 - 1, show_default=False,
        help="Maximum number of pending spikes that one forward step delivers. The option may be "
        "given several times. Default: 1 and 8.",
    ),
]  # fmt: skip
PlotOption = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="OUT.png", show_default=False,
        help="Draw accuracy against rounds and spikes into this file. Default: no picture.",
    ),
]  # fmt: skip


def compare(
    bundle: NetworkArgument,
    events: SamplesArgument,
    group_size: GroupSizesOption = None,
    until: UntilOption = "quiet",
    seed: SeedOption = 0,
    samples: SamplesOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Run a network under every order, group size and input mode.

    \b
    Examples:
      neuroasync compare unlayered digits
      neuroasync compare imported.nab samples.npz --group-size 1 --group-size 16 --plot orders.png

    `same label` is the share of samples that have the same label as under layer-sync with
    prioritised input, which is what layered frameworks compute.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.interchange.comparison import GROUP_SIZES, INPUT_MODES, POLICIES
    from neuroasync.interchange.comparison import compare as compare_orders

    if plot is not None:
        check_output(plot, bundle, events)
        require_package("matplotlib", "viz", "--plot")
    net, spikes = load_inputs(bundle, events)
    numbers = chosen_samples(samples, len(spikes))
    sizes = tuple(dict.fromkeys(group_size or GROUP_SIZES))
    with progress("comparing", len(POLICIES) * len(INPUT_MODES) * len(sizes)) as advance:
        runs = compare_orders(
            net, spikes[numbers.start : numbers.stop], group_sizes=sizes, until=until, seed=seed,
            first=numbers.start, on_run=advance,
        )  # fmt: skip
    if plot is not None:
        _draw(runs, f"{bundle}, {len(numbers)} samples", plot)
    if json:
        echo_json({"samples": len(numbers), "runs": [run.to_json() for run in runs]})
        return
    echo(_table(runs))
    if plot is not None:
        echo_text(f"drawn in {plot}")  # a path must not be folded


def _table(runs: "Sequence[ComparedRun]") -> "RenderableType":
    rows = [
        (
            run.policy, run.input, run.group_size,
            format_number(run.summary.accuracy, "%"), format_number(run.same_labels, "%"),
            format_number(run.summary.spikes_per_sample),
            format_number(run.summary.rounds_per_sample),
            format_number(run.summary.synops_per_sample, digits=0),
        )
        for run in runs
    ]  # fmt: skip
    columns = (
        "order", "input", "F", "accuracy", "same\nlabel", "spikes", "rounds", "synaptic\nops",
    )  # fmt: skip
    return table(columns, rows, numbers=range(2, len(columns)))


def _draw(runs: "Sequence[ComparedRun]", title: str, path: Path) -> None:
    from neuroasync.plot import plot_comparison, save_png

    points: dict[tuple[str, str], list[tuple[int, float, float, float]]] = {}
    is_labelled = runs[0].summary.accuracy is not None
    for run in runs:
        share = run.summary.accuracy if is_labelled else run.same_labels
        cost = (run.summary.rounds_per_sample or 0.0, run.summary.spikes_per_sample or 0.0)
        point = (run.group_size, *cost, share or 0.0)
        points.setdefault((run.policy, run.input), []).append(point)
    measure = "accuracy" if is_labelled else "same label as under layer-sync"
    save_png(plot_comparison(points, measure, title), path)
