"""The counts of many connections balance under any order of messages and decisions."""

import asyncio
import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync import ClosedError, QueueFullError
from neuroasync.serve.capacity import CapacityLimiter
from neuroasync.serve.connection.incoming_sample import IncomingSample, SampleState
from neuroasync.serve.connection.message_peek import MessagePeek
from neuroasync.serve.connection.sample_inbox import SampleInbox
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import FAMILIES, ServerMetrics

LIMITS = ServerLimits(
    max_queued_samples=2,
    max_queued_events=20,
    max_queued_samples_total=4,
    max_queued_events_total=40,
)
WHEN_FULL = ("block", "drop-oldest", "drop-newest", "error")


def message(events, end):
    """Return the arguments of ``SampleInbox.put`` for a message with this event count."""
    return "", MessagePeek(events, end, False), 0.0, False


def total(metrics, name):
    """Return the sum of a metric over its labels."""
    [family] = [f for f in FAMILIES if f.name == name]
    return sum(metrics.total(name, value) for value in family.values)


class Connections:
    """Three inboxes of one server, each with a reader that may be blocked."""

    def __init__(self, when_full):
        self.metrics = ServerMetrics()
        self.server_capacity = CapacityLimiter(
            LIMITS.max_queued_samples_total, LIMITS.max_queued_events_total
        )
        self.inboxes = [
            SampleInbox(LIMITS, when_full, self.server_capacity, self.metrics) for _ in range(3)
        ]
        self.readers = [None] * 3
        self.running = [None] * 3
        self.notices = [[] for _ in range(3)]
        self.is_closed = [False] * 3

    def is_reading(self, c):
        return self.readers[c] is not None and not self.readers[c].done()

    def read(self, c, events, end):
        if self.is_reading(c):
            return

        async def put():
            self.notices[c] += await self.inboxes[c].put(*message(events, end))

        self.readers[c] = asyncio.create_task(put())

    async def work(self, c):
        """Do the next step of the worker: take a sample or a chunk, or settle the sample."""
        inbox, sample = self.inboxes[c], self.running[c]
        if sample is None:
            self.running[c] = await self.take_sample(inbox)
        elif sample.is_settled:
            self.running[c] = None
        elif len(sample.chunks):
            await inbox.next_chunk(sample, 0)
        elif sample.state is SampleState.COMPLETE:
            inbox.count_accepted(sample, "answered")
            self.running[c] = None

    async def take_sample(self, inbox):
        """Take the next sample, or return None if there is none at the moment."""
        taking = asyncio.create_task(inbox.next_sample())
        await asyncio.sleep(0)
        taking.cancel()
        [result] = await asyncio.gather(taking, return_exceptions=True)
        return None if isinstance(result, BaseException) else result

    def check(self):
        metrics = self.metrics
        settled = sum(total(metrics, f"samples_{k}") for k in ("accepted", "dropped", "refused"))
        assert total(metrics, "samples_sent") == settled + total(metrics, "samples_open")
        assert 0 <= self.server_capacity.free_samples <= LIMITS.max_queued_samples_total
        assert 0 <= self.server_capacity.free_events <= LIMITS.max_queued_events_total
        assert total(metrics, "events_waiting") >= 0
        assert 0 <= total(metrics, "samples_waiting") <= LIMITS.max_queued_samples_total

    async def disconnect(self, c):
        self.is_closed[c] = True
        if self.readers[c] is not None:
            self.readers[c].cancel()
            await asyncio.wait([self.readers[c]])
        self.inboxes[c].abandon()

    def drain(self, c):
        self.is_closed[c] = True
        if self.readers[c] is not None:
            self.readers[c].cancel()
        self.notices[c] += self.inboxes[c].close("draining", "shutting down")


ACTIONS = (
    "read",
    "read",
    "work",
    "unreadable",
    "invalid",
    "decided",
    "tick",
    "disconnect",
    "drain",
)
STEP = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2), st.integers(0, 25), st.booleans())


