"""Fixtures of the runtime's tests."""

import threading

import pytest

from neuroasync.runtime.cpu_time import cpu_account, time_slice
from neuroasync.runtime.input import many_events
from tests.helpers.time_slices import end_after_each_step


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until the test moves it."""

    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

        thread_time = perf_counter

    clock = Clock()
    for module in (cpu_account, time_slice):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def paused_check(monkeypatch):
    """Hold the check of many events in its thread until the test sets the second event."""
    began, may_end = threading.Event(), threading.Event()
    as_train = many_events.as_train

    def checked(events):
        began.set()
        assert may_end.wait(30)
        return as_train(events)

    monkeypatch.setattr(many_events, "as_train", checked)
    yield began, may_end
    may_end.set()


@pytest.fixture(params=["coroutines", "compiled"])
def engine(request, monkeypatch):
    """Each engine, with a time slice that ends after every forward step, so it yields often."""
    end_after_each_step(monkeypatch)
    return request.param
