"""Prophesee .raw files of EVT 2.0 and 2.1, with real and damaged content."""

import numpy as np
import pytest

from neuroasync.sources import SourceCounts
from neuroasync.sources.cameras import evt2
from tests.helpers.camera_streams import played

HEADER = b"% evt 2.0\n% geometry 16x8\n% end\n"


def high(value):
    """Return a word with the higher bits of the time, in units of 64 µs."""
    return 8 << 28 | value % 2**28


def event(low, x, y, on):
    """Return a word with an event."""
    return on << 28 | low << 22 | x << 11 | y


def raw(tmp_path, *words, header=HEADER, kind="<u4", rest=b""):
    """Write a file and return its path."""
    path = tmp_path / "a.raw"
    path.write_bytes(header + np.array(words, kind).tobytes() + rest)
    return path


async def test_a_time_has_its_higher_bits_in_a_word_before(tmp_path):
    words = high(3), event(5, 1, 2, 0), event(63, 15, 7, 1), 0xE000_0000, high(4), event(0, 3, 0, 1)
    times, pixels, counts = await played(raw(tmp_path, *words))
    assert times == [0, 58, 59]
    assert pixels == [(1, 2, 0), (15, 7, 1), (3, 0, 1)]
    assert counts == SourceCounts(accepted=3)


async def test_a_time_that_goes_back_is_no_wrap(tmp_path):
    words = [w for value in (100, 99, 100, 101) for w in (high(value), event(0, 1, 1, 1))]
    times, _, counts = await played(raw(tmp_path, *words))
    assert times == [0, 0, 0, 64]
    assert counts == SourceCounts(accepted=4, late=1)


async def test_time_goes_on_where_its_34_bits_wrap_around(tmp_path):
    words = [w for value in (-1, 0, 1) for w in (high(value), event(1, 1, 1, 1))]
    assert await played(raw(tmp_path, *words)) == (
        [0, 64, 128],
        [(1, 1, 1)] * 3,
        SourceCounts(accepted=3),
    )


async def test_a_damaged_time_word_leaves_no_gap(tmp_path):
    words = [w for value in (10, 2**27, 11, 12) for w in (high(value), event(0, 1, 1, 1))]
    times, _, counts = await played(raw(tmp_path, *words))
    assert times == [0, 0, 64, 128]
    assert counts == SourceCounts(accepted=4, late=1)


async def test_events_before_the_first_time_are_left_out_and_counted(tmp_path):
    words = event(1, 1, 1, 1), event(2, 1, 1, 1), high(7), event(3, 1, 1, 1)
    assert await played(raw(tmp_path, *words)) == (
        [0],
        [(1, 1, 1)],
        SourceCounts(accepted=1, malformed=2),
    )


async def test_an_incomplete_last_word_is_counted(tmp_path):
    path = raw(tmp_path, high(7), event(3, 1, 1, 1), rest=b"\x01\x02\x03")
    assert await played(path) == ([0], [(1, 1, 1)], SourceCounts(accepted=1, malformed=1))


async def test_the_mask_of_evt_2_1_stands_for_neighbouring_pixels(tmp_path):
    header = b"% format EVT21;height=8;width=16\n% end\n"
    words = [high(2) << 32, event(1, 4, 3, 1) << 32 | 0b1011, event(9, 0, 0, 0) << 32 | 1 << 12]
    times, pixels, counts = await played(raw(tmp_path, *words, header=header, kind="<u8"))
    assert times == [0, 0, 0, 8]
    assert pixels == [(4, 3, 1), (5, 3, 1), (7, 3, 1), (12, 0, 0)]
    legacy = header.replace(b"width=16", b"width=16;endianness=legacy")
    swapped = [word >> 32 | (word & 2**32 - 1) << 32 for word in words]
    path = raw(tmp_path, *swapped, header=legacy, kind="<u8")
    assert await played(path) == (times, pixels, counts)
    assert counts == SourceCounts(accepted=4)


@pytest.mark.parametrize("read_bytes", [8, 12, 16, 40])
async def test_the_size_of_reads_does_not_matter(read_bytes, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    words = []
    for k in range(40):
        words += [
            high(k),
            *(event(k, *rng.integers(0, 8, 2).tolist(), k % 2) for _ in range(k % 3)),
        ]
    path = raw(tmp_path, event(0, 0, 0, 0), *words)
    whole = await played(path)
    monkeypatch.setattr(evt2, "READ_BYTES", read_bytes)
    assert await played(path) == whole
    assert len(whole[0]) == 39
