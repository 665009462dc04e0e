"""Run the samples of a spike file with a network, in threads beside the event loop."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from neuroasync.cli.exit_codes import CliError
from neuroasync.errors import NeuroasyncError

# The help of a command needs none of these, and they take long to import.
if TYPE_CHECKING:
    from neuroasync.core.engine.decision import Decision
    from neuroasync.core.engine.run_settings import RunOptions
    from neuroasync.core.events.spike_trains import SpikeTrains
    from neuroasync.core.formats.bundle import Bundle
    from neuroasync.core.recording.recorder import Recorder
    from neuroasync.runtime.network import Network
    from neuroasync.runtime.over_time.decisions import DecisionsOverTime

__all__ = [
    "check_fit",
    "check_over_time",
    "decide_intervals",
    "decide_samples",
    "load_inputs",
    "run_in_loop",
    "targets_of",
]

T = TypeVar("T")


def run_in_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` in a new event loop and return its result. Use uvloop if it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def load_inputs(network: str, samples: str) -> "tuple[Bundle, SpikeTrains]":
    """Return the network and the samples that two arguments name, which fit each other.

    Raises:
        CliError: The arguments are swapped, or the samples do not fit the network.
        BundleError, SpikeFileError: One of them cannot be read.
    """
    from neuroasync.core.formats.file_kind import FileKind, file_kind
    from neuroasync.shipped import NETWORK_FILES, SAMPLE_FILES, load_bundle, load_spikes

    try:
        bundle, spikes = load_bundle(network), load_spikes(samples)
    except NeuroasyncError as error:
        if (
            network in SAMPLE_FILES
            or samples in NETWORK_FILES
            or file_kind(network) is FileKind.SPIKES
            or file_kind(samples) is FileKind.BUNDLE
        ):
            raise CliError(f"{error}; the arguments are NETWORK SAMPLES") from error
        raise
    check_fit(bundle, spikes)
    return bundle, spikes


def check_fit(bundle: "Bundle", spikes: "SpikeTrains") -> None:
    """Check that the network accepts the shape and the labels of the samples.

    Raises:
        CliError: The input shapes differ, or a label is not a class of the network.
    """
    expected = bundle.model.input_shape
    file_shape, model_shape = (tuple(n for n in s if n > 1) for s in (spikes.shape, expected))
    # A flat shape says nothing about rows and columns, so only the sizes are compared.
    is_flat = len(file_shape) <= 1 or len(model_shape) <= 1
    if math.prod(file_shape) != math.prod(model_shape) or not (
        is_flat or file_shape == model_shape
    ):
        raise CliError(
            f"the spike file has an input of shape {spikes.shape}, but the network expects "
            f"{expected}"
        )
    outputs = bundle.model.populations[bundle.model.index(bundle.model.output)].size
    over = spikes.labels_over_time
    labels = spikes.labels if over is None else over.labels
    if labels is not None and labels.max(initial=-1) >= outputs:
        raise CliError(
            f"the spike file has labels up to {labels.max()}, but the network has classes "
            f"0 to {outputs - 1}"
        )


def check_over_time(bundle: "Bundle", until: str = "quiet") -> None:
    """Check that a network can run samples with labels over time.

    Raises:
        CliError: There is a stop rule, or the network has no vote window.
    """
    if until != "quiet":
        raise CliError(
            f"--until must be quiet for samples with labels over time, which have a decision at "
            f"the end of each interval, got {until!r:.80}"
        )
    if bundle.vote_window is None:
        raise CliError(
            "the samples have labels over time, but the network has no vote window: train it on "
            "such samples, or set `vote_window` of its bundle"
        )


def targets_of(spikes: "SpikeTrains", numbers: range) -> list[int] | None:
    """Return the labels of the samples ``numbers``, or None if the file has no labels."""
    if spikes.labels is None:
        return None
    labels: list[int] = spikes.labels[numbers.start : numbers.stop].tolist()
    return labels


def decide_intervals(
    bundle: "Bundle",
    spikes: "SpikeTrains",
    numbers: range,
    seed: int,
    on_decision: Callable[[int], None],
    recorder: "Recorder | None" = None,
    **options: "Unpack[RunOptions]",
) -> "list[DecisionsOverTime]":
    """Decide on the labelled intervals of the samples ``numbers``, as :func:`decide_samples` does.

    Raises:
        CliError: The intervals do not fit the network, or an option does not support them.
        NeuroasyncError: A sample exceeds a limit.
    """
    from neuroasync.runtime.over_time.decide import decide_over_time

    try:
        return decide_over_time(
            bundle, spikes[numbers.start : numbers.stop], seed=seed, first=numbers.start,
            on_decision=on_decision, recorder=recorder, **options,
        )  # fmt: skip
    except NeuroasyncError:
        raise
    except ValueError as error:
        raise CliError(str(error)) from error


async def decide_samples(
    network: "Network",
    spikes: "SpikeTrains",
    numbers: range,
    seed: int,
    recorder: "Recorder | None" = None,
    on_decision: Callable[[int], None] = lambda done: None,
    duration_us: int | None = None,
) -> "list[Decision]":
    """Decide on the samples ``numbers`` on all cores, each with ``sample_seed(seed, number)``.

    Opens and closes ``network``.

    Cancellation: safe. The network is closed, and no task is left.

    Args:
        network: A network that is not open yet.
        spikes: All samples of the file.
        numbers: Numbers of the samples to run.
        seed: Seed of 64 bits.
        recorder: Recorder of every sample, if the run is to be recorded.
        on_decision: Called with the number of decisions made so far.
        duration_us: Length of each sample, µs. None means that of the network.

    Returns:
        One decision per sample, in the order of ``numbers``.
    """
    async with network:
        return await network.decide_all(
            spikes[numbers.start : numbers.stop],
            seed=seed,
            first=numbers.start,
            recorder=recorder,
            on_decision=on_decision,
            duration_us=duration_us,
        )
