"""Time slices that end as early as possible, so that sessions yield often."""

import pytest

from neuroasync.runtime import scheduler
from neuroasync.runtime.cpu_time.time_slice import TimeSlice

__all__ = ["end_after_each_step"]


def end_after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each slice end after one forward step, however fast the machine is."""
    monkeypatch.setattr(TimeSlice, "is_exhausted", lambda self: True)
    monkeypatch.setattr(TimeSlice, "work", lambda self: 1)
    # Coroutines would run many steps before they look at the clock.
    monkeypatch.setattr(scheduler, "_LEAST_WORK", 1)
    monkeypatch.setattr(TimeSlice.__init__, "__defaults__", (0.0, 0.0))  # slices of no length
