"""The books of many connections balance, whatever comes in whatever order."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync import ClosedError
from neuroasync.serve.capacity import CapacityLimiter
from neuroasync.serve.connection.message_peek import MessagePeek
from neuroasync.serve.connection.sample_inbox import SampleInbox
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import FAMILIES, ServerMetrics

LIMITS = ServerLimits(
    max_queued_samples=2, waiting_events=20, max_queued_samples_total=3, server_waiting_events=30
)
WAYS = ("block", "drop-oldest", "drop-newest", "error")


def message(events, end):
    """What is known of a message, and what is not looked at."""
    return "", MessagePeek(events, end, False), 0.0, False


def total(tally, name):
    [family] = [f for f in FAMILIES if f.name == name]
    return sum(tally.total(name, value) for value in family.values)


class Books:
    """Some connections of one server, each with a reader that may be blocked."""

    def __init__(self, when_full):
        self.tally = ServerMetrics()
        self.server = CapacityLimiter(LIMITS.max_queued_samples_total, LIMITS.server_waiting_events)
        self.intakes = [SampleInbox(LIMITS, when_full, self.server, self.tally) for _ in range(3)]
        self.readers = [None] * 3
        self.under_way = [None] * 3
        self.told = [[] for _ in range(3)]

    def read(self, c, events, end):
        if self.readers[c] is not None and not self.readers[c].done():
            return

        async def take():
            self.told[c] += await self.intakes[c].take(*message(events, end))

        self.readers[c] = asyncio.create_task(take())

    async def work(self, c):
        """The worker's next step: take a sample, or a part, or settle the sample."""
        intake, sample = self.intakes[c], self.under_way[c]
        if sample is None:
            if len(intake._queue):
                self.under_way[c] = await intake.sample() if self._has_open(c) else None
        elif sample.is_settled:
            self.under_way[c] = None
        elif len(sample.parts):
            await intake.part(sample)
        elif sample.is_whole:
            intake.accepted(sample, "answered")
            self.under_way[c] = None

    def _has_open(self, c):
        return any(not s.is_settled for s in self.intakes[c]._queue._items)

    def check(self):
        settled = sum(total(self.tally, f"samples_{k}") for k in ("accepted", "dropped", "refused"))
        assert total(self.tally, "samples_sent") == settled + total(self.tally, "samples_open")
        assert 0 <= self.server.samples <= LIMITS.max_queued_samples_total
        assert 0 <= self.server.events <= LIMITS.server_waiting_events
        assert total(self.tally, "events_waiting") >= 0
        waiting = total(self.tally, "samples_waiting")
        assert 0 <= waiting <= LIMITS.max_queued_samples_total

    async def leave(self, c):
        if self.readers[c] is not None:
            self.readers[c].cancel()
            await asyncio.wait([self.readers[c]])
        self.intakes[c].abandon()


STEP = st.tuples(
    st.sampled_from(["read", "read", "work", "malformed", "invalid", "tick", "cancel", "end"]),
    st.integers(0, 2),
    st.integers(0, 25),
    st.booleans(),
)


@settings(deadline=None, max_examples=150)
@given(when_full=st.sampled_from(WAYS), steps=st.lists(STEP, max_size=80))
def test_every_sample_is_counted_once_and_all_room_comes_back(when_full, steps):
    async def run():
        books = Books(when_full)
        for what, c, events, end in steps:
            await step(books, what, c, events, end)
            books.check()
        for c in range(3):
            await books.leave(c)
            books.check()
        assert total(books.tally, "samples_open") == 0
        assert total(books.tally, "samples_waiting") == total(books.tally, "events_waiting") == 0
        assert (books.server.samples, books.server.events) == (3, 30)
        for intake, told in zip(books.intakes, books.told, strict=True):
            numbers = [n.sample for n in told if n.sample is not None]
            assert len(set(numbers)) == len(numbers)
            assert (intake._room.samples, intake._room.events) == (2, 20)

    asyncio.run(run())


async def step(books, what, c, events, end):
    intake, reader = books.intakes[c], books.readers[c]
    is_free = reader is None or reader.done()
    if what == "read":
        if not intake._queue.is_closed:
            books.read(c, events, end)
            await asyncio.sleep(0)
    elif what == "work":
        await books.work(c)
    elif what == "malformed" and is_free and not intake._queue.is_closed:
        books.told[c].append(intake.unreadable("wrong", False))
    elif what == "invalid" and books.under_way[c] is not None:
        if not books.under_way[c].is_settled:
            books.told[c].append(intake.invalid(books.under_way[c], "outside"))
    elif what == "tick":
        await asyncio.sleep(0)
    elif what == "cancel" and events < 3:
        await books.leave(c)
    elif what == "end" and events < 3:
        if reader is not None:
            reader.cancel()
        books.told[c] += intake.end("draining", "over")


async def test_the_oldest_make_room_one_after_the_other():
    intake = SampleInbox(LIMITS, "drop-oldest", CapacityLimiter(9, 99), ServerMetrics())
    for _ in range(2):
        assert await intake.take(*message(8, True)) == ()
    notices = await intake.take(*message(20, True))
    assert [(n.sample, n.is_dropped) for n in notices] == [(0, True), (1, True)]
    assert (await intake.sample()).number == 2


async def test_the_newest_is_dropped_and_those_before_stay():
    intake = SampleInbox(LIMITS, "drop-newest", CapacityLimiter(9, 99), ServerMetrics())
    for _ in range(2):
        await intake.take(*message(8, True))
    for n in (2, 3):
        [notice] = await intake.take(*message(8, True))
        assert (notice.sample, notice.is_dropped) == (n, True)
    assert [(await intake.sample()).number for _ in range(2)] == [0, 1]


async def test_a_sample_without_room_for_its_own_next_part_is_the_oldest_that_makes_room():
    intake = SampleInbox(LIMITS, "drop-oldest", CapacityLimiter(9, 99), ServerMetrics())
    await intake.take(*message(15, False))
    [notice] = await intake.take(*message(15, False))
    assert (notice.sample, notice.is_dropped) == (0, True)
    assert await intake.take(*message(15, True)) == ()  # the rest of it
    assert await intake.take(*message(15, True)) == ()
    assert (await intake.sample()).number == 1


@pytest.mark.parametrize("when_full", WAYS)
async def test_after_the_end_what_is_whole_can_still_be_taken(when_full):
    intake = SampleInbox(LIMITS, when_full, CapacityLimiter(9, 99), ServerMetrics())
    await intake.take(*message(5, True))
    await intake.take(*message(5, False))
    [notice] = intake.end("draining", "over")
    assert (notice.sample, notice.is_dropped) == (1, False)
    sample = await intake.sample()
    assert (sample.number, sample.is_whole) == (0, True)
    assert (await intake.part(sample)).cost == 5
    assert await intake.part(sample) is None
    with pytest.raises(ClosedError):
        await intake.sample()
