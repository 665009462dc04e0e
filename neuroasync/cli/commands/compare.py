"""``neuroasync compare``: one network in many orders."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync import limits
from neuroasync.cli.decide_samples import load_inputs
from neuroasync.cli.exit_codes import CliError, require_package
from neuroasync.cli.options import (
    JsonOption,
    NetworkArgument,
    SamplesArgument,
    SamplesOption,
    UntilOption,
    chosen_samples,
    seed_option,
)
from neuroasync.cli.output import echo_json, echo_text, format_number
from neuroasync.cli.output_paths import check_output, write_error
from neuroasync.cli.progress import progress
from neuroasync.cli.tables import echo, key_value_table, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from neuroasync.core.formats.bundle import PolicySpec
    from neuroasync.metrics import ComparedRun, ModeComparison

__all__ = ["compare"]

ModesOption = Annotated[
    str | None,
    typer.Option(
        "--modes", metavar="MODES", show_default=False,
        help="Run modes to compare, such as 'layer-sync; random F=1,8 queued; momentum F=8 x2': "
        "orders with group sizes F, input modes and a weight in the mean. Default: every order, "
        "with F = 1 and 8 and both input modes.",
    ),
]  # fmt: skip
GroupSizesOption = Annotated[
    list[int] | None,
    typer.Option(
        "--group-size", metavar="F", min=1, max=2**31 - 1, show_default=False,
        help="Maximum number of pending spikes that one forward step delivers. The option may be "
        "given several times. Default: 1 and 8.",
    ),
]  # fmt: skip
OrdersOption = Annotated[
    int,
    typer.Option(
        "--orders", metavar="N", min=1, max=limits.MAX_CERTIFIED_ORDERS,
        help="Number of seeds for each run mode, S to S+N-1: in random order, each seed is another "
        "order. Run modes that ignore the seed run once.",
    ),
]  # fmt: skip
FirstSeedOption = Annotated[
    int, seed_option("Sample i of the file runs with sample_seed(S, i); see --orders.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT.nab", show_default=False,
        help="Bundle to write: the same network with the certificate of these orders. The samples "
        "need labels. Default: none.",
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
    modes: ModesOption = None,
    group_size: GroupSizesOption = None,
    orders: OrdersOption = 1,
    until: UntilOption = "quiet",
    seed: FirstSeedOption = 0,
    samples: SamplesOption = None,
    output: OutputOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Run a network in many orders: the worst, the mean and the spread.

    \b
    Examples:
      neuroasync compare unlayered digits
      neuroasync compare unlayered digits --orders 10 -o certified.nab
      neuroasync compare unlayered digits --modes "layer-sync; random F=1,4,16 queued"
      neuroasync compare imported.nab samples.npz --group-size 1 --group-size 16 --plot orders.png

    `same label` is the share of samples that have the same label as under layer-sync with
    prioritised input, which is what layered frameworks compute.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.core.formats.bundle import write_bundle
    from neuroasync.core.formats.orders.run_modes import parse_run_modes
    from neuroasync.metrics import compare_modes

    for path in (output, plot):
        if path is not None:
            check_output(path, bundle, events)
    if output is not None and output == plot:
        raise CliError(f"-o and --plot must be different files, got {str(output)!r}")
    if plot is not None:
        require_package("matplotlib", "viz", "--plot")
    chosen = parse_run_modes(_modes_text(modes, group_size))
    net, spikes = load_inputs(bundle, events)
    numbers = chosen_samples(samples, len(spikes))
    if spikes.labels_over_time is not None:
        raise CliError(
            f"{events!r} has labels over time, which `compare` does not support; use "
            "`neuroasync run` once for each --policy"
        )
    if output is not None and spikes.labels is None:
        raise CliError(f"{events!r} must have the label of every sample for -o, but has no labels")
    if seed > 2**64 - orders:
        raise CliError(
            f"--seed must be at most {2**64 - orders} with --orders {orders}, got {seed}"
        )
    with progress("comparing", 1) as advance:
        compared = compare_modes(
            net, spikes[numbers.start : numbers.stop], chosen, orders=orders, until=until,
            seed=seed, first=numbers.start, on_run=lambda done, total: advance(done, "", total),
        )  # fmt: skip

    def write() -> None:
        if output is not None:
            write_bundle(replace(net, certificate=compared.certificate), output)

    failure = write_error(write)
    _report(compared, len(numbers), output if failure is None else None, json)
    if failure is not None:
        raise failure
    if plot is not None:
        _draw(compared, f"{bundle}, {len(numbers)} samples", plot)
        if not json:
            echo_text(f"drawn in {plot}")  # a path must not be folded


def _modes_text(modes: str | None, sizes: list[int] | None) -> str:
    """Return the run modes that the options choose, in text form."""
    from neuroasync.metrics.orders.mode_comparison import ALL_MODES

    if modes is not None and sizes:
        raise CliError("--group-size cannot be combined with --modes; write F=1,8 in the run modes")
    if modes is not None:
        return modes
    if not sizes:
        return ALL_MODES
    return ALL_MODES.replace("F=1,8", f"F={','.join(map(str, dict.fromkeys(sizes)))}")


def _report(compared: "ModeComparison", samples: int, output: Path | None, json: bool) -> None:
    """Write the result to stdout."""
    from neuroasync.cli.bundle_tables import certificate_json, certificate_pairs

    certificate = compared.certificate
    if json:
        document = {
            "samples": samples,
            "runs": [run.to_json() for run in compared.runs],
            "certificate": None if certificate is None else certificate_json(certificate),
        }
        echo_json(document | ({} if output is None else {"written": str(output)}))
        return
    echo(_table(compared))
    if certificate is not None:
        written = [] if output is None else [("written", output)]
        echo("", key_value_table([*certificate_pairs(certificate), *written]))


def _table(compared: "ModeComparison") -> "RenderableType":
    rows = []
    for mode, runs in compared.by_mode():
        rows.append((
            _order_name(mode), mode.input, mode.group_size,
            format_number(_mean(runs, "accuracy"), "%"),
            format_number(fmean(run.same_labels for run in runs), "%"),
            format_number(_mean(runs, "spikes_per_sample")),
            format_number(_mean(runs, "rounds_per_sample")),
            format_number(_mean(runs, "synops_per_sample"), digits=0),
        ))  # fmt: skip
    columns = (
        "order", "input", "F", "accuracy", "same\nlabel", "spikes", "rounds", "synaptic\nops",
    )  # fmt: skip
    return table(columns, rows, numbers=range(2, len(columns)))


def _order_name(mode: "PolicySpec") -> str:
    return f"{mode.name}, noise {mode.noise:g}" if mode.noise else mode.name


def _mean(runs: "list[ComparedRun]", name: str) -> float | None:
    """Return the mean of a value of the summaries, or None if they do not have it."""
    values = [getattr(run.summary, name) for run in runs]
    return None if None in values else fmean(values)


def _draw(compared: "ModeComparison", title: str, path: Path) -> None:
    from neuroasync.plot import plot_comparison, save_png

    points: dict[tuple[str, str], list[tuple[int, float, float, float]]] = {}
    is_labelled = compared.certificate is not None
    for mode, runs in compared.by_mode():
        share = _mean(runs, "accuracy") if is_labelled else fmean(run.same_labels for run in runs)
        cost = (_mean(runs, "rounds_per_sample") or 0.0, _mean(runs, "spikes_per_sample") or 0.0)
        point = (mode.group_size, *cost, share or 0.0)
        points.setdefault((_order_name(mode), mode.input), []).append(point)
    measure = "accuracy" if is_labelled else "same label as under layer-sync"
    save_png(plot_comparison(points, measure, title), path)
