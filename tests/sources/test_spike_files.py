"""Spike files that are read as one stream."""

import asyncio
import contextlib
from pathlib import Path

import numpy as np
import pytest

import neuroasync as na
from neuroasync import limits
from neuroasync.runtime.clock import VirtualClock
from neuroasync.shipped import shipped_bundle
from neuroasync.sources import Paced, SourceCounts, SpikeFileSource
from tests.helpers.event_streams import all_of, chunk


def shipped_path():
    """Return the path of a spike file that ships with the package."""
    return Path(na.__file__).parent / "data" / "digits-test-rate.npz"


@pytest.fixture
def path(tmp_path):
    """Path of a spike file with three samples, one of them empty."""
    trains = [chunk((0, 1), (40, 2)), chunk(), chunk((7, 3))]
    na.write_spikes(na.SpikeTrains.from_trains(trains, (4,)), tmp_path / "spikes.npz")
    return tmp_path / "spikes.npz"


async def test_samples_start_one_period_apart(path):
    async with SpikeFileSource(path, period_us=100) as source:
        assert await all_of(source) == [(0, 1), (40, 2), (207, 3)]
        assert source.counts == SourceCounts(accepted=3)


async def test_a_file_of_one_sample_needs_no_period(tmp_path):
    trains = na.SpikeTrains.from_trains([chunk((5, 1), (40, 2))], (4,))
    na.write_spikes(trains, tmp_path / "one.npz")
    assert await all_of(SpikeFileSource(tmp_path / "one.npz")) == [(5, 1), (40, 2)]


@pytest.mark.parametrize("period_us", [None, 40])
async def test_the_error_about_a_short_period_states_the_minimum(path, period_us):
    with pytest.raises(
        na.SpikeFileError,
        match=r"': the file has 3 samples of up to 41 µs; `period_us` must be at least 41",
    ):
        await anext(SpikeFileSource(path, period_us=period_us))


async def test_an_unreadable_file_is_named_in_the_error(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"no")
    for name in ("bad.npz", "missing.npz"):
        async with SpikeFileSource(tmp_path / name) as source:
            with pytest.raises(na.SpikeFileError):
                await anext(source)


async def test_the_size_of_chunks_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_CHUNK_EVENTS", 100)
    train = na.SpikeTrain(np.arange(250), np.arange(250) % 4)
    na.write_spikes(na.SpikeTrains.from_trains([train], (4,)), tmp_path / "long.npz")
    async with SpikeFileSource(tmp_path / "long.npz") as source:
        assert [len(p) async for p in source] == [100, 100, 50]


async def test_a_shipped_file_is_unchanged_through_a_source():
    spikes = na.read_spikes(shipped_path())
    async with Paced(SpikeFileSource(shipped_path(), period_us=10_000), VirtualClock()) as source:
        found = [p async for p in source]
    t_us = np.concatenate([p.t_us for p in found])
    starts = np.repeat(np.arange(len(spikes)) * 10_000, np.diff(spikes.offsets))
    assert np.array_equal(t_us, spikes.t_us + starts)
    assert np.array_equal(np.concatenate([p.index for p in found]), spikes.index)


async def test_a_window_per_sample_gives_the_decisions_of_single_samples():
    samples = na.read_spikes(shipped_path())[:20]
    async with na.Network(shipped_bundle("unlayered")) as network:
        expected = [
            await network.decide(train, seed=na.sample_seed(0, k), duration_us=10_000)
            for k, train in enumerate(samples)
        ]
        async with (
            network.session() as session,
            SpikeFileSource(shipped_path(), period_us=10_000) as source,
        ):
            decisions = session.stream(source, window="time(10000)")
            async with contextlib.aclosing(decisions):
                found = [await anext(decisions) for _ in range(20)]
    assert found == expected


@pytest.mark.parametrize("ticks", range(4))
async def test_a_cancelled_reader_loses_no_event(ticks, path, no_leaks):
    async with SpikeFileSource(path, period_us=100) as source:
        reader = asyncio.create_task(anext(source))
        for _ in range(ticks):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
        found = [] if reader.cancelled() else reader.result().index.tolist()
        assert found + [i for _, i in await all_of(source)] == [1, 2, 3]


async def test_a_stream_that_lasts_too_long_is_refused_with_the_name_of_the_file(path):
    # Three samples, the last of which ends at 40 µs.
    longest = (2**53 - 40) // 2
    async with SpikeFileSource(path, period_us=longest) as source:
        assert [int(chunk.t_us[-1]) async for chunk in source][-1] <= 2**53
    with pytest.raises(na.SpikeFileError, match=rf"': the file has 3 samples; .* {2**53}$"):
        await anext(SpikeFileSource(path, period_us=longest + 1))


@pytest.mark.parametrize("period_us", [0, -1, 1.5, True])
def test_a_period_out_of_range_is_rejected(period_us, path):
    with pytest.raises(ValueError, match=r"^`period_us` must be an integer of "):
        SpikeFileSource(path, period_us=period_us)
