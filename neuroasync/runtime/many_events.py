"""Validates and sorts large numbers of events in a thread, beside the event loop.

Checking, copying and sorting a million events takes tens of milliseconds. NumPy does it for arrays
without holding the interpreter's lock, so that the event loop keeps running meanwhile. Converting
a list to an array holds the lock, and takes about 30 ms for a million integers.
"""

import asyncio
from typing import Final

from neuroasync.core.events.input_buffer import MergedEvents
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.runtime.sample_runner import SampleRunner

__all__ = ["are_many", "prepare_in_thread"]

_MANY: Final = 20_000
"""Number of events from which a thread is used. Fewer take less than a time slice."""


def are_many(events: Events) -> bool:
    """Return whether it takes longer than a time slice to prepare ``events``."""
    if isinstance(events, SpikeTrain):
        return len(events) >= _MANY
    try:
        return len(events[0]) >= _MANY  # type: ignore[arg-type]  # ArrayLike may be a scalar
    except (TypeError, LookupError):
        return False  # the events are invalid; checking them says why


async def prepare_in_thread(
    runner: SampleRunner, events: Events, duration_us: int | None
) -> tuple[SpikeTrain, int, MergedEvents]:
    """Validate events for :meth:`SampleRunner.accept`; no other call may use the runner meanwhile.

    Cancellation: nothing was accepted or counted. The thread ends on its own, some milliseconds
    later, and its result is dropped; this also applies if the network closes meanwhile.

    Returns:
        What :meth:`SampleRunner.check_events` and :meth:`SampleRunner.merged` return.

    Raises:
        EventsError, LimitError, ValueError: see :meth:`SampleRunner.check_events`.
    """
    try:
        return await asyncio.to_thread(_prepare, runner, events, duration_us)
    except Exception as error:
        runner.refuse(events, error)
        raise


def _prepare(
    runner: SampleRunner, events: Events, duration_us: int | None
) -> tuple[SpikeTrain, int, MergedEvents]:
    train, end_us = runner.validate(events, duration_us)
    return train, end_us, runner.merged(train)
