"""A message that is not decided where it arrives takes no token of its connection's rate limit."""

from types import SimpleNamespace

import pytest

from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.serve.connection.arrival import ArrivalDecider
from neuroasync.serve.connection.rate_limit import TokenBucket


@pytest.fixture
def bucket():
    """A token bucket with one token, whose clock stands still."""
    return TokenBucket(1, lambda: 0.0)


def decider_of(bucket, delivered):
    """Return the decider of a connection whose client does not read."""
    socket = SimpleNamespace(can_write=False, deliver=delivered.append)
    inbox = SimpleNamespace(is_idle=True, max_events=1000)
    contention = SimpleNamespace(is_contended=False)
    return ArrivalDecider(
        socket, None, inbox, bucket, contention, CpuAccount(), None, lambda: None
    )  # fmt: skip


async def test_message_that_is_decided_in_vain_leaves_its_token_to_the_reader(bucket):
    assert not decider_of(bucket, []).take(b"message")
    assert bucket.take() == 0.0
    assert bucket.take() > 0


async def test_message_that_is_released_leaves_its_token_to_the_reader(bucket, monkeypatch):
    monkeypatch.setattr(TimeSlice, "must_wait", lambda _: True)
    delivered = []
    decider = decider_of(bucket, delivered)
    assert decider.take(b"message")
    assert not bucket.take_now()
    decider.release()
    assert delivered == [b"message"]
    assert bucket.take() == 0.0
    assert bucket.take() > 0


async def test_message_without_a_token_goes_to_the_reader(bucket):
    bucket.take()
    assert not decider_of(bucket, []).take(b"message")
    assert bucket.take() == 1.0