@settings(deadline=None, max_examples=150)
@given(when_full=st.sampled_from(WHEN_FULL), steps=st.lists(STEP, max_size=80))
def test_every_sample_is_counted_once_and_all_capacity_is_released(when_full, steps):
    async def run():
        connections = Connections(when_full)
        for action, c, events, end in steps:
            await perform(connections, action, c, events, end)
            connections.check()
        for c in range(3):
            await connections.disconnect(c)
            connections.check()
        metrics, server_capacity = connections.metrics, connections.server_capacity
        assert total(metrics, "samples_open") == 0
        assert total(metrics, "samples_waiting") == total(metrics, "events_waiting") == 0
        assert (server_capacity.free_samples, server_capacity.free_events) == (4, 40)
        for inbox, notices in zip(connections.inboxes, connections.notices, strict=True):
            numbers = [n.sample for n in notices if n.sample is not None]
            assert len(set(numbers)) == len(numbers)
            assert (inbox._share.samples, inbox._share.events) == (0, 0)

    asyncio.run(run())


async def perform(connections, action, c, events, end):
    """Perform one action of the drawn sequence on connection ``c``."""
    inbox, running = connections.inboxes[c], connections.running[c]
    if action == "read" and not connections.is_closed[c]:
        connections.read(c, events, end)
        await asyncio.sleep(0)
    elif action == "work":
        await connections.work(c)
    elif action == "unreadable":
        if not connections.is_reading(c) and not connections.is_closed[c]:
            connections.notices[c].append(inbox.refuse_unreadable("wrong", False))
    elif action == "invalid" and running is not None:
        if (notice := inbox.refuse(running, "invalid", "outside")) is not None:
            connections.notices[c].append(notice)
    elif action == "decided" and running is not None:
        inbox.mark_decided(running)
        await asyncio.sleep(0)
        inbox.count_accepted(running, "answered")
    elif action == "tick":
        await asyncio.sleep(0)
    # Closing is rarer than the other actions, because nothing happens after it.
    elif action == "disconnect" and events < 3:
        await connections.disconnect(c)
    elif action == "drain" and events < 3:
        connections.drain(c)


def make_inbox(when_full):
    """Return an inbox of a connection with the given behaviour when it is full."""
    return SampleInbox(LIMITS, when_full, CapacityLimiter(9, 99), ServerMetrics())


async def test_drop_oldest_drops_as_many_samples_as_a_new_one_needs():
    inbox = make_inbox("drop-oldest")
    for _ in range(2):
        assert await inbox.put(*message(8, True)) == ()
    notices = await inbox.put(*message(20, True))
    assert [(n.sample, n.is_dropped) for n in notices] == [(0, True), (1, True)]
    assert (await inbox.next_sample()).number == 2


async def test_drop_newest_drops_the_new_sample_and_keeps_earlier_ones():
    inbox = make_inbox("drop-newest")
    for _ in range(2):
        await inbox.put(*message(8, True))
    for n in (2, 3):
        [notice] = await inbox.put(*message(8, True))
        assert (notice.sample, notice.is_dropped) == (n, True)
    assert [(await inbox.next_sample()).number for _ in range(2)] == [0, 1]


async def test_drop_oldest_can_drop_the_sample_whose_next_chunk_does_not_fit():
    inbox = make_inbox("drop-oldest")
    await inbox.put(*message(15, False))
    [notice] = await inbox.put(*message(15, False))
    assert (notice.sample, notice.is_dropped) == (0, True)
    assert await inbox.put(*message(15, True)) == ()  # the rest of the dropped sample
    assert await inbox.put(*message(15, True)) == ()
    assert (await inbox.next_sample()).number == 1


@pytest.mark.parametrize("when_full", WHEN_FULL)
async def test_closed_inbox_still_gives_out_complete_samples(when_full):
    inbox = make_inbox(when_full)
    await inbox.put(*message(5, True))
    await inbox.put(*message(5, False))
    [notice] = inbox.close("draining", "shutting down")
    assert (notice.sample, notice.is_dropped) == (1, False)
    sample = await inbox.next_sample()
    assert (sample.number, sample.state) == (0, SampleState.COMPLETE)
    assert (await inbox.next_chunk(sample, 0)).cost == 5
    assert await inbox.next_chunk(sample, 0) is None
    with pytest.raises(ClosedError):
        await inbox.next_sample()


