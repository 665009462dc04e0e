"""``neuroasync run``: decide on the samples of a spike file."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from neuroasync import limits
from neuroasync.cli.decide_samples import check_fit, decide_samples, run_in_loop, targets_of
from neuroasync.cli.options import (
    BundlePath,
    EngineName,
    EngineOption,
    EventsPath,
    GroupSizeOption,
    InputOption,
    JsonOption,
    MaxForwardStepsOption,
    PolicyOption,
    SamplesOption,
    SeedOption,
    UntilOption,
    chosen_samples,
    mode_of,
)
from neuroasync.cli.output import facts, progress, say, say_json, shown
from neuroasync.cli.output_paths import check_output
from neuroasync.core.engine.policies import policy_name
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.formats.bundle import read_bundle
from neuroasync.core.formats.spike_file import read_spikes
from neuroasync.core.model.model import Model
from neuroasync.core.recording.file import write_recording
from neuroasync.core.recording.recorder import Recorder
from neuroasync.metrics import (
    Summary,
    Workload,
    connection_sparsity,
    counted_workload,
    footprint,
    summarise,
    workload,
)
from neuroasync.runtime.network import Network

__all__ = ["run"]

_LINES: Final = {
    "accuracy": ("accuracy", "%"),
    "undecided": ("no label", "samples"),
    "spikes_per_sample": ("spikes", "a sample"),
    "steps_per_sample": ("forward steps", "a sample"),
    "rounds_per_sample": ("rounds of F", "a sample"),
    "spikes_to_decision": ("spikes to decision", "(samples with a label)"),
    "rounds_to_decision": ("rounds to decision", "(samples with a label)"),
    "spikes_to_first": ("spikes to 1st output", ""),
    "rounds_to_first": ("rounds to 1st output", ""),
    "synops_per_sample": ("synaptic ops", "a sample"),
}
"""What is shown of a summary, by its key in JSON: title and unit."""

RecordOption = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="OUT.npz", show_default=False,
        help="Write every spike of the run to this file, for `replay` and `explain`. "
        "Default: nothing is recorded.",
    ),
]  # fmt: skip


def run(
    bundle: BundlePath,
    events: EventsPath,
    policy: PolicyOption = None,
    group_size: GroupSizeOption = None,
    input_mode: InputOption = None,
    seed: SeedOption = 0,
    until: UntilOption = "quiet",
    samples: SamplesOption = None,
    max_forward_steps: MaxForwardStepsOption = limits.MAX_FORWARD_STEPS,
    engine: EngineOption = EngineName.AUTO,
    record: RecordOption = None,
    json: JsonOption = False,
) -> None:
    """Decide on the samples of a spike file: how well, at what cost.

    \b
    Examples:
      neuroasync run net.nab test.npz --policy random --group-size 8 --until "margin(3)"
      neuroasync run net.nab test.npz --samples 0:10 --record run.npz
      neuroasync run net.nab test.npz --json

    Each sample starts from rest. The same files, options and seed give the same spikes on
    every machine.
    """  # noqa: D301  # \b keeps the examples' lines
    if record is not None:
        check_output(record, bundle, events)
    net, spikes = read_bundle(bundle), read_spikes(events)
    check_fit(net, spikes)
    numbers = chosen_samples(samples, len(spikes))
    network = Network(
        net, seed=seed, policy=policy and policy.value, group_size=group_size,
        input=mode_of(input_mode), until=until, max_forward_steps=max_forward_steps,
        engine=engine.value,
    )  # fmt: skip
    recorder = None if record is None else Recorder(net, network.settings)
    with progress("deciding", len(numbers)) as tick:
        decisions = run_in_loop(decide_samples(network, spikes, numbers, seed, recorder, tick))
    recording = None if recorder is None else recorder.finish()
    if recording is not None and record is not None:
        write_recording(recording, record)
    summary = summarise(decisions, targets_of(spikes, numbers), neurons=net.model.size)
    if json:
        part = spikes[numbers.start : numbers.stop]
        if recording is None:
            work = counted_workload(decisions, net.model, part)
        else:
            work = workload(recording, net)
        say_json(summary.to_json() | _neurobench(net.model, work))
    else:
        say(_described(network.settings, summary, record))


def _neurobench(model: Model, work: Workload) -> dict[str, Any]:
    """NeuroBench's metrics under its names; null is what only a recording (--record) can tell."""
    return {
        "stopped": work.stopped,
        "neurobench": {
            "footprint": footprint(model).total,
            "parameter_count": model.parameters,
            "connection_sparsity": connection_sparsity(model),
            "activation_sparsity": work.activation_sparsity,
            "synaptic_operations": {
                "effective_macs": work.effective_macs,
                "effective_acs": work.effective_acs,
                "dense": work.dense,
            },
        },
    }


def _described(settings: RunSettings, summary: Summary, record: Path | None) -> Table:
    """The summary of a run as a table, and how it was run."""
    found = summary.to_json()
    how = (
        f"{policy_name(settings.policy)}, F = {settings.group_size}, {settings.input} input, "
        f"until {settings.until}"
    )
    pairs: list[tuple[str, object]] = [("run", how), ("samples", found["samples"])]
    pairs += [(title, shown(found[key], unit)) for key, (title, unit) in _LINES.items()]
    latency = found["latency_ms"]
    p50, p99 = (shown(latency[key], "ms") for key in ("p50", "p99"))
    pairs.append(("latency", f"{p50} median, {p99} 99th percentile (wall time of a decision)"))
    if record is not None:
        pairs.append(("recorded in", record))
    return facts(pairs)
