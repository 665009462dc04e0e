"""Huge chunks: the same decisions as for single events, no long turns, and nothing is lost."""

import asyncio
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync import limits
from neuroasync.core.events import input_buffer, segmenter, waiting_events
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.runtime.input import many_events
from tests.helpers.event_streams import each
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()
MANY = 10
WINDOWS = ("time(5ms)", "events(9)", "silence(2ms)", "decided")
STREAM = na.SpikeTrain(
    np.concatenate([sample(seed=k).t_us + 20_000 * k for k in range(3)]),
    np.concatenate([sample(seed=k).index for k in range(3)]),
)


def few_are_many(patch):
    """Let a few events count as many, and let a segment have very few."""
    patch.setattr(many_events, "_MANY", MANY)
    patch.setattr(segmenter, "_MAX_EVENTS", 7)


@pytest.fixture
def huge(monkeypatch):
    few_are_many(monkeypatch)


def single_events(train):
    return [([t], [k]) for t, k in zip(train.t_us.tolist(), train.index.tolist(), strict=True)]


async def collected(stream):
    return [decision async for decision in stream]


options = st.fixed_dictionaries({"window": st.sampled_from(WINDOWS), "carry_state": st.booleans()})


@settings(max_examples=80, deadline=None)
@given(
    options,
    st.sampled_from(("prioritised", "queued")),
    st.sampled_from(("votes(2)", "margin(2)")),
    st.sampled_from(("train", "arrays", "lists")),
    st.integers(1, 4),
)
def test_a_huge_chunk_gives_the_decisions_of_single_events(options, mode, until, kind, divisor):
    train = na.SpikeTrain(STREAM.t_us // divisor // 1000 * 1000, STREAM.index)
    if mode == "queued":  # single events of one timestep are sorted, too
        train = STREAM
    chunk = {
        "train": train,
        "arrays": (train.t_us, train.index),
        "lists": (train.t_us.tolist(), train.index.tolist()),
    }[kind]

    async def decisions(chunks):
        network = na.Network(BUNDLE, input=mode, until=until)
        async with network, network.session() as session:
            found = await collected(session.stream(chunks, **options))
            return found, session.counts

    expected = asyncio.run(decisions(single_events(train)))
    with pytest.MonkeyPatch.context() as patch:
        few_are_many(patch)
        assert asyncio.run(decisions([chunk])) == expected


@settings(max_examples=40, deadline=None)
@given(options, st.sampled_from(("merge", "drop", "shift")), st.integers(0, 30))
def test_a_clock_runs_a_huge_chunk_like_one_that_is_small(options, late, behind_ms):
    """The second chunk arrives late, in part or as a whole."""
    first, rest = ([0, 1000, 1500], [0, 1, 2]), (STREAM.t_us + 2000, STREAM.index)

    async def decisions():
        clock, source = na.ManualClock(), na.BoundedQueue(3)
        network = na.Network(BUNDLE, until="margin(2)", clock=clock)
        async with network, network.session() as session:
            stream = session.stream(source, late=late, **options)
            reading = asyncio.create_task(collected(stream))
            source.push(first)
            await clock.advance(0)
            for _ in range(behind_ms):
                await clock.advance(1000)
            source.push(rest)
            source.close()
            for _ in range(200):
                await clock.advance(1000)
            return await reading, session.counts

    expected = asyncio.run(decisions())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmenter, "_MAX_EVENTS", 7)
        assert asyncio.run(decisions()) == expected


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
async def test_a_stream_continues_from_within_a_huge_chunk(window, carry_state, huge, no_leaks):
    how = {"window": window, "carry_state": carry_state}
    async with na.Network(BUNDLE, until="margin(2)") as network:
        async with network.session() as session:
            expected = await collected(session.stream([STREAM], **how))
        assert len(expected) > 1
        for done in range(1, len(expected)):
            async with network.session() as session:
                stream = session.stream([STREAM], **how)
                found = [await anext(stream) for _ in range(done)]
                snapshot = session.snapshot()
                await stream.aclose()
            async with network.session() as session:
                session.restore(snapshot)
                found += await collected(session.stream([], **how))
            assert found == expected


@pytest.mark.parametrize("has_clock", [False, True])
async def test_snapshot_includes_a_chunk_that_is_being_checked(
    huge, paused_check, has_clock, no_leaks
):
    began, may_end = paused_check
    clock = na.ManualClock() if has_clock else None
    taken = iter([STREAM])

    async def run(session):
        """Read the rest of the source to its end; a clock advances all the time."""
        reading = asyncio.create_task(collected(session.stream(taken, window="time(5ms)")))
        while has_clock and not reading.done():
            await clock.advance(1000)
            await asyncio.to_thread(lambda: None)
        return await reading

    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await collected(session.stream(single_events(STREAM), window="time(5ms)"))
    async with na.Network(BUNDLE, clock=clock) as network:
        async with network.session() as session:
            reading = asyncio.create_task(collected(session.stream(taken, window="time(5ms)")))
            await asyncio.to_thread(began.wait, 30)
            snapshot = session.snapshot()
            assert list(taken) == []
            reading.cancel()
            await asyncio.wait([reading])
            may_end.set()
        async with network.session() as session:
            session.restore(snapshot)
            assert await run(session) == expected


