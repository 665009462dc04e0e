"""``neuroasync calibrate``: measure how early a network may stop at a given accuracy."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync.cli.decide_samples import (
    check_over_time,
    decide_intervals,
    decide_samples,
    load_inputs,
    run_in_loop,
)
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import (
    GroupSizeOption,
    InputOption,
    JsonOption,
    NetworkArgument,
    PolicyOption,
    SamplesArgument,
    SamplesOption,
    SeedOption,
    chosen_samples,
    mode_of,
    output_option,
)
from neuroasync.cli.output import echo_json, format_number
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.progress import progress
from neuroasync.cli.tables import echo, key_value_table

if TYPE_CHECKING:
    from neuroasync.core.engine.run_settings import RunOptions
    from neuroasync.core.events.spike_trains import SpikeTrains
    from neuroasync.core.formats.bundle import Bundle

__all__ = ["calibrate"]

OutputOption = Annotated[
    Path,
    output_option(
        "OUT.nab",
        "Bundle to write: the same network with the calibrations.",
    ),
]
AccuracyOption = Annotated[
    list[float] | None,
    typer.Option(
        "--accuracy", metavar="P", show_default=False,
        help="Accuracy, between 0 and 1, that the stop rule confidence(P) is calibrated for. The "
        "option may be given several times. Default: all of 0.8, 0.9, 0.95, 0.98 and 0.99 that the "
        "network reaches.",
    ),
]  # fmt: skip


def calibrate(
    bundle: NetworkArgument,
    events: SamplesArgument,
    output: OutputOption,
    accuracy: AccuracyOption = None,
    policy: PolicyOption = None,
    group_size: GroupSizeOption = None,
    input_mode: InputOption = None,
    seed: SeedOption = 0,
    samples: SamplesOption = None,
    json: JsonOption = False,
) -> None:
    """Measure how early a network may stop at a given accuracy.

    \b
    Examples:
      neuroasync encode digits --part validation -o validation.npz
      neuroasync calibrate unlayered validation.npz -o calibrated.nab
      neuroasync run calibrated.nab digits --until "confidence(0.95)"

    The samples must have labels, and must not have been used for training. A calibration holds for
    the ordering policy, group size and input mode that it was measured with, and for samples of the
    same kind. In 95 of 100 calibrations, the accuracy is at most `error` lower than promised.

    Samples with labels over time have no stop rule. For them, the confidence of the decisions is
    fitted to the samples, and the bundle stores its scale.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync import metrics
    from neuroasync.cli.bundle_tables import calibration_json, calibration_table
    from neuroasync.core.formats.bundle import write_bundle
    from neuroasync.core.formats.bundle_calibration import with_calibrations
    from neuroasync.runtime.network import Network

    check_output(output, bundle, events)
    net, spikes = load_inputs(bundle, events)
    if spikes.labels is None and spikes.labels_over_time is None:
        raise CliError(f"{events!r} must have the label of every sample, but has no labels")
    numbers = chosen_samples(samples, len(spikes))
    options: RunOptions = {
        "policy": None if policy is None else policy.value, "group_size": group_size,
        "input": mode_of(input_mode),
    }  # fmt: skip
    if spikes.labels_over_time is not None:
        if accuracy:
            raise CliError("--accuracy is for stop rules; samples with labels over time have none")
        _calibrate_over_time(net, spikes, numbers, seed, options, output, json)
        return
    if net.model.decides_by_potential:
        raise CliError(
            f"the output {net.model.output!r} consists of leaky integrators, which never vote, so "
            "no stop rule can be calibrated; only samples with labels over time can be used"
        )
    network = Network(net, seed=seed, **options)
    recorder = network.recorder()
    with progress("deciding", len(numbers)) as advance:
        run_in_loop(decide_samples(network, spikes, numbers, seed, recorder, advance))
    recording = recorder.finish()
    try:
        calibrations = metrics.calibrate(recording, accuracy or None)
    except ValueError as error:
        raise CliError(str(error).replace("`accuracies`", "--accuracy")) from error
    (whole,) = metrics.stop_points(recording, ["quiet"])
    if not calibrations:
        raise CliError(
            f"without a stop rule, the network has an accuracy of {whole.accuracy:.4g}, which is "
            "below all default values: choose a lower one with --accuracy"
        )
    rounds = [
        p.mean("rounds") for p in metrics.stop_points(recording, [c.until for c in calibrations])
    ]
    calibrated = replace(net, calibration=with_calibrations(net.calibration, calibrations))
    write_bundle(calibrated, output)
    if json:
        found = [
            calibration_json(c) | {"mean_rounds": n}
            for c, n in zip(calibrations, rounds, strict=True)
        ]
        start = {"written": str(output), "sha256": calibrated.digest.hex()}
        quiet = {"accuracy": whole.accuracy, "mean_rounds": whole.mean("rounds")}
        echo_json(start | {"quiet": quiet, "calibration": found})
        return
    summary = [
        ("written", output),
        ("sha256", calibrated.digest.hex()),
        ("without a stop rule", f"{whole.accuracy:.1%} right, {whole.mean('rounds'):.1f} rounds"),
    ]
    saved = [
        (f"confidence({c.accuracy})", f"{c.measured:.1%} right, {n:.1f} rounds")
        for c, n in zip(calibrations, rounds, strict=True)
    ]
    echo(key_value_table([*summary, *saved]), "", calibration_table(calibrations))


def _calibrate_over_time(
    net: "Bundle",
    spikes: "SpikeTrains",
    numbers: range,
    seed: int,
    options: "RunOptions",
    output: Path,
    json: bool,
) -> None:
    """Fit the confidence of decisions over time, and write the bundle.

    Raises:
        CliError: The samples do not fit the network, or none of their intervals has a class.
    """
    from neuroasync import metrics
    from neuroasync.core.formats.bundle import write_bundle

    check_over_time(net)
    labels, window = spikes[numbers.start : numbers.stop].labels_over_time, net.vote_window
    if labels is None or window is None:
        raise CliError("calibration over time requires labels over time and a vote window")
    with progress("deciding", len(numbers)) as advance:
        before = decide_intervals(net, spikes, numbers, seed, advance, **options)
    try:
        fitted = metrics.calibrate_over_time(before, labels, window)
    except ValueError as error:
        raise CliError(str(error)) from error
    calibrated = replace(net, vote_window=fitted)
    after = [each.with_window(fitted) for each in before]
    errors = [
        metrics.summarise_over_time(found, labels).reliability.error for found in (before, after)
    ]
    write_bundle(calibrated, output)
    if json:
        window_json = {"duration_us": fitted.duration_us, "scale": fitted.scale}
        echo_json(
            {
                "written": str(output),
                "sha256": calibrated.digest.hex(),
                "vote_window": window_json,
                "calibration_error": dict(zip(("before", "after"), errors, strict=True)),
            }
        )
        return
    summary = [
        ("written", output),
        ("sha256", calibrated.digest.hex()),
        ("scale", f"{fitted.scale:.4g}, {window.scale:.4g} before"),
        ("calibration error", " before, ".join(format_number(e, "%") for e in errors) + " after"),
    ]
    echo(key_value_table(summary))
