"""Samples of a spike file through the asyncio runtime, one after the other."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from neuroasync.cli.exit_codes import CliError
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recorder import Recorder
from neuroasync.runtime.network import Network

__all__ = ["check_fit", "decide_samples", "run_in_loop", "targets_of"]

T = TypeVar("T")


def run_in_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` in an event loop of its own: uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def check_fit(bundle: Bundle, spikes: SpikeTrains) -> None:
    """Raise CliError unless the network reads such input and knows its labels."""
    reads = bundle.model.input_shape
    found, read = (tuple(n for n in shape if n > 1) for shape in (spikes.shape, reads))
    is_flat = len(found) <= 1 or len(read) <= 1  # says nothing of rows and columns
    if math.prod(found) != math.prod(read) or not (is_flat or found == read):
        raise CliError(
            f"the events have an input of shape {spikes.shape}, the network reads {reads}"
        )
    outputs = bundle.model.populations[bundle.model.index(bundle.model.output)].size
    if spikes.labels is not None and spikes.labels.size and spikes.labels.max() >= outputs:
        raise CliError(
            f"the events have labels up to {spikes.labels.max()}, the network has classes "
            f"0 to {outputs - 1}"
        )


def targets_of(spikes: SpikeTrains, numbers: range) -> list[int] | None:
    """The right classes of these samples, where the file has them."""
    if spikes.labels is None:
        return None
    labels: list[int] = spikes.labels[numbers.start : numbers.stop].tolist()
    return labels


async def decide_samples(
    network: Network,
    spikes: SpikeTrains,
    numbers: range,
    seed: int,
    recorder: Recorder | None = None,
    on_decision: Callable[[int], None] = lambda done: None,
) -> list[Decision]:
    """Decide on samples ``numbers``, each with ``sample_seed(seed, number)``, on all cores.

    Opens and closes ``network``.

    Cancellation: safe; nothing is left behind.

    Args:
        network: not open yet.
        spikes: of the whole file.
        numbers: of the samples in it.
        seed: 64 bits.
        recorder: takes every sample, or None.
        on_decision: called with the number of decisions made so far.
    """
    async with network:
        return await network.decide_all(
            spikes[numbers.start : numbers.stop],
            seed=seed,
            first=numbers.start,
            recorder=recorder,
            on_decision=on_decision,
        )