async def test_snapshot_leaves_out_a_chunk_that_is_not_valid(huge, paused_check, no_leaks):
    began, may_end = paused_check
    bad = ([5] * MANY, [-1] * MANY)
    async with na.Network(BUNDLE) as network, network.session() as session:
        stream = session.stream([([0], [0]), bad], window="time(5ms)")
        reading = asyncio.create_task(collected(stream))
        await asyncio.to_thread(began.wait, 30)
        snapshot = session.snapshot()
        may_end.set()
        with pytest.raises(na.EventsError, match="index"):
            await reading
        session.restore(snapshot)
        assert len(await collected(session.stream([], window="time(5ms)"))) == 1


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_closing_the_network_waits_for_a_check_in_a_thread(
    huge, paused_check, is_cancelled, monkeypatch, no_leaks
):
    began, may_end = paused_check
    network = await na.Network(BUNDLE).open()
    call = asyncio.create_task(network.decide(STREAM))
    await asyncio.to_thread(began.wait, 30)
    if is_cancelled:
        call.cancel()
        await asyncio.wait([call])
    closing = asyncio.create_task(network.close())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not closing.done()
    may_end.set()
    await closing
    await asyncio.wait([call])
    assert call.cancelled() if is_cancelled else isinstance(call.exception(), na.ClosedError)


async def test_cancelled_reader_of_a_paced_source_gets_the_chunk_again(
    huge, paused_check, no_leaks
):
    began, may_end = paused_check
    async with na.sources.Paced(each(STREAM), na.VirtualClock(), every_us=10**9) as source:
        reading = asyncio.create_task(anext(source))
        await asyncio.to_thread(began.wait, 30)
        reading.cancel()
        await asyncio.wait([reading])
        may_end.set()
        assert await anext(source) == STREAM


async def test_a_chunk_may_have_more_events_for_a_pass_than_may_wait(huge, monkeypatch, no_leaks):
    monkeypatch.setattr(limits, "MAX_QUEUED_EVENTS", 20)
    chunk = ([500] * 50, [1] * 50)
    async with na.Network(BUNDLE) as network, network.session() as session:
        assert await collected(session.stream([chunk], window="time(5ms)")) == [
            await network.decide(chunk, seed=na.sample_seed(0, 0), duration_us=5000)
        ]
        with pytest.raises(na.LimitError, match="50 events wait for one pass"):
            await collected(session.stream([chunk, ([500], [0])], window="time(5ms)"))
        assert session.counts.refused == 1


@pytest.mark.parametrize("kind", ["train", "arrays", "lists"])
@pytest.mark.parametrize("mode", ["prioritised", "queued"])
@pytest.mark.parametrize("window", [*WINDOWS, None])
async def test_no_turn_of_the_loop_works_on_a_whole_chunk(
    window, mode, kind, monkeypatch, no_leaks
):
    """Count the events that the loop's thread handles between two turns."""
    monkeypatch.setattr(many_events, "_MANY", 1000)
    monkeypatch.setattr(many_events, "_CONVERTED_AT_ONCE", 500)
    monkeypatch.setattr(segmenter, "_MAX_EVENTS", 500)
    monkeypatch.setattr(input_buffer, "_MAX_COPIED", 500)

    def merging(before, added, inputs, sorts):
        is_copied = before[0].size or len(added) > 1 or sorts
        return before[0].size + sum(map(len, added)) if is_copied else 0

    here, handled, most = threading.get_ident(), 0, 0

    def counting(owner, name, size):
        original = getattr(owner, name)

        def counted(*args, **kwargs):
            nonlocal handled
            if threading.get_ident() == here:
                handled += size(*args)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    counting(many_events, "int64_array", lambda field, values: len(values))
    counting(many_events, "as_train", lambda events: 10**6)
    counting(waiting_events.PlacedChunk, "times_us", lambda chunk, start, stop: stop - start)
    counting(input_buffer, "_merged", merging)
    counting(
        na.SpikeTrain, "check_indices",
        lambda train, inputs: 0 if train._max_index >= 0 else len(train),
    )  # fmt: skip
    loop, is_over = asyncio.get_running_loop(), False

    def turn():
        nonlocal handled, most
        handled, most = 0, max(most, handled)
        if not is_over:
            loop.call_soon(turn)

    # A slice of no length ends at each place where the time is examined.
    monkeypatch.setitem(TimeSlice._by_loop, loop, TimeSlice(0.0))
    n = 20_000
    t_us, index = np.arange(n) // 5000 * 1000, np.zeros(n, np.int64)
    chunk = {
        "train": na.SpikeTrain(t_us, index),
        "arrays": (t_us, index),
        "lists": (t_us.tolist(), index.tolist()),
    }[kind]
    network = na.Network(BUNDLE, input=mode, until="margin(2)")
    async with network, network.session() as session:
        loop.call_soon(turn)
        decisions = await collected(session.stream(each(chunk), window=window))
        assert session.counts.events == n
        is_over = True
    assert decisions
    assert most <= 4000
    assert most > 0 or window is None  # threads do all of it without a window