async def test_end_of_a_sample_lets_no_message_of_the_next_one_through():
    server_capacity = CapacityLimiter(1, 99)
    inbox, other = (
        SampleInbox(LIMITS, "block", server_capacity, ServerMetrics()) for _ in range(2)
    )
    await inbox.put(*message(5, True))
    sample = await inbox.next_sample()
    assert (await inbox.next_chunk(sample, 0)).cost == 5
    await other.put(*message(5, True))
    waiting = asyncio.create_task(inbox.put(*message(5, False)))
    await asyncio.sleep(0)
    assert await inbox.next_chunk(sample, 0) is None
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.count_accepted(sample, "answered")
    assert (await inbox.next_sample()).number == 1  # the worker has nothing else to do
    assert await waiting == ()


async def test_sample_that_was_refused_while_it_ran_gets_no_second_notice():
    metrics = ServerMetrics()
    inbox = SampleInbox(LIMITS, "block", CapacityLimiter(9, 99), metrics)
    await inbox.put(*message(5, False))
    sample = await inbox.next_sample()
    assert len(inbox.close("draining", "shutting down")) == 1
    assert inbox.count_failed(sample, "the policy failed") is None
    assert inbox.refuse(sample, "invalid", "outside") is None
    assert metrics.total("samples_refused", "draining") == 1
    assert total(metrics, "samples_accepted") == 0


async def test_largest_message_is_refused_if_those_that_wait_take_too_much_memory():
    server_capacity, metrics = CapacityLimiter(9, 40, max_waiting_bytes=100), ServerMetrics()
    full, waits, refused = (
        SampleInbox(ServerLimits(), "block", server_capacity, metrics) for _ in range(3)
    )
    assert await full.put(*message(20, False)) == ()
    peek = MessagePeek(30, True, False)
    waiting = asyncio.create_task(waits.put("x" * 40, peek, 0.0, False))
    await asyncio.sleep(0)
    [notice] = await refused.put(b"x" * 70, peek, 0.0, False)
    assert (notice.sample, notice.is_dropped, notice.is_binary) == (0, False, True)
    assert metrics.total("samples_refused", "server-full") == 1
    assert not waiting.done()
    full.abandon()
    assert await waiting == ()
    assert (await waits.next_sample()).state is SampleState.COMPLETE


async def test_sample_that_is_settled_while_its_decision_is_made_is_counted_once():
    metrics = ServerMetrics()
    inbox = SampleInbox(LIMITS, "block", CapacityLimiter(9, 99), metrics)
    await inbox.put(*message(5, True))
    sample = await inbox.next_sample()
    inbox.abandon()
    inbox.mark_decided(sample)
    inbox.count_accepted(sample, "answered")
    assert sample.state is SampleState.SETTLED
    assert metrics.total("samples_accepted", "client-gone") == 1
    assert metrics.total("samples_accepted", "answered") == 0


async def test_states_of_a_sample_follow_its_chunks_and_its_decision():
    inbox = make_inbox("block")
    await inbox.put(*message(5, False))
    sample = await inbox.next_sample()
    assert sample.state is SampleState.RECEIVING
    await inbox.put(*message(5, True))
    assert sample.state is SampleState.COMPLETE
    inbox.mark_decided(sample)
    assert sample.state is SampleState.DECIDED
    assert len(sample.chunks) == 0
    inbox.count_accepted(sample, "answered")
    assert sample.state is SampleState.SETTLED


async def test_many_unread_events_of_a_sample_that_held_none_need_capacity():
    limits = ServerLimits()
    inbox = SampleInbox(limits, "block", CapacityLimiter(9, 100), ServerMetrics())
    await inbox.put(*message(5, False))
    sample = await inbox.next_sample()
    await inbox.next_chunk(sample, 0)
    waiting = asyncio.create_task(inbox.next_chunk(sample, 1024))  # the last number that is free
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    sample.held_events = 0
    with pytest.raises(QueueFullError, match="1200 events of the sample wait for one pass"):
        await inbox.next_chunk(sample, 1200)


async def test_settled_samples_are_not_kept():
    inbox = make_inbox("block")

    def kept():
        gc.collect()
        return sum(
            isinstance(each, IncomingSample) for each in gc.get_referrers(SampleState.SETTLED)
        )

    before = kept()
    for _ in range(5):
        await inbox.put(*message(5, True))
        inbox.count_accepted(await inbox.next_sample(), "answered")
    assert kept() - before <= 1  # the inbox may remember the latest sample
