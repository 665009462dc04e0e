"""Connections with small samples take turns in order, within the time slice of all sessions."""

import asyncio
from functools import partial

import pytest

from neuroasync.runtime import time_slice
from neuroasync.runtime.time_slice import CpuAccount, TimeSlice
from neuroasync.serve.connection.arrival_turns import ArrivalTurns


class Clock:
    """A clock that the test sets."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time_slice, "time", clock)
    return clock


async def turns_until(condition):
    """Run the event loop until the condition holds; return the number of its turns."""
    turns = 0
    while not condition():
        await asyncio.sleep(0)
        turns += 1
        assert turns < 1000
    return turns


async def test_connections_take_turns_in_order_within_the_slice(clock, no_leaks):
    arrivals, served = ArrivalTurns(TimeSlice.of_running_loop()), []

    def serve(number):
        served.append(number)
        clock.now += time_slice.SLICE_S / 4

    for number in range(32):
        arrivals.wait(partial(serve, number), CpuAccount())
    assert served == []
    # No turn of the event loop serves more than fits into a slice.
    while len(served) < 32:
        before = len(served)
        await asyncio.sleep(0)
        assert len(served) - before <= 5  # the last one begins at the end of the slice
    assert served == list(range(32))
    await turns_until(lambda: not TimeSlice.of_running_loop().must_wait())


async def test_connection_that_waits_again_comes_after_the_others(clock, no_leaks):
    arrivals, served = ArrivalTurns(TimeSlice.of_running_loop()), []

    def serve(number):
        served.append(number)
        clock.now += time_slice.SLICE_S
        if served.count(number) < 3:
            arrivals.wait(partial(serve, number), CpuAccount())

    for number in range(3):
        arrivals.wait(partial(serve, number), CpuAccount())
    await turns_until(lambda: len(served) == 9)
    assert served == [0, 1, 2] * 3


async def test_session_with_long_samples_gets_its_turn_beside_them(clock, no_leaks):
    shared = TimeSlice.of_running_loop()
    arrivals, served, long_turns = ArrivalTurns(shared), 0, 0

    def serve():
        nonlocal served
        served += 1
        clock.now += time_slice.SLICE_S / 4
        arrivals.wait(serve, account)

    async def run_long():
        nonlocal long_turns
        while True:
            await shared.wait_turn(busy)
            long_turns += 1
            clock.now += time_slice.SLICE_S

    account, busy = CpuAccount(), CpuAccount()
    busy.charge(1.0)
    for _ in range(16):
        arrivals.wait(serve, account)
    long = asyncio.create_task(run_long())
    await turns_until(lambda: served >= 400)
    long.cancel()
    # 16 connections have as many entries as four sessions: the long one gets no more than its part.
    assert 10 <= long_turns <= 100
