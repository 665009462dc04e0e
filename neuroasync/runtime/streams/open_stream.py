"""Decides a stream on a session: checks its options and takes over the sample."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from typing import NamedTuple

from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.events.segmenter import Segmenter
from neuroasync.core.events.spike_train import Events
from neuroasync.core.events.window import Window, parse_window
from neuroasync.runtime.clock import Clock, VirtualClock
from neuroasync.runtime.sample_ownership import Lease, Owner, SampleOwnership
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.streams.driver import StreamDriver
from neuroasync.runtime.streams.late_events import Late
from neuroasync.runtime.streams.stream import stream_by_clock, stream_samples, stream_unpaced
from neuroasync.runtime.streams.stream_clock import StreamClock

__all__ = ["StreamOptions", "decide_stream"]


class StreamOptions(NamedTuple):
    """Options of a stream; see :meth:`neuroasync.Session.stream`."""

    window: str | Window | None
    carry_state: bool | None
    late: Late
    jitter_buffer_us: Duration


async def decide_stream(
    runner: SampleRunner,
    ownership: SampleOwnership,
    clock: Clock,
    source: AsyncIterable[Events] | Iterable[Events],
    options: StreamOptions,
) -> AsyncGenerator[Decision, None]:
    """Take over the sample of a session for a stream, and yield its decisions.

    Cancellation: the current sample is abandoned.

    Args:
        runner: runs the session's samples.
        ownership: says who may use them.
        clock: the clock that paces a stream with a window.
        source: yields samples, or chunks of the stream in order of time.
        options: as for :meth:`neuroasync.Session.stream`.

    Raises:
        Exception: as :meth:`neuroasync.Session.stream`.
    """
    lease, decisions = _open_stream(runner, ownership, clock, source, options)
    try:
        async with aclosing(decisions):
            async for decision in decisions:
                yield decision
    finally:
        lease.abandon()


def _open_stream(
    runner: SampleRunner,
    ownership: SampleOwnership,
    clock: Clock,
    source: AsyncIterable[Events] | Iterable[Events],
    options: StreamOptions,
) -> tuple[Lease, AsyncGenerator[Decision, None]]:
    """Return the lease of a stream, and its decisions.

    Raises:
        ValueError: an option is invalid, or does not fit the restored stream. Nothing changed.
        RuntimeError: the session is busy, or the network is open in another event loop.
        ClosedError: the session is closed.
    """
    jitter_us = microseconds(options.jitter_buffer_us, "jitter_buffer_us")
    restored = ownership.lease.restored
    if options.window is None:
        _check_windowless(options, jitter_us)
        if restored is not None:
            restored.check(None, False, True)  # raises, because that stream has a window
        lease = ownership.acquire(Owner.STREAM)
        return lease, stream_samples(runner, lease, source)
    segmenter, stream_clock, carries = _prepare(runner, clock, options.window, options, jitter_us)
    is_unpaced = isinstance(clock, VirtualClock)
    if restored is not None:
        restored.check(segmenter.window, carries, not is_unpaced)
    lease = ownership.acquire(Owner.STREAM)
    driver = StreamDriver(runner, lease, segmenter, stream_clock, carries, not is_unpaced, restored)
    lease.stream = driver
    if is_unpaced:
        return lease, stream_unpaced(driver, source)
    return lease, stream_by_clock(driver, source, runner.start_task)


def _check_windowless(options: StreamOptions, jitter_us: int) -> None:
    """Raise ValueError if an option is given that only has a meaning with a window."""
    if options.late != "merge" or jitter_us or options.carry_state:
        raise ValueError(
            "`carry_state`, `late` and `jitter_buffer_us` need a `window`; give one, or leave "
            "them out"
        )


def _prepare(
    runner: SampleRunner,
    clock: Clock,
    window: str | Window,
    options: StreamOptions,
    jitter_us: int,
) -> tuple[Segmenter, StreamClock, bool]:
    """Return segmenter, clock, and whether windows carry state; raise as :func:`_open_stream`."""
    plan = runner.simulator.plan
    timestep_us = plan.packed.model.timestep_us
    carries = _resolve_carry_state(options.carry_state, plan, runner.is_recording)
    segmenter = Segmenter(parse_window(window), timestep_us, carries)
    _check_window_ends(segmenter.window, plan)
    stream_clock = StreamClock(clock, timestep_us, options.late, runner.counts, jitter_us)
    return segmenter, stream_clock, carries


def _resolve_carry_state(carry_state: bool | None, plan: ExecutionPlan, is_recording: bool) -> bool:
    """Return whether windows carry state: ``carry_state``, or the network's default if None.

    Raises:
        ValueError: ``carry_state`` is no bool, or windows carry state in a recording session.
    """
    if carry_state is not None and not isinstance(carry_state, bool):
        raise ValueError(f"`carry_state` must be True, False or None, got {carry_state!r:.80}")
    carries = plan.packed.max_delayed_fan_out > 0 if carry_state is None else carry_state
    if carries and is_recording:
        raise ValueError(
            "a recording session cannot carry state from window to window, because a replay "
            "starts every sample from rest; use carry_state=False"
        )
    return carries


def _check_window_ends(window: Window, plan: ExecutionPlan) -> None:
    """Raise ValueError if the stop rule has to end the window but never fires."""
    if window.name == "decided" and plan.run.until == StopRule("quiet"):
        raise ValueError(
            "window 'decided' never ends with until='quiet'; use a stop rule such as "
            "until='margin(3)'"
        )
