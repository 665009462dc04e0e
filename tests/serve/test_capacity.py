import asyncio

import pytest

from neuroasync.serve.capacity import CapacityLimiter


def free(room):
    return room.samples, room.events


async def test_room_is_taken_and_given_back():
    room = CapacityLimiter(2, 10)
    assert room.take_now(1, 4)
    assert not room.take_now(2, 0)
    assert not room.take_now(0, 7)
    await room.take(1, 6)
    assert free(room) == (0, 0)
    room.give(1, 10)
    assert free(room) == (1, 10)


async def test_who_waits_is_served_in_order_and_nobody_overtakes(no_leaks):
    room = CapacityLimiter(3, 10)
    assert room.take_now(1, 8)
    served = []

    async def take(name, events):
        await room.take(1, events)
        served.append(name)

    waiting = [asyncio.create_task(take("large", 9)), asyncio.create_task(take("small", 1))]
    await asyncio.sleep(0)
    assert not room.take_now(0, 1)  # there would be room, but others were first
    room.give(1, 8)
    await asyncio.gather(*waiting)
    assert served == ["large", "small"]
    assert free(room) == (1, 0)


@pytest.mark.parametrize("ticks", range(5))
async def test_a_cancelled_wait_takes_nothing_and_holds_nobody_up(ticks, no_leaks):
    room = CapacityLimiter(1, 10)
    assert room.take_now(1, 10)
    first = asyncio.create_task(room.take(1, 10))
    second = asyncio.create_task(room.take(1, 3))
    for _ in range(2):
        await asyncio.sleep(0)
    if ticks % 2:
        room.give(1, 10)
    for _ in range(ticks // 2):
        await asyncio.sleep(0)
    if first.cancel():
        with pytest.raises(asyncio.CancelledError):
            await first
    elif first.done():
        room.give(1, 10)
    if not ticks % 2:
        room.give(1, 10)
    await second
    assert free(room) == (0, 7)


async def test_room_given_to_a_wait_that_is_cancelled_in_the_same_turn_is_passed_on(no_leaks):
    room = CapacityLimiter(1, 10)
    assert room.take_now(1, 10)
    first, second = (asyncio.create_task(room.take(1, 10)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    room.give(1, 10)
    await second
    assert first.cancelled()
    assert free(room) == (0, 0)
