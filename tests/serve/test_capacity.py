"""The capacity limiter shares capacity fairly, serves waiters in turn and loses nothing."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync import QueueFullError
from neuroasync.serve.capacity import CapacityLimiter, CapacityShare


def free(limiter):
    """Return the free capacity of a limiter: (samples, events)."""
    return limiter.free_samples, limiter.free_events


async def test_capacity_is_acquired_and_released():
    limiter = CapacityLimiter(4, 20)
    share = CapacityShare(limiter, 2, 20)
    assert share.acquire_nowait(1, 4)
    assert not share.acquire_nowait(2, 0)  # the share may hold two samples
    assert not share.acquire_nowait(0, 13)  # it would hold 17, and 16 are free
    assert await share.acquire(1, 6)
    assert (share.samples, share.events) == (2, 10)
    assert free(limiter) == (2, 10)
    share.release(2, 10)
    assert free(limiter) == (4, 20)


def test_shares_that_take_all_they_can_leave_capacity_for_a_new_one():
    limiter = CapacityLimiter(100, 1000)
    greedy = [CapacityShare(limiter, 50, 500) for _ in range(20)]
    for _ in range(50):
        for share in greedy:
            share.acquire_nowait(1, 10)
    held = [share.samples for share in greedy]
    assert max(held) - min(held) <= 1
    assert CapacityShare(limiter).acquire_nowait(1, 10)


async def test_waiters_are_served_first_come_first_served(no_leaks):
    limiter = CapacityLimiter(3, 10)
    first = CapacityShare(limiter)
    assert first.acquire_nowait(1, 8)
    served = []

    async def acquire(name, events):
        await CapacityShare(limiter).acquire(1, events)
        served.append(name)

    waiters = [asyncio.create_task(acquire("large", 9)), asyncio.create_task(acquire("small", 1))]
    await asyncio.sleep(0)
    assert not CapacityShare(limiter).acquire_nowait(0, 1)  # it would fit, but others came first
    first.release(1, 8)
    await asyncio.gather(*waiters)
    assert served == ["large", "small"]
    assert free(limiter) == (1, 0)


async def test_share_that_holds_nothing_is_served_before_those_that_do(no_leaks):
    limiter = CapacityLimiter(4, 100)
    held, holding, new = (CapacityShare(limiter) for _ in range(3))
    assert held.acquire_nowait(3, 1)
    assert holding.acquire_nowait(1, 1)
    served = []

    async def acquire(name, share):
        await share.acquire(1, 1)
        served.append(name)

    waiters = [asyncio.create_task(acquire("holding", holding))]
    await asyncio.sleep(0)
    waiters.append(asyncio.create_task(acquire("new", new)))
    await asyncio.sleep(0)
    held.release(3, 1)
    await asyncio.gather(*waiters)
    assert served == ["new", "holding"]


async def test_request_above_the_limits_of_its_share_holds_up_no_other(no_leaks):
    limiter = CapacityLimiter(10, 100)
    full, other = CapacityShare(limiter, 1, 100), CapacityShare(limiter)
    assert full.acquire_nowait(1, 1)
    waiting = asyncio.create_task(full.acquire(1, 1))
    await asyncio.sleep(0)
    assert other.acquire_nowait(1, 1)
    full.release(1, 1)
    assert await waiting


@pytest.mark.parametrize(("samples", "events"), [(1, 0), (0, 1)])
async def test_any_held_capacity_makes_a_share_wait_behind_new_ones(samples, events, no_leaks):
    limiter = CapacityLimiter(4, 100)
    one, two, three, holding, new = (CapacityShare(limiter) for _ in range(5))
    assert one.acquire_nowait(2, 0)
    assert two.acquire_nowait(1, 0)
    assert three.acquire_nowait(1 - samples, 0)
    assert holding.acquire_nowait(samples, events)
    order = []

    async def acquire(name, share):
        await share.acquire(1, 1)
        order.append(name)

    waiters = [asyncio.create_task(acquire("holding", holding))]
    await asyncio.sleep(0)
    waiters.append(asyncio.create_task(acquire("new", new)))
    await asyncio.sleep(0)
    assert not order
    two.release(1, 0)
    one.release(2, 0)
    await asyncio.gather(*waiters)
    assert order == ["new", "holding"]


@pytest.mark.parametrize("is_holding", [False, True])
async def test_cancelled_request_lets_those_behind_it_go(is_holding, no_leaks):
    limiter = CapacityLimiter(10, 12)
    holder, large, small = (CapacityShare(limiter) for _ in range(3))
    assert holder.acquire_nowait(0, 6)
    if is_holding:
        assert large.acquire_nowait(0, 1)
        assert small.acquire_nowait(0, 1)
    first = asyncio.create_task(large.acquire(0, 7))
    second = asyncio.create_task(small.acquire(0, 1))
    await asyncio.sleep(0)
    assert not second.done()
    first.cancel()
    async with asyncio.timeout(1):
        assert await second
    await asyncio.gather(first, return_exceptions=True)


def test_share_with_all_its_samples_may_hold_more_events():
    share = CapacityShare(CapacityLimiter(10, 100), 1, 50)
    assert share.acquire_nowait(1, 1)
    assert share.hold_nowait(1)
    assert not share.hold_nowait(49)


async def test_request_can_be_let_through_without_capacity(no_leaks):
    limiter = CapacityLimiter(1, 10)
    holder, share = CapacityShare(limiter), CapacityShare(limiter)
    assert holder.acquire_nowait(1, 0)
    share.let_through(10)  # nothing waits
    waiting = asyncio.create_task(share.acquire(1, 5))
    await asyncio.sleep(0)
    share.let_through(4)  # too few
    await asyncio.sleep(0)
    assert not waiting.done()
    share.let_through(5)
    assert await waiting is False
    assert (share.samples, share.events) == (0, 0)
    holder.release(1, 0)
    assert free(limiter) == (1, 10)


@pytest.mark.parametrize("ticks", range(5))
async def test_cancelled_waiter_acquires_nothing_and_does_not_block_others(ticks, no_leaks):
    limiter = CapacityLimiter(1, 10)
    holder, one, two = (CapacityShare(limiter) for _ in range(3))
    assert holder.acquire_nowait(1, 10)
    first = asyncio.create_task(one.acquire(1, 10))
    second = asyncio.create_task(two.acquire(1, 3))
    for _ in range(2):
        await asyncio.sleep(0)
    if ticks % 2:
        holder.release(1, 10)
    for _ in range(ticks // 2):
        await asyncio.sleep(0)
    if first.cancel():
        with pytest.raises(asyncio.CancelledError):
            await first
    elif first.done():
        one.release(1, 10)
    if not ticks % 2:
        holder.release(1, 10)
    await second
    assert free(limiter) == (0, 7)


async def test_of_requests_that_are_too_large_together_the_largest_is_refused(no_leaks):
    limiter = CapacityLimiter(1, 100, max_waiting_bytes=100)
    first = CapacityShare(limiter)
    assert first.acquire_nowait(1, 10)
    sizes = {"a": 30, "b": 40, "c": 40, "d": 20}
    waiting = {}
    for name, size in sizes.items():
        waiting[name] = asyncio.create_task(CapacityShare(limiter).acquire(1, 1, size))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [name for name, task in waiting.items() if task.done()] == ["c"]  # the last of two
    with pytest.raises(QueueFullError, match="the queue of the server is full"):
        await waiting["c"]
    too_large = CapacityShare(limiter)
    with pytest.raises(QueueFullError):
        await too_large.acquire(1, 1, 101)
    waiting["b"].cancel()
    await asyncio.sleep(0)
    later = asyncio.create_task(CapacityShare(limiter).acquire(1, 1, 50))
    await asyncio.sleep(0)
    assert not later.done()  # what was refused or cancelled no longer counts
    first.release(1, 10)
    assert await waiting["a"]
    for task in (waiting["d"], later):
        task.cancel()
    await asyncio.sleep(0)
    assert free(limiter) == (0, 99)


ACTIONS = st.tuples(
    st.sampled_from(("acquire", "release", "cancel", "let through", "tick")),
    st.integers(0, 3),
    st.integers(0, 1),
    st.integers(0, 7),
)


@settings(deadline=None, max_examples=200)
@given(steps=st.lists(ACTIONS, max_size=60))
def test_no_capacity_is_lost_and_no_request_waits_forever(steps):
    async def run():
        limiter = CapacityLimiter(4, 12, max_waiting_bytes=10)
        shares = [CapacityShare(limiter, 2, 8) for _ in range(4)]
        waiting = {}

        async def acquire(share, samples, events):
            with contextlib.suppress(QueueFullError):
                if await share.acquire(samples, events, events):
                    held.append((share, samples, events))

        held = []
        for action, k, samples, events in steps:
            if action == "acquire" and (k not in waiting or waiting[k].done()):
                waiting[k] = asyncio.create_task(acquire(shares[k], samples, events))
            elif action == "release" and held:
                share, *amount = held.pop(k % len(held))
                share.release(*amount)
            elif action == "cancel" and k in waiting:
                waiting[k].cancel()
            elif action == "let through":
                shares[k].let_through(events)
            await asyncio.sleep(0)
            assert free(limiter) == (
                4 - sum(share.samples for share in shares),
                12 - sum(share.events for share in shares),
            )
            assert min(free(limiter)) >= 0
        while not all(task.done() for task in waiting.values()):
            while held:
                share, *amount = held.pop()
                share.release(*amount)
            await asyncio.sleep(0)
        while held:
            share, *amount = held.pop()
            share.release(*amount)
        assert free(limiter) == (4, 12)

    asyncio.run(run())
