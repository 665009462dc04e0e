"""What a sample is charged for: CPU time of its thread, however it is measured."""

import itertools
import time
from types import SimpleNamespace

import pytest

import neuroasync as na
from neuroasync.runtime import scheduler
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()
SAMPLE = sample(seed=0)


@pytest.fixture(autouse=True)
def _one_call(monkeypatch):
    """Let the sample end in its first call, although the speed is not known."""
    monkeypatch.setattr(TimeSlice, "work", lambda _: 10**9)


def set_clocks(monkeypatch, **clocks):
    """Replace clocks of the scheduler."""
    real = {"perf_counter": time.perf_counter, "thread_time": time.thread_time}
    monkeypatch.setattr(scheduler, "time", SimpleNamespace(**real | clocks))


def steps(step_s):
    """Return a clock that moves whenever it is read."""
    readings = itertools.count()
    return lambda: 1000.0 + step_s * next(readings)


async def decide(max_cpu_s):
    """Decide a sample with a limit."""
    async with na.Network(BUNDLE) as network, network.session(max_cpu_s=max_cpu_s) as session:
        return await session.decide(SAMPLE)


async def test_time_in_which_other_processes_ran_is_not_charged(monkeypatch, no_leaks):
    set_clocks(monkeypatch, perf_counter=steps(10.0))
    assert (await decide(5.0)).passes


async def test_cpu_time_of_a_long_call_is_charged(monkeypatch, no_leaks):
    set_clocks(monkeypatch, perf_counter=steps(10.0), thread_time=steps(10.0))
    with pytest.raises(na.CpuTimeLimitError):
        await decide(5.0)


async def test_short_call_is_charged_without_the_clock_of_the_thread(monkeypatch, no_leaks):
    set_clocks(monkeypatch, perf_counter=steps(5e-4), thread_time=None)
    assert (await decide(1e-2)).passes
    with pytest.raises(na.CpuTimeLimitError):
        await decide(1e-4)
