import asyncio

import pytest

from neuroasync.errors import ClosedError
from neuroasync.queue import DrivenInbox, SpikeQueue


def test_items_come_out_in_the_order_they_went_in():
    queue = SpikeQueue(3)
    for item in (1, 2, 3):
        queue.push(item)
    assert [queue.pop() for _ in range(3)] == [1, 2, 3]


def test_a_full_queue_refuses_and_keeps_what_it_holds():
    queue = SpikeQueue(1)
    queue.push("kept")
    with pytest.raises(ValueError, match=r"the queue is full \(1\); await writable\(\) first"):
        queue.push("refused")
    assert queue.pop() == "kept"


def test_an_empty_queue_says_what_to_await():
    with pytest.raises(ValueError, match=r"the queue is empty; await readable\(\) first"):
        SpikeQueue(1).pop()


async def test_put_waits_for_room_and_get_for_an_item(no_leaks):
    queue = SpikeQueue(1)
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


async def test_what_was_put_before_closing_can_still_be_taken():
    queue = SpikeQueue(2)
    queue.push(1)
    queue.close()
    assert [item async for item in queue] == [1]
    with pytest.raises(ClosedError):
        await queue.put(2)
    with pytest.raises(ClosedError):
        queue.push(2)


@pytest.mark.parametrize("ticks", range(4))
async def test_a_cancelled_get_takes_nothing(ticks, no_leaks):
    queue = SpikeQueue(1)
    waiting = asyncio.create_task(queue.get())
    for _ in range(ticks):
        await asyncio.sleep(0)
    waiting.cancel()
    queue.push("spike")
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert queue.pop() == "spike"


async def test_a_cancelled_put_puts_nothing(no_leaks):
    queue = SpikeQueue(1)
    queue.push("first")
    waiting = asyncio.create_task(queue.put("second"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert queue.pop() == "first"
    assert len(queue) == 0


def test_a_driven_inbox_waits_without_an_event_loop():
    groups = []

    async def population(inbox):
        for number in range(2):
            await inbox
            groups.append(number)

    waiting = population(DrivenInbox())
    assert waiting.send(None) is None
    assert groups == []
    assert waiting.send(None) is None
    assert groups == [0]
    with pytest.raises(StopIteration):
        waiting.send(None)
    assert groups == [0, 1]
