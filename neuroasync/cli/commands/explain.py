"""``neuroasync explain``: trace a spike back to its causes."""

from typing import Annotated

import typer

from neuroasync.cli.options import NetworkOption, RecordingPath
from neuroasync.cli.output import echo_text

__all__ = ["explain"]

SpikeOption = Annotated[
    int,
    typer.Option(
        "--spike", metavar="ROW", min=0, show_default=False,
        help="Row of the spike in the recording's arrays, counted from 0.",
    ),
]  # fmt: skip


def explain(recording: RecordingPath, bundle: NetworkOption, spike: SpikeOption) -> None:
    """Explain why a neuron fired, back to the input.

    \b
    Examples:
      neuroasync run net.nab test.npz --samples 0:1 --record run.npz
      neuroasync explain run.npz --bundle net.nab --spike 120

    Lists what the neuron's membrane potential was made of, largest contribution first. Then
    follows the chain of the largest contributions, spike by spike, back to the input.
    """  # noqa: D301  # \b keeps the line breaks of the examples.
    from neuroasync.core.recording.file import read_recording
    from neuroasync.explain import explain as explain_spike
    from neuroasync.shipped import load_bundle

    recorded, network = read_recording(recording), load_bundle(bundle)
    explanation = explain_spike(recorded, network, spike)
    number = recorded.number[recorded.sample[spike]]
    echo_text(f"row {spike}, sample {number}\n{explanation}")
