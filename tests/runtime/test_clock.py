"""A manual clock never goes back, and wakes the tasks that still wait, but no cancelled ones."""

import asyncio
import copy

import pytest

from neuroasync.runtime.clock import ManualClock, RealTimeClock
from tests.helpers.relay_streams import settle


async def test_cancelled_sleepers_neither_wake_nor_pile_up(no_leaks):
    clock = ManualClock()
    for _ in range(3):
        sleepers = [asyncio.create_task(clock.sleep_until(10 + k)) for k in range(100)]
        await asyncio.sleep(0)
        for sleeper in sleepers:
            sleeper.cancel()
        await asyncio.wait(sleepers)
    last = asyncio.create_task(clock.sleep_until(50))
    await asyncio.sleep(0)
    await clock.advance(60)
    await last
    assert clock.now_us() == 60


@pytest.mark.parametrize("speed", [0, -1.0, float("inf"), float("nan"), "fast", None])
def test_speed_must_be_a_finite_number_above_zero(speed):
    with pytest.raises(ValueError, match="`speed` must be a finite number above 0, got"):
        RealTimeClock(speed)


async def test_copy_of_a_manual_clock_has_its_time():
    clock = ManualClock()
    await clock.advance(70)
    assert copy.copy(clock).now_us() == 70


async def test_manual_clock_advanced_by_two_tasks_never_goes_back():
    clock = ManualClock()

    async def woken():
        await clock.sleep_until(1000)
        await clock.advance(5000)

    other = asyncio.create_task(woken())
    await settle()
    await clock.advance(2000)
    await other
    assert clock.now_us() == 6000
