"""Sessions share one time slice per turn of the event loop."""

import asyncio
import gc
import weakref

import pytest

from neuroasync.errors import CpuTimeLimitError
from neuroasync.runtime.cpu_time import time_slice
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount, check_max_cpu
from neuroasync.runtime.cpu_time.time_slice import TimeSlice


async def test_time_slice_is_exhausted_when_its_time_has_passed(clock):
    t = TimeSlice.of_running_loop()
    assert not t.is_exhausted()
    clock.now += time_slice.SLICE_S / 2
    assert not t.is_exhausted()
    clock.now += time_slice.SLICE_S
    assert t.is_exhausted()


async def test_session_may_begin_within_a_grace_period_unless_others_wait(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    assert not t.must_wait()
    clock.now += 1.5 * time_slice.SLICE_S
    assert t.is_exhausted()
    assert not t.must_wait()
    assert not t.is_contended
    waits = asyncio.create_task(t.wait_turn())
    await asyncio.sleep(0)
    assert t.must_wait()
    assert t.is_contended
    await waits
    assert not t.must_wait()
    assert not t.is_contended
    clock.now += 2.5 * time_slice.SLICE_S
    assert t.must_wait()


def test_used_time_counts_less_the_longer_ago_it_was(clock):
    old, new = CpuAccount(), CpuAccount()
    old.charge(1e-3)
    clock.now += 20.0
    new.charge(6e-4)
    assert old.rank() < new.rank()


def test_sample_may_use_its_maximum_of_cpu_time_and_no_more(clock):
    account = CpuAccount(0.5)
    account.charge(0.25)
    account.charge(0.25)
    with pytest.raises(CpuTimeLimitError, match=r"more than 0\.5 s"):
        account.charge(0.25)
    account.begin_sample()
    account.charge(0.5)
    assert check_max_cpu(0.5) == 0.5


async def test_speed_falls_at_once_and_rises_little_by_little(clock):
    t = TimeSlice(1.0)
    assert not t.is_exhausted()
    before = t.work()
    t.measured(before // 10, 0.25)
    assert t.work() == pytest.approx(before / 10, rel=1e-3)
    t.measured(before, 0.25)
    # The speed was not overestimated, so the call may take twice the share of the slice.
    assert t.work() == pytest.approx(2 * (before / 10 + before * 0.9 / 8), rel=1e-3)


async def test_calls_take_a_whole_slice_once_the_speed_is_known(clock):
    t = TimeSlice(1.0)
    assert not t.is_exhausted()
    assert t.work() == pytest.approx(0.25e8)
    t.measured(10**7, 0.1)
    assert t.work() == pytest.approx(0.5e8)
    t.measured(10**7, 0.1)
    assert t.work() == pytest.approx(1e8)
    t.measured(10**7, 0.2)  # the estimate was wrong
    assert t.work() == pytest.approx(0.25 * 0.5e8)


async def test_lonely_session_yields_one_turn_of_the_loop_for_each_slice(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await asyncio.sleep(0)
    before = turns
    for _ in range(10):
        assert not t.is_exhausted()
        clock.now += 2 * time_slice.SLICE_S
        await t.wait_turn(CpuAccount())
    counting.cancel()
    assert turns - before == 10


async def test_lonely_session_alternates_with_one_that_comes_later(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    order = []

    async def session(name):
        for _ in range(4):
            if t.must_wait():
                await t.wait_turn(CpuAccount())
            order.append(name)
            clock.now += 3 * time_slice.SLICE_S

    async def late():
        await asyncio.sleep(0)
        await session("b")

    await asyncio.gather(session("a"), late())
    # "a" yields already for its third turn when "b" comes; from then on, they alternate.
    assert "".join(order) == "aaababbb"


async def test_cancelled_lonely_session_keeps_nobody_waiting(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    waits = asyncio.create_task(t.wait_turn(CpuAccount()))
    await asyncio.sleep(0)
    waits.cancel()
    assert t.must_wait()
    with pytest.raises(asyncio.CancelledError):
        await waits
    assert not t.must_wait()


async def test_sessions_share_one_slice_and_take_turns_in_order(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    order = []

    async def session(name):
        for step in range(3):
            while t.is_exhausted():
                await t.wait_turn(CpuAccount())
            order.append((name, step))
            clock.now += 2 * time_slice.SLICE_S  # each step uses the whole turn

    await asyncio.gather(*(session(name) for name in "abc"))
    assert sorted(order) == [(name, step) for name in "abc" for step in range(3)]
    assert (
        "".join(name for name, _ in order) == "aabcabcbc"
    )  # The session that has waited longest runs first.


async def test_short_sessions_share_one_time_slice(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    turn, order = 0, []

    async def session(name):
        await t.wait_turn(CpuAccount())
        order.append((turn, name))
        clock.now += time_slice.SLICE_S * 0.3

    async def count_turns():
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await asyncio.gather(*(session(name) for name in range(40)))
    counting.cancel()
    # A session that is woken after the slice has been used up keeps its place in the queue.
    assert [name for _, name in order] == list(range(40))
    taken = [at for at, _ in order]
    sizes = [taken.count(at) for at in sorted(set(taken))]
    assert max(sizes) == 4  # As many sessions as fit into one slice.
    assert sizes[2:-1] == [4] * len(sizes[2:-1])


async def test_waiting_sessions_are_served_first_come_first_served(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    order = []

    async def session(name):
        if t.must_wait():
            await t.wait_turn(CpuAccount())
        order.append(name)
        clock.now += 2 * time_slice.SLICE_S

    first = [asyncio.create_task(session(name)) for name in "abc"]
    await asyncio.sleep(0)
    later = [asyncio.create_task(session(name)) for name in "de"]
    await asyncio.gather(*first, *later)
    assert "".join(order) == "abcde"


async def test_session_with_little_use_overtakes_any_number_of_busy_ones(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    served = []

    async def busy(name):
        account = CpuAccount()
        while True:
            await t.wait_turn(account)
            served.append(name)
            clock.now += 2 * time_slice.SLICE_S
            account.charge(2 * time_slice.SLICE_S)

    tasks = [asyncio.create_task(busy(k)) for k in range(500)]
    while len(served) < 1000:
        await asyncio.sleep(0)
    light = CpuAccount()
    for _ in range(20):
        before = len(served)
        await t.wait_turn(light)
        assert len(served) - before <= 2
        light.charge(time_slice.SLICE_S / 100)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_busy_session_gets_half_of_the_turns_beside_ever_new_sessions(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    served = []

    async def new():
        await t.wait_turn(CpuAccount())
        served.append("new")
        clock.now += 2 * time_slice.SLICE_S
        tasks.append(asyncio.create_task(new()))

    async def busy():
        account = CpuAccount()
        for _ in range(50):
            await t.wait_turn(account)
            served.append("busy")
            clock.now += 2 * time_slice.SLICE_S
            account.charge(2 * time_slice.SLICE_S)

    tasks = [asyncio.create_task(new())]
    await busy()
    assert served.count("new") <= 2 * served.count("busy")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_queues_do_not_grow_with_the_number_of_turns(clock, no_leaks):
    t = TimeSlice.of_running_loop()

    async def busy(use_s):
        account = CpuAccount()
        for _ in range(300):
            await t.wait_turn(account)
            clock.now += time_slice.SLICE_S
            account.charge(use_s)
            assert len(t._queue) < 200

    await asyncio.gather(*(busy(0.001 * k) for k in range(10)))
    assert not len(t._queue)


async def test_other_tasks_run_between_two_time_slices(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    beats = 0

    async def heartbeat():
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    heart = asyncio.create_task(heartbeat())
    await asyncio.sleep(0)
    for expected in range(20):
        assert beats >= expected
        clock.now += 2 * time_slice.SLICE_S
        t.is_exhausted()
        await t.wait_turn(CpuAccount())
    heart.cancel()
    with pytest.raises(asyncio.CancelledError):
        await heart


async def test_cancelled_wait_passes_its_turn_on(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    t.is_exhausted()
    first = asyncio.create_task(t.wait_turn(CpuAccount()))
    second = asyncio.create_task(t.wait_turn(CpuAccount()))
    await asyncio.sleep(0)
    first.cancel()
    async with asyncio.timeout(1):
        await second
    assert first.cancelled()


def test_each_event_loop_has_its_own_time_slice():
    async def turns_of_loop():
        return TimeSlice.of_running_loop()

    assert asyncio.run(turns_of_loop()) is not asyncio.run(turns_of_loop())


def test_time_slice_does_not_keep_its_event_loop_alive():
    async def loop_that_took_turns():
        t = TimeSlice.of_running_loop()
        t.is_exhausted()
        await t.wait_turn(CpuAccount())
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(loop_that_took_turns())
    gc.collect()
    assert loop() is None
