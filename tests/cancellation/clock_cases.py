"""Cases of clocks."""

import asyncio

import neuroasync as na
from tests.cancellation.suspensions import Cut, case


@case("RealTimeClock.sleep_until", "Clock.sleep_until")
async def sleep_in_real_time(cut: Cut) -> None:
    clock = na.RealTimeClock(speed=100.0)
    if not await cut(clock.sleep_until(500_000)):
        assert clock.now_us() >= 500_000
    await clock.sleep_until(clock.now_us() + 100_000)


@case("VirtualClock.sleep_until")
async def sleep_in_virtual_time(cut: Cut) -> None:
    clock = na.VirtualClock()
    other = asyncio.create_task(clock.sleep_until(9))
    await cut(clock.sleep_until(5))
    await other
    assert clock.now_us() == 9


@case("ManualClock.sleep_until")
async def sleep_by_a_manual_clock(cut: Cut) -> None:
    clock = na.ManualClock()
    other = asyncio.create_task(clock.sleep_until(9))
    advancing = asyncio.create_task(clock.advance(20))
    await cut(clock.sleep_until(5))
    await asyncio.wait([other, advancing])
    assert clock.now_us() == 20


@case("ManualClock.advance")
async def advance_a_manual_clock(cut: Cut) -> None:
    clock = na.ManualClock()
    sleepers = [asyncio.create_task(clock.sleep_until(t)) for t in (3, 6, 9)]
    await asyncio.sleep(0)
    await cut(clock.advance(10))
    woken = [sleeper.done() for sleeper in sleepers]
    assert woken == sorted(woken, reverse=True)
    await clock.advance(20)
    await asyncio.gather(*sleepers)
