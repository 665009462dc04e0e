"""Counts add up, and include the events that were rejected."""

import dataclasses

import pytest

import neuroasync as na
from tests.helpers.relay_streams import RELAY


async def test_rejected_events_are_counted(no_leaks):
    async with na.Network(RELAY) as network:
        async with network.session() as session:
            with pytest.raises(na.EventsError):
                await session.send(([0, 1], [0, 7]))
            await session.send(([5], [0]))
            with pytest.raises(na.EventsError):
                await session.send(([1], [0]))
            assert session.counts == na.Counts(events=1, refused=3)
        assert network.counts == na.Counts(events=1, refused=3)


def test_every_count_is_added():
    names = [field.name for field in dataclasses.fields(na.Counts)]
    total = na.Counts(**{name: k for k, name in enumerate(names, 1)})
    total.add(na.Counts(**{name: 100 * k for k, name in enumerate(names, 1)}))
    assert total == na.Counts(**{name: 101 * k for k, name in enumerate(names, 1)})
