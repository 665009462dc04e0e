"""``neuroasync explain``: trace a spike back to its causes."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import JsonOption, NetworkOption, RecordingPath
from neuroasync.cli.output import echo_json, echo_text
from neuroasync.core.quantity import quantity

if TYPE_CHECKING:
    from neuroasync.core.recording.recording import Recording

__all__ = ["explain"]

SampleOption = Annotated[
    int | None,
    typer.Option(
        "--sample", metavar="N", min=0, show_default=False,
        help="Number of the sample in its spike file. Explain the spike that decided it. Default: "
        "the first sample of the recording that has a decision.",
    ),
]  # fmt: skip
SpikeOption = Annotated[
    int | None,
    typer.Option(
        "--spike", metavar="ROW", min=0, show_default=False,
        help="Explain another spike: its row in the recording's arrays, counted from 0. Default: "
        "the spike that decided.",
    ),
]  # fmt: skip


def explain(
    recording: RecordingPath,
    bundle: NetworkOption,
    sample: SampleOption = None,
    spike: SpikeOption = None,
    json: JsonOption = False,
) -> None:
    """Explain why a neuron fired, back to the input.

    \b
    Examples:
      neuroasync run unlayered digits --samples 0:10 --record run.npz
      neuroasync explain run.npz --bundle unlayered
      neuroasync explain run.npz --bundle unlayered --sample 3

    Explains the spike that decided: the output spike with which the decided class took the lead
    for the last time. Lists what the neuron's membrane potential was made of, largest contribution
    first. Then follows the chain of the largest contributions, spike by spike, back to the input.
    """  # noqa: D301  # \b keeps the line breaks of the examples.
    from neuroasync.core.recording.file import read_recording
    from neuroasync.explain import explain as explain_spike
    from neuroasync.shipped import load_bundle

    if sample is not None and spike is not None:
        raise CliError("--sample cannot be combined with --spike, which names the spike itself")
    recorded, network = read_recording(recording), load_bundle(bundle)
    if spike is not None and spike >= recorded.neuron.size:
        found = f"{quantity(recorded.neuron.size, 'spike')}, numbered from 0"
        raise CliError(f"--spike must be a row of the recording, which has {found}, got {spike}")
    row = _deciding_row(recorded, sample) if spike is None else spike
    explanation = explain_spike(recorded, network, row)
    number = int(recorded.number[recorded.sample[row]])
    if json:
        echo_json({"row": row, "sample": number, **asdict(explanation)})
    else:
        echo_text(f"row {row}, sample {number}\n{explanation}")


def _deciding_row(recording: "Recording", number: int | None) -> int:
    """Return the row of the spike that decided a sample, or the first decided sample."""
    from neuroasync.explain import deciding_spike

    numbers = recording.number.tolist()
    if not numbers:
        raise CliError("the recording has no samples, and so no spike to explain")
    if number is not None and number not in numbers:
        raise CliError(
            f"--sample must be the number of a recorded sample, {min(numbers)} to {max(numbers)}, "
            f"got {number}"
        )
    decided = [k for k, label in enumerate(recording.label.tolist()) if label >= 0]
    if number is None and not decided:
        raise CliError("no recorded sample has a decision; name a spike with --spike ROW")
    return deciding_spike(recording, decided[0] if number is None else numbers.index(number))
