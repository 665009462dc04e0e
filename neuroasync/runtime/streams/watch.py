"""Yields the provisional decisions of one sample, and then its decision."""

from collections.abc import AsyncGenerator, AsyncIterable

from neuroasync.core.durations import Duration
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import Events
from neuroasync.runtime.input.many_events import are_many
from neuroasync.runtime.sample_ownership import Lease, Owner, SampleOwnership
from neuroasync.runtime.sample_runner import SampleRunner

__all__ = ["watch_sample"]


async def watch_sample(
    runner: SampleRunner,
    ownership: SampleOwnership,
    events: Events | AsyncIterable[Events],
    duration: Duration | None,
) -> AsyncGenerator[Decision, None]:
    """Yield a provisional decision whenever another class leads, then the decision.

    Cancellation: the sample is abandoned.

    Args:
        runner: runs the sample.
        ownership: says who may use the sample; asked when the first decision is awaited.
        events: the complete sample, or an async source of its chunks.
        duration: length of the sample, µs or such as ``"20ms"``. Defaults to the bundle's; if it
            has none, the sample ends with its last event.
    """
    duration_us = runner.length_us(duration)
    lease = ownership.acquire(Owner.WATCH)
    runner.simulator.watch()
    try:
        if not isinstance(events, AsyncIterable):
            await _accept(runner, lease, events, duration_us)
        elif not runner.simulator.is_stopped:
            async for chunk in events:
                lease.check()
                await _accept(runner, lease, chunk, duration_us)
                while await _run_to_new_leader(runner, lease, runner.ready_until_us()):
                    yield runner.provisional()
                if runner.simulator.is_stopped:
                    break
            lease.check()
        end_us = runner.input.last_pass_us(duration_us)
        while await _run_to_new_leader(runner, lease, end_us):
            yield runner.provisional()
        decision = runner.finish(duration_us)
        lease.release()
        yield decision
    finally:
        lease.abandon()


async def _accept(
    runner: SampleRunner, lease: Lease, events: Events, duration_us: int | None
) -> None:
    if are_many(events):
        with lease.reserve():
            events = await runner.input.train_of_many(events)
    runner.accept(runner.input.checked_sample(events, duration_us)[0])


async def _run_to_new_leader(runner: SampleRunner, lease: Lease, end_us: int) -> bool:
    with lease:
        return await runner.run_to_new_leader(end_us)
