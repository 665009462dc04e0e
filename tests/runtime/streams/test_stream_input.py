"""A stream checks its options and its events, also those that no decision needs."""

import asyncio

import pytest

import neuroasync as na
from tests.helpers.relay_streams import RELAY
from tests.helpers.small_networks import sample


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": "weekly"}, r"^`window` must be time\(t\) or silence\(t\)"),
        ({"window": "time(1)", "late": "skip"}, r"^`late` must be 'drop', 'merge' or 'shift', got"),
    ],
)
async def test_unknown_window_or_late_option_is_rejected(options, message):
    async with na.Network(RELAY) as network, network.session() as session:
        with pytest.raises(ValueError, match=message):
            await anext(session.stream([], **options))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (([3, 4], [0, 0]), r"^`t_us\[0\]` must be at least 5, the time of the stream"),
        (([9, 9], [0, 7]), r"^`index\[1\]` must be at most 0"),
    ],
)
async def test_rejected_events_are_counted_after_the_window_is_decided(part, message):
    async with na.Network(RELAY, until="first-spike") as network, network.session() as session:
        stream = session.stream([([0, 1000], [0, 0]), ([1000], [0]), part], window="time(9000)")
        if part[0][0] < 5:
            stream = session.stream([([0, 5], [0, 0]), part], window="time(9000)")
        with pytest.raises(na.EventsError, match=message):
            _ = [decision async for decision in stream]
        assert session.counts.refused == 2


async def test_unread_events_let_the_event_loop_run(no_leaks):
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with na.Network(RELAY, until="first-spike") as network, network.session() as session:
        other = asyncio.create_task(others())
        parts = (([k], [0]) for k in range(3000))
        found = [d async for d in session.stream(parts, window="time(100000)")]
        other.cancel()
        assert len(found) == 1
        assert turns > 3
        with pytest.raises(asyncio.CancelledError):
            await other


@pytest.mark.parametrize(
    ("options", "source", "error", "message"),
    [
        ({"window": "decided"}, [], ValueError, r"^window 'decided' never ends with until='quiet"),
        ({"late": "drop"}, [], ValueError, r"^`carry_state`, `late` and `jitter_buffer_us` need"),
        (
            {"jitter_buffer_us": -1, "window": "time(1)"},
            [],
            ValueError,
            r"^`jitter_buffer_us` must be an integer of at least 0, got -1",
        ),
        (
            {"window": "time(1)"},
            sample(),
            TypeError,
            r"^`source` must be an iterable .*, got SpikeT",
        ),
        ({}, 5, TypeError, r"^`source` must be an iterable .*, got int"),
    ],
)
async def test_invalid_stream_arguments_are_rejected(options, source, error, message):
    async with na.Network(RELAY) as network, network.session() as session:
        with pytest.raises(error, match=message):
            await anext(session.stream(source, **options))
