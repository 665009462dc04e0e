"""Opens a stream on a session: checks its options and takes over the sample."""

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.events.segmenter import Segmenter
from neuroasync.core.events.window import Window, parse_window
from neuroasync.core.snapshot.stream_snapshot import StreamState
from neuroasync.runtime.clock import Clock, VirtualClock
from neuroasync.runtime.sample_ownership import Lease, Owner, SampleOwnership
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.streams.driver import StreamDriver
from neuroasync.runtime.streams.late_events import Late
from neuroasync.runtime.streams.stream_clock import StreamClock

__all__ = ["check_windowless", "open_stream"]


def check_windowless(carry_state: bool | None, late: Late, jitter_buffer_us: int) -> None:
    """Raise ValueError if an option is given that only has a meaning with a window."""
    if late != "merge" or jitter_buffer_us or carry_state:
        raise ValueError(
            "`carry_state`, `late` and `jitter_buffer_us` need a `window`; give one, or leave "
            "them out"
        )


def open_stream(
    runner: SampleRunner,
    ownership: SampleOwnership,
    clock: Clock,
    state: StreamState | None,
    window: str | Window,
    carry_state: bool | None,
    late: Late,
    jitter_buffer_us: int,
) -> tuple[Lease, StreamDriver]:
    """Take over the sample of a session for a stream with a window.

    Args:
        runner: runs the session's samples.
        ownership: says who may use them.
        clock: the clock that paces the stream.
        state: the state of a restored stream to continue from; None to begin a new stream.
        window: as for :meth:`neuroasync.Session.stream`.
        carry_state: as for :meth:`neuroasync.Session.stream`.
        late: as for :meth:`neuroasync.Session.stream`.
        jitter_buffer_us: as for :meth:`neuroasync.Session.stream`.

    Raises:
        ValueError: an option is invalid, or does not fit ``state``. Nothing changed.
        RuntimeError: the session is busy.
        ClosedError: the session is closed.
    """
    plan = runner.simulator.plan
    timestep_us = plan.packed.model.timestep_us
    carries = _resolve_carry_state(carry_state, plan, runner.is_recording)
    segmenter = Segmenter(parse_window(window), timestep_us, carries)
    _check_window_ends(segmenter.window, plan)
    stream_clock = StreamClock(clock, timestep_us, late, runner.counts, jitter_buffer_us)
    if state is not None:
        state.check(segmenter.window, carries, not isinstance(clock, VirtualClock))
    lease = ownership.acquire(Owner.STREAM)
    return lease, StreamDriver(runner, lease, segmenter, stream_clock, carries, state)


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
