"""Messages reach the receiver or the app in the order in which they arrived."""

import asyncio

import pytest_asyncio

from neuroasync.serve.connection.websocket import ARRIVED_S, Offer
from neuroasync.serve.process.message_intake import MessageIntake


class Receiver:
    """A receiver that replies as it is told, and keeps what it was offered."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.offered = []

    def __call__(self, message):
        self.offered.append(message)
        return self.replies.pop(0)


@pytest_asyncio.fixture
async def waiting():
    """Return an intake whose app waits for a message, and the task that does."""
    intake = MessageIntake(asyncio.Queue())
    task = asyncio.create_task(intake.next())
    await asyncio.sleep(0)
    yield intake, task
    task.cancel()


async def test_message_that_is_put_off_is_offered_again(waiting):
    intake, task = waiting
    intake.receiver = receiver = Receiver(Offer.PUT_OFF, Offer.PUT_OFF, Offer.ANSWERED)
    intake.take("a")
    for _ in range(2):
        assert intake.has_put_off
        intake.offer_again()
    assert not intake.has_put_off
    intake.offer_again()
    assert receiver.offered == ["a"] * 3
    await asyncio.sleep(0)
    assert not task.done()


async def test_message_that_is_put_off_comes_before_the_next_one(waiting):
    intake, task = waiting
    intake.receiver = receiver = Receiver(Offer.PUT_OFF)
    intake.take(b"a")
    intake.take(b"b")
    assert receiver.offered == [b"a"]
    assert (await task)["bytes"] == b"a"
    assert await intake.next() == {"type": "websocket.receive", "bytes": b"b"}


async def test_declined_message_reaches_the_app(waiting):
    intake, task = waiting
    intake.receiver = Receiver(Offer.PUT_OFF, Offer.DECLINED)
    intake.take("a")
    intake.offer_again()
    assert (await task)["text"] == "a"


async def test_queue_is_full_after_many_bytes_or_messages():
    intake = MessageIntake(asyncio.Queue())
    for _ in range(15):
        intake.take(b"")
    assert not intake.is_full
    intake.take(b"")
    assert intake.is_full
    intake = MessageIntake(asyncio.Queue())
    intake.take(bytes(2**16))
    assert intake.is_full
    await intake.next()
    intake.forget_bytes()
    assert not intake.is_full


async def test_message_that_is_put_off_keeps_the_time_of_its_arrival(waiting, monkeypatch):
    intake, task = waiting
    intake.receiver = Receiver(Offer.PUT_OFF, Offer.PUT_OFF, Offer.DECLINED)
    for now_s in (5.0, 6.0):
        monkeypatch.setattr("time.perf_counter", lambda now_s=now_s: now_s)
        intake.take("a") if now_s == 5.0 else intake.offer_again()
    intake.offer_again()
    assert (await task)[ARRIVED_S] == 5.0
