"""Prophesee .raw files of EVT 3.0, with real and damaged content."""

import faery
import numpy as np
import pytest

from neuroasync.sources import CameraFileSource, SourceCounts
from neuroasync.sources.cameras import evt3
from tests.helpers.camera_streams import played
from tests.helpers.paths import DATA

HEADER = b"% evt 3.0\n% geometry 16x8\n% end\n"


def raw(tmp_path, *words, rest=b""):
    """Write a file of EVT 3 and return its path."""
    path = tmp_path / "a.raw"
    path.write_bytes(HEADER + np.array(words, "<u2").tobytes() + rest)
    return path


def y(row):
    return row


def event(x, on):
    return 0x2000 | on << 11 | x


def base(x, on):
    return 0x3000 | on << 11 | x


def low(time):
    return 0x6000 | time


def high(time):
    return 0x8000 | time


async def test_words_hold_for_the_events_that_follow(tmp_path):
    words = (
        high(1),
        low(5),
        y(3),
        event(2, 1),
        event(4, 0),
        low(9),
        event(5, 1),
        high(2),
        event(6, 1),
    )
    times, pixels, counts = await played(raw(tmp_path, *words))
    assert times == [0, 0, 4, 4091]
    assert pixels == [(2, 3, 1), (4, 3, 0), (5, 3, 1), (6, 3, 1)]
    assert counts == SourceCounts(accepted=4)


async def test_a_repeated_time_does_not_clear_its_lower_bits(tmp_path):
    words = high(1), low(5), y(0), event(0, 1), high(1), event(1, 1)
    times, _, _ = await played(raw(tmp_path, *words))
    assert times == [0, 0]


async def test_vectors_stand_for_neighbouring_pixels(tmp_path):
    words = (
        high(0),
        low(1),
        y(1),
        base(1, 1),
        0x4000 | 0b1000_0000_0101,
        0x5000 | 0b10,
        base(3, 0),
        0x5001,
    )
    _, pixels, counts = await played(raw(tmp_path, *words))
    assert pixels == [(1, 1, 1), (3, 1, 1), (12, 1, 1), (14, 1, 1), (3, 1, 0)]
    assert counts == SourceCounts(accepted=5)


async def test_words_of_other_types_and_incomplete_vectors_are_passed_over(tmp_path):
    words = [high(0), low(1), y(0), event(0, 0), base(2, 0), 0x4001, 0x4000]
    words += [0x9999, 0x9999, 0x7001, 0xF001, high(1), low(1), event(1, 1)]
    times, pixels, counts = await played(raw(tmp_path, *words))
    assert times == [0, 0, 4096]
    assert pixels == [(0, 0, 0), (2, 0, 0), (1, 0, 1)]
    assert counts == SourceCounts(accepted=3)


async def test_events_that_lack_time_row_or_base_are_left_out_and_counted(tmp_path):
    words = [y(1), event(1, 1), low(3), event(1, 1), high(3), low(5), event(2, 1), 0x4003]
    times, pixels, counts = await played(raw(tmp_path, *words))
    assert (times, pixels) == ([0], [(2, 1, 1)])
    assert counts == SourceCounts(accepted=1, malformed=4)
    _, pixels, counts = await played(
        raw(tmp_path, high(0), event(1, 1), base(0, 1), 0x5003, y(1), 0x5001)
    )
    assert pixels == [(8, 1, 1)]
    assert counts == SourceCounts(accepted=1, malformed=3)


async def test_time_goes_on_where_its_24_bits_wrap_around(tmp_path):
    words = [w for k in (4094, 4095, 0, 1) for w in (high(k), low(7), y(1), event(1, 1))]
    times, _, counts = await played(raw(tmp_path, *words))
    assert times == [0, 4096, 8192, 12288]
    assert counts == SourceCounts(accepted=4)


async def test_a_time_that_goes_back_is_no_wrap(tmp_path):
    words = [w for k in (100, 99, 100, 101) for w in (high(k), low(7), y(1), event(1, 1))]
    times, _, counts = await played(raw(tmp_path, *words))
    assert times == [0, 0, 0, 4096]
    assert counts == SourceCounts(accepted=4, late=1)


async def test_an_incomplete_last_word_is_counted(tmp_path):
    assert await played(raw(tmp_path, rest=b"\x01")) == ([], [], SourceCounts(malformed=1))
    path = raw(tmp_path, high(0), y(1), event(1, 1), rest=b"\x01")
    assert await played(path) == ([0], [(1, 1, 1)], SourceCounts(accepted=1, malformed=1))


@pytest.mark.parametrize("read_bytes", [2, 6, 10, 64])
async def test_the_size_of_reads_does_not_matter(read_bytes, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    kinds = rng.choice([0, 2, 3, 4, 4, 5, 6, 6, 9], 600)
    words = kinds << 12 | rng.integers(0, 16, 600) | rng.integers(0, 2, 600) << 11
    highs = 0x8000 | np.arange(600) // 40
    mixed = np.where(np.arange(600) % 10 == 9, highs, words)
    path = raw(tmp_path, *mixed.tolist())
    shape = (2, 32, 2048)
    whole = await played(path, shape)
    assert whole[2].accepted > 300
    monkeypatch.setattr(evt3, "READ_BYTES", read_bytes)
    assert await played(path, shape) == whole


async def test_faery_decodes_the_same_events(tmp_path):
    written = faery.events_stream_from_file(
        DATA / "camera" / "evt2.raw", dimensions_fallback=(640, 480)
    )
    written.to_file(tmp_path / "b.raw", version="evt3")
    expected = faery.events_stream_from_file(tmp_path / "b.raw").to_array()
    source = CameraFileSource(tmp_path / "b.raw", (2, 480, 640))
    async with source:
        chunks = [chunk async for chunk in source]
    t_us = np.concatenate([chunk.t_us for chunk in chunks])
    index = np.concatenate([chunk.index for chunk in chunks])
    pixel = np.ravel_multi_index(
        (expected["on"].astype(int), expected["y"], expected["x"]), (2, 480, 640)
    )
    assert np.array_equal(t_us, expected["t"].astype(np.int64) - int(expected["t"][0]))
    assert np.array_equal(index, pixel)
