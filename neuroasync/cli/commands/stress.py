"""``neuroasync stress``: what lost spikes, inexact weights and other orders do to a network."""

from pathlib import Path
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
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.progress import progress
from neuroasync.cli.tables import echo, key_value_table, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from neuroasync.core.formats.bundle import PolicySpec
    from neuroasync.metrics import Mean, StressReport

__all__ = ["stress"]

StressesOption = Annotated[
    str | None,
    typer.Option(
        "--stresses", metavar="STRESSES", show_default=False,
        help="Kinds of stress with their strengths, such as 'input-loss 0.1,0.2; weight-bits 4; "
        "jitter 5ms; order random F=1,8 queued'. A kind without strengths has its default "
        "strengths. Kinds: input-loss, synapse-loss, weight-noise, weight-bits, order, delay, "
        "jitter. Default: every kind that fits the network.",
    ),
]  # fmt: skip
SeedsOption = Annotated[
    int,
    typer.Option(
        "--seeds", metavar="N", min=1, max=limits.MAX_CERTIFIED_ORDERS,
        help="Number of seeds for each stress, S to S+N-1. What does not depend on seeds runs "
        "once.",
    ),
]  # fmt: skip
ModeOption = Annotated[
    str | None,
    typer.Option(
        "--mode", metavar="MODE", show_default=False,
        help="Run mode of all runs but those of the kind order, such as 'random F=8 queued'. "
        "Default: the one that the network was trained for.",
    ),
]  # fmt: skip
FirstSeedOption = Annotated[
    int,
    seed_option("It also seeds the stresses. Sample i runs with sample_seed(S, i)."),
]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="OUT.png", show_default=False,
        help="Draw accuracy against strength, for each kind, into this file. Default: no picture.",
    ),
]  # fmt: skip


def stress(
    bundle: NetworkArgument,
    events: SamplesArgument,
    stresses: StressesOption = None,
    seeds: SeedsOption = 5,
    mode: ModeOption = None,
    until: UntilOption = "quiet",
    seed: FirstSeedOption = 0,
    samples: SamplesOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Measure what lost spikes, inexact weights and other orders do.

    \b
    Examples:
      neuroasync stress unlayered digits
      neuroasync stress unlayered digits --stresses "input-loss; weight-bits 8,4" --seeds 10
      neuroasync stress imported.nab samples.npz --plot stress.png

    The first row is the network without stress. `same label` is the share of samples that keep
    their label. ± is one standard error over seeds; it does not say how much the result depends on
    the choice of samples.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.metrics import stress_test

    if plot is not None:
        check_output(plot, bundle, events)
        require_package("matplotlib", "viz", "--plot")
    run_mode = _run_mode(mode)
    net, spikes = load_inputs(bundle, events)
    numbers = chosen_samples(samples, len(spikes))
    if spikes.labels_over_time is not None:
        raise CliError(f"{events!r} has labels over time, which `stress` does not support")
    if seed > 2**64 - seeds:
        raise CliError(f"--seed must be at most {2**64 - seeds} with --seeds {seeds}, got {seed}")
    try:
        with progress("running", 1) as advance:
            report = stress_test(
                net, spikes[numbers.start : numbers.stop], stresses, seeds=seeds, mode=run_mode,
                until=until, seed=seed, first=numbers.start,
                on_run=lambda done, total: advance(done, "", total),
            )  # fmt: skip
    except ValueError as error:
        raise CliError(f"{error}") from error
    if json:
        echo_json(report.to_json())
    else:
        echo(_table(report), "", key_value_table(_sampled(report)))
    if plot is not None:
        _draw(report, f"{bundle}, {len(numbers)} samples", plot)
        if not json:
            echo_text(f"drawn in {plot}")  # a path must not be folded


def _run_mode(text: str | None) -> "PolicySpec | None":
    """Return the run mode that the value of ``--mode`` describes, or None if it is not given."""
    from neuroasync.core.formats.orders.run_modes import parse_run_modes
    from neuroasync.errors import PolicyError

    if text is None:
        return None
    try:
        modes = parse_run_modes(text).modes
    except PolicyError as error:
        raise CliError(str(error).replace("`modes`", "--mode", 1)) from error
    if len(modes) > 1:
        raise CliError(f"--mode must be one run mode, got {len(modes)} in {text!r:.80}")
    return modes[0]


def _table(report: "StressReport") -> "RenderableType":
    rows = []
    for cause, _ in report.by_stress():
        means = [
            report.mean(cause, name)
            for name in ("accuracy", "spikes_per_sample", "rounds_per_sample")
        ]
        rows.append((
            "none" if cause is None else cause.kind,
            "" if cause is None else cause.amount,
            _with_error(means[0], 100),
            format_number(100 * report.same_labels(cause).value),
            _with_error(means[1]),
            _with_error(means[2]),
        ))  # fmt: skip
    columns = ("stress", "strength", "accuracy\n%", "same\nlabel\n%", "spikes", "rounds")
    return table(columns, rows, numbers=range(2, len(columns)))


def _with_error(mean: "Mean | None", factor: int = 1) -> str:
    """Return a mean, times a factor, with its standard error, such as ``96.4 ± 0.3``."""
    if mean is None:
        return "-"
    text = format_number(factor * mean.value)
    return text if mean.error is None else f"{text} ± {factor * mean.error:.1f}"


def _sampled(report: "StressReport") -> list[tuple[str, object]]:
    """Return names and values of what was sampled."""
    from neuroasync.core.engine.stop_rules import short_rule
    from neuroasync.core.formats.orders.run_modes import mode_text

    most = max(len(runs) for _, runs in report.by_stress())
    seeds = f"{report.seed} to {report.seed + most - 1}" if most > 1 else f"{report.seed}"
    last = report.first + report.samples
    return [
        ("run mode", mode_text(report.mode)),
        ("seeds", seeds),
        (
            "samples",
            f"{report.first}:{last}, until {short_rule(report.until)}",
        ),
    ]


def _draw(report: "StressReport", title: str, path: Path) -> None:
    from neuroasync.plot import plot_stress, save_png

    is_labelled = report.mean(None, "accuracy") is not None
    points: dict[str, list[tuple[str, float, float | None]]] = {}
    for cause, _ in report.by_stress():
        kind, amount = ("", "") if cause is None else (cause.kind, cause.amount)
        mean = report.mean(cause, "accuracy") if is_labelled else report.same_labels(cause)
        if mean is not None:
            points.setdefault(kind, []).append((amount, mean.value, mean.error))
    ((_, share, _),) = points.pop("")
    measure = "accuracy" if is_labelled else "same label as without stress"
    save_png(plot_stress(points, share, measure, title), path)
