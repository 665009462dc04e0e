"""``neuroasync run``: classify the samples of a spike file."""

from pathlib import Path
from typing import Annotated

import typer

from neuroasync import limits
from neuroasync.cli.decide_samples import decide_samples, load_inputs, run_in_loop, targets_of
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
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.progress import progress
from neuroasync.cli.tables import echo

__all__ = ["run"]

RecordOption = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="OUT.npz", show_default=False,
        help="Write every spike of the run to this file, for `replay` and `explain`. "
        "Default: no recording.",
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
    json: JsonOption = False,
) -> None:
    """Classify the samples of a spike file; report accuracy and cost.

    \b
    Examples:
      neuroasync run unlayered digits --policy random --group-size 8 --until "margin(3)"
      neuroasync run unlayered digits --samples 0:10 --record run.npz
      neuroasync run unlayered digits --json

    Each sample starts with the network at rest. The same files, options and seed give the same
    spikes on every machine.
    """  # noqa: D301  # \b keeps the line breaks of the examples.
    from neuroasync.cli.run_summary import neurobench_json, summary_table
    from neuroasync.core.recording.file import write_recording
    from neuroasync.core.recording.recorder import Recorder
    from neuroasync.metrics import counted_workload, summarise, workload
    from neuroasync.runtime.network import Network

    if record is not None:
        check_output(record, bundle, events)
    net, spikes = load_inputs(bundle, events)
    numbers, duration_us = chosen_samples(samples, len(spikes)), _duration_us(duration)
    network = Network(
        net, seed=seed, policy=None if policy is None else policy.value, group_size=group_size,
        input=mode_of(input_mode), until=until, max_forward_steps=max_forward_steps,
        engine=engine.value,
    )  # fmt: skip
    recorder = None if record is None else Recorder(net, network.settings)
    with progress("deciding", len(numbers)) as advance:
        decisions = run_in_loop(
            decide_samples(network, spikes, numbers, seed, recorder, advance, duration_us)
        )
    recording = None if recorder is None else recorder.finish()
    if recording is not None and record is not None:
        write_recording(recording, record)
    summary = summarise(decisions, targets_of(spikes, numbers), neurons=net.model.size)
    if json:
        selected = spikes[numbers.start : numbers.stop]
        if recording is None:
            work = counted_workload(decisions, net.model, selected)
        else:
            work = workload(recording, net)
        echo_json(summary.to_json() | neurobench_json(net.model, work))
    else:
        echo(summary_table(network.settings, summary, record))


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
