"""Functions that are called in a time slice, or at the end of a turn."""

import asyncio

from neuroasync.runtime.cpu_time import time_slice
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.runtime.cpu_time.time_slice import TimeSlice


async def turns(n):
    """Let the event loop run n times."""
    for _ in range(n):
        await asyncio.sleep(0)


async def test_calls_take_turns_with_sessions(clock, no_leaks):
    t = TimeSlice.of_running_loop()
    order = []

    def use_slice(name):
        order.append(name)
        clock.now += 3 * time_slice.SLICE_S  # more than a slice and its grace period

    async def session():
        for _ in range(3):
            await t.wait_turn(CpuAccount())
            use_slice("s")

    def call():
        assert not t.must_wait()  # it is its turn, although others wait
        use_slice("c")
        assert t.must_wait()  # the slice is over
        if order.count("c") < 3:
            t.call_in_turn(call, CpuAccount())

    assert not t.is_exhausted()
    running = asyncio.create_task(session())
    t.call_in_turn(call, CpuAccount())
    assert t.must_wait()
    await running
    await turns(10)
    assert "".join(order) == "cscscs"
    assert not t.must_wait()


async def test_calls_of_accounts_that_have_used_less_come_first_in_every_other_turn(clock):
    t = TimeSlice.of_running_loop()
    called, accounts = [], [CpuAccount() for _ in range(6)]

    def call(n):
        called.append(n)
        clock.now += 2 * time_slice.SLICE_S

    for n, account in enumerate(accounts):
        account.charge(1.0 * (6 - n))  # those that come first have used most
        t.call_in_turn(lambda n=n: call(n), account)
    await turns(20)
    assert sorted(called) == list(range(6))
    assert called[:4] == [5, 0, 4, 1]


async def test_an_error_in_a_call_does_not_end_the_turns_of_others(clock):
    t, errors, called = TimeSlice.of_running_loop(), [], []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))

    def fail():
        raise ArithmeticError

    t.call_in_turn(fail, CpuAccount())
    t.call_in_turn(lambda: called.append(t.must_wait()), CpuAccount())
    await turns(10)
    loop.set_exception_handler(None)
    assert [type(error) for error in errors] == [ArithmeticError]
    assert called == [False]
    assert not t.must_wait()


async def test_last_calls_follow_all_calls_of_a_turn_in_order(clock):
    t, called = TimeSlice.of_running_loop(), []

    def call(n):
        called.append(n)
        t.call_last(called.append, -n)
        clock.now += 0.3 * time_slice.SLICE_S

    for _ in range(3):  # after each of these turns, twice as many calls are woken in the next one
        t.is_exhausted()
        await turns(2)
    for n in range(1, 7):
        t.call_in_turn(lambda n=n: call(n), CpuAccount())
    await turns(10)
    assert called == [1, 2, 3, 4, -1, -2, -3, -4, 5, 6, -5, -6]  # a slice has room for four


async def test_last_call_outside_of_a_turn_is_immediate():
    called = []
    TimeSlice.of_running_loop().call_last(called.append, 1)
    assert called == [1]


async def test_errors_do_not_delay_the_last_calls_of_a_turn():
    t, called, errors = TimeSlice.of_running_loop(), [], []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))

    def fail(text):
        raise ArithmeticError(text)

    def call():
        loop.call_soon(called.append, "next callback")
        t.call_last(fail, "first")
        t.call_last(called.append, 1)
        t.call_last(fail, "third")
        t.call_last(called.append, 2)
        fail("call")

    t.call_in_turn(call, CpuAccount())
    await turns(10)
    loop.set_exception_handler(None)
    assert called == [1, 2, "next callback"]
    (error,) = errors
    chain = [error, error.__context__, error.__context__.__context__]
    assert [str(error) for error in chain] == ["third", "first", "call"]
