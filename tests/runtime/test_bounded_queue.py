"""The bounded queue keeps its order, counts its items and survives cancellation."""

import asyncio

import pytest

import neuroasync as na
from neuroasync.errors import ClosedError
from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.populations.coroutine import DirectInbox


def test_queue_is_first_in_first_out():
    queue = BoundedQueue(3)
    for item in (1, 2, 3):
        queue.push(item)
    assert [queue.pop() for _ in range(3)] == [1, 2, 3]


def test_full_queue_rejects_an_item_and_keeps_its_items():
    queue = BoundedQueue(1)
    queue.push("kept")
    with pytest.raises(na.QueueFullError, match=r"^the queue is full \(1\); await writable\(\) fi"):
        queue.push("refused")
    assert queue.pop() == "kept"


def test_pop_from_an_empty_queue_names_the_method_to_await():
    with pytest.raises(ValueError, match=r"the queue is empty; await readable\(\) first"):
        BoundedQueue(1).pop()


async def test_put_waits_for_room_and_get_waits_for_an_item(no_leaks):
    queue = BoundedQueue(1)
    received = []

    async def consume():
        async for item in queue:
            received.append(item)  # noqa: PERF401  # the loop is what is tested

    consumer = asyncio.create_task(consume())
    for item in range(5):
        await queue.put(item)
    queue.close()
    await consumer
    assert received == [0, 1, 2, 3, 4]


async def test_items_put_before_closing_can_still_be_taken():
    queue = BoundedQueue(2)
    queue.push(1)
    queue.close()
    assert [item async for item in queue] == [1]
    with pytest.raises(ClosedError):
        await queue.put(2)
    with pytest.raises(ClosedError):
        queue.push(2)


@pytest.mark.parametrize("ticks", range(4))
async def test_cancelled_get_takes_nothing(ticks, no_leaks):
    queue = BoundedQueue(1)
    waiting = asyncio.create_task(queue.get())
    for _ in range(ticks):
        await asyncio.sleep(0)
    waiting.cancel()
    queue.push("spike")
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert queue.pop() == "spike"


async def test_cancelled_put_adds_nothing(no_leaks):
    queue = BoundedQueue(1)
    queue.push("first")
    waiting = asyncio.create_task(queue.put("second"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert queue.pop() == "first"
    assert len(queue) == 0


def test_direct_inbox_waits_without_an_event_loop():
    groups = []

    async def population(inbox):
        for number in range(2):
            await inbox
            groups.append(number)

    waiting = population(DirectInbox())
    assert waiting.send(None) is None
    assert groups == []
    assert waiting.send(None) is None
    assert groups == [0]
    with pytest.raises(StopIteration):
        waiting.send(None)
    assert groups == [0, 1]


@pytest.mark.parametrize(
    ("when_full", "held", "dropped"),
    [("drop-oldest", [3, 4], [0, 1, 2]), ("drop-newest", [0, 1], [2, 3, 4])],
)
async def test_full_queue_drops_by_its_policy_and_counts_the_item(when_full, held, dropped):
    queue = BoundedQueue(2, when_full)
    lost = [await queue.put(item) for item in range(5)]
    assert [item for item in lost if item is not None] == dropped
    assert (queue.accepted, queue.dropped, queue.refused) == (2, len(dropped), 0)
    queue.close()
    assert [item async for item in queue] == held


async def test_queue_with_policy_error_does_not_wait():
    queue = BoundedQueue(1, "error")
    await queue.put("kept")
    for _ in range(2):
        with pytest.raises(na.QueueFullError):
            await queue.put("refused")
    assert (queue.accepted, queue.dropped, queue.refused) == (1, 0, 2)
    assert await queue.get() == "kept"


def test_counts_of_a_queue_add_up_over_its_whole_life():
    queue = BoundedQueue(2, "drop-oldest")
    for item in range(3):
        queue.push(item)
    assert [queue.pop(), queue.pop()] == [1, 2]
    for item in range(3, 7):
        queue.push(item)
    assert queue.waiting() == (5, 6)
    assert queue.first() == 5
    assert (queue.accepted, queue.dropped, queue.refused) == (4, 3, 0)


def test_queue_holds_one_item_by_default():
    queue = BoundedQueue()
    queue.push(1)
    with pytest.raises(na.QueueFullError):
        queue.push(2)


async def test_queue_forgets_a_task_that_no_longer_waits(no_leaks):
    queue = BoundedQueue(1)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert queue.is_awaited
    queue.push("spike")
    assert await waiting == "spike"
    assert not queue.is_awaited


async def test_tasks_are_served_in_the_order_in_which_they_wait(no_leaks):
    queue, served = BoundedQueue(1), []

    async def take(k):
        await queue.get()
        served.append(k)

    async with asyncio.TaskGroup() as tasks:
        for k in range(20):
            tasks.create_task(take(k))
        for item in range(20):
            await queue.put(item)
            await asyncio.sleep(0)
    assert served == list(range(20))


async def test_closed_queue_says_so():
    queue = BoundedQueue(1)
    assert queue.is_closed is False
    queue.close()
    assert queue.is_closed is True
    for call in (queue.readable, queue.writable):
        with pytest.raises(ClosedError, match=r"^the queue is closed$"):
            await call()
    with pytest.raises(ClosedError, match=r"^the queue is closed$"):
        queue.push("spike")


async def test_several_producers_and_consumers_share_a_queue(no_leaks):
    queue, got = BoundedQueue(2), []

    async def produce(numbers):
        for number in numbers:
            await queue.put(number)

    async def consume():
        async for number in queue:
            got.append(number)  # noqa: PERF401  # the loop is what is tested

    async with asyncio.TaskGroup() as tasks:
        consumers = [tasks.create_task(consume()) for _ in range(3)]
        async with asyncio.TaskGroup() as producers:
            for first in (0, 100, 200):
                producers.create_task(produce(range(first, first + 50)))
        queue.close()
    assert all(task.done() for task in consumers)
    assert sorted(got) == [*range(50), *range(100, 150), *range(200, 250)]
    assert queue.accepted == 150


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), r"^`capacity` must be an integer of at least 1, got 0$"),
        ((2.5,), r"^`capacity` must be an integer of at least 1, got 2.5$"),
        ((1, "drop"), r"^`when_full` must be one of 'block', 'drop-oldest', 'drop-newest', 'er"),
    ],
)
def test_invalid_queue_arguments_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        BoundedQueue(*arguments)
