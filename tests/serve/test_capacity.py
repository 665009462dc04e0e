"""The capacity limiter serves waiters in order and loses no capacity."""

import asyncio

import pytest

from neuroasync.serve.capacity import CapacityLimiter


def free(limiter):
    """Return the free capacity of a limiter: (samples, events)."""
    return limiter.free_samples, limiter.free_events


async def test_capacity_is_acquired_and_released():
    limiter = CapacityLimiter(2, 10)
    assert limiter.acquire_nowait(1, 4)
    assert not limiter.acquire_nowait(2, 0)
    assert not limiter.acquire_nowait(0, 7)
    await limiter.acquire(1, 6)
    assert free(limiter) == (0, 0)
    limiter.release(1, 10)
    assert free(limiter) == (1, 10)


async def test_waiters_are_served_first_come_first_served(no_leaks):
    limiter = CapacityLimiter(3, 10)
    assert limiter.acquire_nowait(1, 8)
    served = []

    async def acquire(name, events):
        await limiter.acquire(1, events)
        served.append(name)

    waiters = [asyncio.create_task(acquire("large", 9)), asyncio.create_task(acquire("small", 1))]
    await asyncio.sleep(0)
    assert not limiter.acquire_nowait(0, 1)  # it would fit, but others came first
    limiter.release(1, 8)
    await asyncio.gather(*waiters)
    assert served == ["large", "small"]
    assert free(limiter) == (1, 0)


@pytest.mark.parametrize("ticks", range(5))
async def test_cancelled_waiter_acquires_nothing_and_does_not_block_others(ticks, no_leaks):
    limiter = CapacityLimiter(1, 10)
    assert limiter.acquire_nowait(1, 10)
    first = asyncio.create_task(limiter.acquire(1, 10))
    second = asyncio.create_task(limiter.acquire(1, 3))
    for _ in range(2):
        await asyncio.sleep(0)
    if ticks % 2:
        limiter.release(1, 10)
    for _ in range(ticks // 2):
        await asyncio.sleep(0)
    if first.cancel():
        with pytest.raises(asyncio.CancelledError):
            await first
    elif first.done():
        limiter.release(1, 10)
    if not ticks % 2:
        limiter.release(1, 10)
    await second
    assert free(limiter) == (0, 7)


async def test_capacity_granted_to_a_waiter_that_is_cancelled_goes_to_the_next(no_leaks):
    limiter = CapacityLimiter(1, 10)
    assert limiter.acquire_nowait(1, 10)
    first, second = (asyncio.create_task(limiter.acquire(1, 10)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    limiter.release(1, 10)
    await second
    assert first.cancelled()
    assert free(limiter) == (0, 0)
