"""The simulated loop: random order, virtual time, executor jobs, deadlocks."""

import asyncio
import time
from random import Random

import pytest

from tests.simulation.loop import DeadlockError, EndlessError, SimulatedLoop, simulated_time


def run(main, seed=0, **options):
    """Run a coroutine on a simulated loop and return its result."""
    loop = SimulatedLoop(Random(seed), **options)
    try:
        with simulated_time(loop):
            return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.before_step = lambda: None
        loop.call_soon(loop.stop)
        loop.steps = 0
        loop.run_forever()
        loop.close()


async def order_of_tasks():
    order = []

    async def work(k):
        for _ in range(3):
            order.append(k)
            await asyncio.sleep(0)

    await asyncio.gather(*(work(k) for k in range(4)))
    return tuple(order)


def test_each_seed_has_its_own_order_and_keeps_it():
    orders = [run(order_of_tasks(), seed) for seed in range(20)]
    assert len(set(orders)) > 15
    assert orders == [run(order_of_tasks(), seed) for seed in range(20)]


def test_callbacks_keep_the_order_in_which_they_were_scheduled():
    async def main():
        calls = []
        for k in range(20):
            asyncio.get_running_loop().call_soon(calls.append, k)
        while len(calls) < 20:
            await asyncio.sleep(0)
        return calls

    assert run(main()) == list(range(20))


def test_timers_take_no_real_time_and_fire_in_order():
    async def main():
        loop, fired = asyncio.get_running_loop(), []
        began_s = loop.time()
        for delay_s in (3e6, 1e6, 2e6):
            loop.call_later(delay_s, fired.append, delay_s)
        loop.call_later(1.5e6, fired.append, 0).cancel()
        await asyncio.sleep(4e6)
        return fired, loop.time() - began_s

    assert run(main()) == ([1e6, 2e6, 3e6], 4e6)


def test_clocks_follow_the_loop_and_may_advance_when_they_are_read():
    async def main():
        readings = [time.monotonic() for _ in range(100)]
        return readings == sorted(readings), readings[-1] > readings[0]

    assert run(main()) == (True, False)
    assert run(main(), tick_s=1e-3) == (True, True)


def test_jobs_run_without_a_thread_and_without_a_running_loop():
    def job():
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return 7

    async def main():
        return await asyncio.to_thread(job)

    assert run(main()) == 7


def test_error_of_a_job_reaches_its_caller():
    async def main():
        await asyncio.to_thread(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_a_cancelled_job_may_run_or_not():
    async def main():
        ran = []
        job = asyncio.create_task(asyncio.to_thread(ran.append, 1))
        for _ in range(2):
            await asyncio.sleep(0)
        job.cancel()
        await asyncio.wait([job])
        while asyncio.get_running_loop().jobs:
            await asyncio.sleep(0)
        return len(ran)

    assert {run(main(), seed) for seed in range(20)} == {0, 1}


def test_deadlock_names_the_task_and_the_place():
    async def waits():
        await asyncio.get_running_loop().create_future()

    async def main():
        await asyncio.wait([asyncio.create_task(waits(), name="stuck")])

    with pytest.raises(DeadlockError, match=r"stuck in .*waits:"):
        run(main())


def test_endless_schedule_is_reported():
    async def main():
        while True:
            await asyncio.sleep(0)

    with pytest.raises(EndlessError, match=r"^no end after"):
        run(main())
