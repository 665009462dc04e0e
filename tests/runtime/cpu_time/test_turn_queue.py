"""Turns are taken by use and by arrival, alternately."""

import asyncio

from neuroasync.runtime.cpu_time.turn_queue import WAITER, TurnQueue


def queue_of(**ranks):
    """Return a queue of calls that return their names, in the order of the arguments."""
    queue = TurnQueue()
    for name, rank in ranks.items():
        queue.add(rank, lambda name=name: name)
    return queue


def names(entries):
    """Return the names of the calls that were taken."""
    return "".join(entry[WAITER]() for entry in entries)


def test_turns_are_taken_alternately_by_least_use_and_by_longest_wait():
    queue = queue_of(a=5.0, b=4.0, c=3.0, d=2.0)
    assert queue.waiting == 4
    assert names(queue.take(10)) == "dacb"
    assert queue.waiting == len(queue) == 0


def test_every_other_call_begins_with_the_longest_wait():
    queue = queue_of(a=5.0, b=4.0, c=3.0, d=2.0)
    assert names(queue.take(1)) == "d"
    assert names(queue.take(1)) == "a"
    assert names(queue.take(2)) == "cb"


def test_turns_that_are_put_back_come_first_in_the_order_in_which_they_were_taken():
    queue = queue_of(a=2.0, b=1.0, c=3.0)
    taken = queue.take(2)
    assert names(taken) == "ba"
    queue.add(9.0, lambda: "d")
    queue.put_back(taken)
    assert queue.waiting == 4
    assert names(queue.take(4)) == "bacd"


def test_turns_that_are_put_back_again_and_again_are_not_lost():
    queue = queue_of(a=1.0, b=1.0, c=1.0)
    for _ in range(3):
        queue.put_back(queue.take(2))
    assert sorted(names(queue.take(3))) == ["a", "b", "c"]
    assert queue.waiting == 0


def test_turns_of_equal_use_are_taken_in_the_order_of_their_arrival():
    assert names(queue_of(a=1.0, b=1.0, c=1.0).take(3)) == "abc"


async def test_cancelled_session_has_no_turn():
    loop, queue = asyncio.get_running_loop(), TurnQueue()
    futures = [loop.create_future() for _ in range(3)]
    entries = [queue.add(1.0, future) for future in futures]
    futures[1].cancel()
    assert [entry[WAITER] for entry in queue.take(3)] == [futures[0], futures[2]]
    assert queue.waiting == 1  # until the session removes its entry
    queue.remove(entries[1])
    assert queue.waiting == len(queue) == 0


def test_obsolete_entries_do_not_accumulate():
    queue = queue_of(a=0.0)
    for n in range(1000):
        queue.add(float(n), lambda: "b")
        assert len(queue.take(1)) == 1
        assert len(queue) < 100
