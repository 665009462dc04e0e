"""``neuroasync explain``: why did that spike happen?"""

from typing import Annotated

import typer

from neuroasync.cli.options import BundleOption, RecordingPath
from neuroasync.cli.output import say_text
from neuroasync.core.formats.bundle import read_bundle
from neuroasync.core.recording.file import read_recording
from neuroasync.explain import explain as explain_spike

__all__ = ["explain"]

SpikeOption = Annotated[
    int,
    typer.Option(
        "--spike",
        metavar="ROW",
        min=0,
        show_default=False,
        help="Row of the spike in the recording's arrays, from 0.",
    ),
]


def explain(recording: RecordingPath, bundle: BundleOption, spike: SpikeOption) -> None:
    """Say why a spike happened: whose charge, back to the input.

    \b
    Examples:
      neuroasync run net.nab test.npz --samples 0:1 --record run.npz
      neuroasync explain run.npz --bundle net.nab --spike 120

    Shows what the neuron's membrane potential was made of, largest part first, and then the
    chain: the spike that gave most, what gave most to that one, and so on.
    """  # noqa: D301  # \b keeps the examples' lines
    recorded, network = read_recording(recording), read_bundle(bundle)
    found = explain_spike(recorded, network, spike)
    number = recorded.number[recorded.sample[spike]]
    say_text(f"row {spike}, sample {number}\n{found}")
