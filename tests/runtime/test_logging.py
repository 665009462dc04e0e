"""Log records of networks and streams have the documented texts and fields."""

import asyncio
import logging

import pytest

import neuroasync as na
from tests.helpers.small_networks import chain, sample


async def test_network_logs_opening_and_closing_with_fields(caplog):
    caplog.set_level(logging.DEBUG, "neuroasync")
    async with na.Network(chain()) as network, network.session() as session:
        await session.decide(sample())
        with pytest.raises(na.EventsError):
            await session.send(([0], [99]))
    found = [(r.name, r.levelname, r.getMessage().split(":")[0]) for r in caplog.records]
    assert found == [
        ("neuroasync.network", "INFO", "opened"),
        ("neuroasync.session", "DEBUG", "refused 1 events"),
        ("neuroasync.session", "DEBUG", "closed"),
        ("neuroasync.network", "INFO", "closed"),
    ]
    assert caplog.records[0].network == "12-8-8-4"
    refused = caplog.records[1]
    assert (refused.session, refused.sample, refused.refused) == (0, 1, 1)


async def test_late_events_and_missed_deadlines_are_logged_once(caplog):
    caplog.set_level(logging.INFO, "neuroasync.stream")
    clock, parts = na.ManualClock(), na.BoundedQueue(9)

    async def read(session):
        return [d async for d in session.stream(parts, window="events(1)")]

    async with na.Network(chain(), clock=clock) as network, network.session() as session:
        reading = asyncio.create_task(read(session))
        for t_us in (0, 100, 200):
            parts.push(([t_us], [0]))
            await clock.advance(0)
            clock._now_us += 10_000  # Another task has blocked the event loop.
            await clock.advance(1000)
        parts.close()
        await clock.advance(100_000)
        assert len(await reading) == 3
        assert session.counts.late == 2
        assert session.counts.missed_deadlines > 1
    told = [r for r in caplog.records if r.name == "neuroasync.stream"]
    assert [r.levelname for r in told] == ["INFO", "WARNING"]
    assert all(r.behind_us > 0 for r in told)
