"""Snapshots with times that were made up do not make a network run for ever."""

import asyncio
import contextlib
import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from tests.helpers.malformed_files import sealed, unsealed

WINDOWS = ("time(2000)", "events(3)", "silence(2000)", "decided")
TIMES = (2**31, 2**53 - 1, 2**62)


def pair(timestep_us):
    """Return two populations that excite each other with a delay, without end."""
    weight = np.full((4, 4), 0.3, np.float32)
    populations = tuple(na.Population(name, (4,), na.LIF(5000.0)) for name in ("hidden", "out"))
    back = na.Dense("out", "hidden", weight, np.full(4, 0.3, np.float32), delay_us=2000)
    connections = (na.Dense("input", "hidden", weight), na.Dense("hidden", "out", weight), back)
    return na.Bundle(na.Model(timestep_us, (4,), populations, connections, "out"))


async def source():
    for k in range(6):
        yield na.SpikeTrain([1000 * k, 1000 * k + 500], [k % 4, 1])


async def interrupted(network, options):
    """Return the snapshot of a stream after its first decision."""
    async with network.session() as session:
        stream = session.stream(source(), **options)
        await anext(stream)
        data = session.snapshot()
        await stream.aclose()
        return data


def integers(fields, path=()):
    """Yield the paths of the integers in the fields of a snapshot."""
    for key, value in fields.items():
        if type(value) is int:
            yield (*path, key)
        elif key in ("counters", "stream"):
            yield from integers(value, (*path, key))


def replaced(fields, path, value):
    changed = copy.deepcopy(fields)
    part = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return changed


@pytest.mark.parametrize("carry_state", [True, False])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("timestep_us", [1000, 0])
async def test_a_restored_stream_runs_few_passes_whatever_its_counters_say(
    timestep_us, window, carry_state
):
    options = {"window": window, "carry_state": carry_state}
    async with na.Network(pair(timestep_us), until="votes(1)") as network:
        fields = unsealed(await interrupted(network, options))
        for path in integers(fields):
            for value in TIMES:
                async with network.session() as session, network.tap("hidden") as tap:
                    with contextlib.suppress(na.NeuroasyncError, ValueError):
                        session.restore(sealed(replaced(fields, path, value)))
                        async for _ in session.stream([([8000], [1])], **options):
                            pass
                    assert session.counts.decisions < 10
                    tap.close()
                    assert len([spikes async for spikes in tap]) < 100


@pytest.mark.parametrize("timestep_us", [1000, 0])
@pytest.mark.parametrize("last_us", [10**6, 2**53 - 1])
async def test_an_end_that_the_sample_has_not_reached_is_refused(timestep_us, last_us):
    async with na.Network(pair(timestep_us)) as network, network.session() as session:
        await session.send(([0, 0, 0, 0], [0, 1, 2, 3]))  # all neurons fire
        await session.advance(1500)
        fields = unsealed(session.snapshot())
        with pytest.raises(na.SnapshotError, match=r"^`last_us` must be "):
            session.restore(sealed({**fields, "last_us": last_us}))


async def test_a_last_event_beyond_the_limit_of_passes_is_refused():
    async with na.Network(pair(1000)) as network, network.session() as session:
        await session.send(([5], [0]))
        fields = unsealed(session.snapshot())
        with pytest.raises(
            na.SnapshotError, match=r"^`last_us` must be an integer of at most 9999"
        ):
            session.restore(sealed({**fields, "last_us": 10**10}))


@settings(max_examples=30, deadline=None)
@given(
    timestep_us=st.sampled_from([1000, 0]),
    until=st.sampled_from(["quiet", "votes(1)"]),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 2500)), max_size=6),
)
def test_a_snapshot_is_accepted_wherever_it_was_taken(timestep_us, until, steps):
    async def run():
        async with na.Network(pair(timestep_us), until=until) as network:
            t_us = 0
            async with network.session() as session, network.session() as other:
                for is_event, later_us in steps:
                    t_us += later_us
                    if is_event:
                        await session.send(([t_us] * 4, [0, 1, 2, 3]))
                    else:
                        await session.advance(t_us)
                    other.restore(session.snapshot())
                assert await other.finish_sample() == await session.finish_sample()

    asyncio.run(run())
