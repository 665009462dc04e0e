"""``neuroasync run``: classify the samples of a spike file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync import limits
from neuroasync.cli.decide_samples import (
    check_over_time,
    decide_intervals,
    decide_samples,
    load_inputs,
    run_in_loop,
    targets_of,
)
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import (
    EngineName,
    EngineOption,
    GroupSizeOption,
    InputOption,
    JsonOption,
    MaxForwardStepsOption,
    NetworkArgument,
    PolicyOption,
    SamplesArgument,
    SamplesOption,
    SeedOption,
    UntilOption,
    chosen_samples,
    mode_of,
)
from neuroasync.cli.output import echo_json
from neuroasync.cli.output_paths import check_output, write_error
from neuroasync.cli.progress import progress
from neuroasync.cli.tables import echo

if TYPE_CHECKING:
    from neuroasync.core.engine.run_settings import RunOptions
    from neuroasync.runtime.over_time.decisions import DecisionsOverTime

__all__ = ["run"]

RecordOption = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="OUT.npz", show_default=False,
        help="Write every spike of the run to this file, for `replay` and `explain`. "
        "Default: no recording.",
    ),
]  # fmt: skip
DecisionsOption = Annotated[
    Path | None,
    typer.Option(
        "--decisions", metavar="OUT.npz", show_default=False,
        help="Write the decision at the end of each interval of each sample to this file: arrays "
        "`labels` and `confidence`, one sample after the other, with `offsets` and `every_us`. "
        "Requires samples with labels over time. Default: no file.",
    ),
]  # fmt: skip
DurationOption = Annotated[
    str | None,
    typer.Option(
        "--duration", metavar="TIME", show_default=False,
        help="Length of each sample, such as 100ms: every timestep before it runs. Default: what "
        "the bundle says; if it says nothing, a sample ends with its last event.",
    ),
]  # fmt: skip


def run(
    bundle: NetworkArgument,
    events: SamplesArgument,
    policy: PolicyOption = None,
    group_size: GroupSizeOption = None,
    input_mode: InputOption = None,
    seed: SeedOption = 0,
    until: UntilOption = "quiet",
    duration: DurationOption = None,
    samples: SamplesOption = None,
    max_forward_steps: MaxForwardStepsOption = limits.MAX_FORWARD_STEPS,
    engine: EngineOption = EngineName.AUTO,
    record: RecordOption = None,
    decisions: DecisionsOption = None,
    json: JsonOption = False,
) -> None:
    """Classify the samples of a spike file; report accuracy and cost.

    \b
    Examples:
      neuroasync run unlayered digits --policy random --group-size 8 --until "margin(3)"
      neuroasync run unlayered digits --samples 0:10 --record run.npz
      neuroasync run unlayered digits --json

    If the class changes within the samples (labels over time), there is a decision at the end of
    each labelled interval, and the report has the accuracy over the intervals, the confusion of the
    classes, and the time from a change of the class to the first decision for the new one.

    Each sample starts with the network at rest. The same files, options and seed give the same
    spikes on every machine.
    """  # noqa: D301  # \b keeps the line breaks of the examples.
    from neuroasync.cli.run_summary import (
        confusion_table,
        neurobench_json,
        over_time_json,
        summary_table,
        write_decisions,
    )
    from neuroasync.core.recording.file import write_recording
    from neuroasync.core.recording.recorder import Recorder
    from neuroasync.metrics import counted_workload, summarise, summarise_over_time, workload
    from neuroasync.runtime.network import Network

    for path in (record, decisions):
        if path is not None:
            check_output(path, bundle, events)
    if record is not None and record == decisions:
        raise CliError(f"--record and --decisions must be different files, got {str(record)!r}")
    net, spikes = load_inputs(bundle, events)
    numbers, duration_us = chosen_samples(samples, len(spikes)), _duration_us(duration)
    selected = spikes[numbers.start : numbers.stop]
    if spikes.labels_over_time is not None:
        check_over_time(net, until)
        if duration is not None:
            raise CliError("--duration cannot be used with labels over time, which end a sample")
    elif decisions is not None:
        raise CliError("--decisions requires samples with labels over time")
    if duration_us is not None and (last_us := int(selected.t_us.max(initial=-1))) >= duration_us:
        raise CliError(
            f"--duration must be longer than the samples, whose last event is at {last_us} µs, got "
            f"{duration}"
        )
    options: RunOptions = {
        "policy": None if policy is None else policy.value, "group_size": group_size,
        "input": mode_of(input_mode), "until": until, "max_forward_steps": max_forward_steps,
        "engine": engine.value,
    }  # fmt: skip
    network = Network(net, seed=seed, **options)
    recorder = None if record is None else Recorder(net, network.settings)
    over_time: list[DecisionsOverTime] = []
    with progress("deciding", len(numbers)) as advance:
        if spikes.labels_over_time is not None:
            over_time = decide_intervals(net, spikes, numbers, seed, advance, recorder, **options)
            found = [each.decision for each in over_time]
        else:
            found = run_in_loop(
                decide_samples(network, spikes, numbers, seed, recorder, advance, duration_us)
            )
    recording = None if recorder is None else recorder.finish()

    def write_record() -> None:
        if recording is not None and record is not None:
            write_recording(recording, record)

    def write_intervals() -> None:
        if decisions is not None:
            write_decisions(over_time, decisions)

    # If one file cannot be written, the other one still is.
    not_recorded, not_written = write_error(write_record), write_error(write_intervals)
    summary = summarise(found, targets_of(spikes, numbers), neurons=net.model.size)
    labels = selected.labels_over_time
    timeline = None if labels is None else summarise_over_time(over_time, labels)
    if not json:
        written = record if not_recorded is None else None
        echo(summary_table(network.settings, summary, written, timeline))
        if timeline is not None:
            echo("", confusion_table(timeline, net.classes))
    else:
        if recording is None:
            work = counted_workload(found, net.model, selected)
        else:
            work = workload(recording, net)
        document = summary.to_json() | neurobench_json(net.model, work)
        echo_json(document if timeline is None else document | over_time_json(timeline, over_time))
    for failure in (not_recorded, not_written):
        if failure is not None:
            raise failure


def _duration_us(text: str | None) -> int | None:
    """Return the value of ``--duration`` in µs, or None if it is not given.

    Raises:
        CliError: The text is no duration.
    """
    if text is None:
        return None
    from neuroasync.core.durations import microseconds

    try:
        return microseconds(text, "--duration", 1)
    except ValueError as error:
        raise CliError(str(error)) from error
