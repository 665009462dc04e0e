"""Fixtures of the runtime's tests."""

import pytest

from neuroasync.runtime import time_slice


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until the test moves it."""

    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(time_slice, "time", clock)
    return clock
