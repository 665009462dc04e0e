"""Prophesee files with any content are decoded or rejected, and time goes on."""

import asyncio

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroasync import SourceError
from tests.helpers.camera_streams import played

HEADERS = {
    "dat": b"% Version 2\n\x00\x08",
    "evt2": b"% evt 2.0\n% end\n",
    "evt2.1": b"% format EVT21;endianness=legacy\n% end\n",
    "evt3": b"% evt 3.0\n% end\n",
}


@pytest.mark.parametrize("kind", HEADERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_after_a_header_are_decoded(kind, data, tmp_path):
    (tmp_path / "a").write_bytes(HEADERS[kind] + data)
    times, pixels, counts = asyncio.run(played(tmp_path / "a"))
    assert times == sorted(times)
    assert counts.accepted == len(times) == len(pixels)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=60), kind=st.sampled_from(sorted(HEADERS)), cut=st.integers(0, 40))
def test_any_header_is_read_or_rejected(kind, data, cut, tmp_path):
    (tmp_path / "a").write_bytes(HEADERS[kind][:cut] + data)
    message = ""
    try:
        times, pixels, counts = asyncio.run(played(tmp_path / "a"))
    except SourceError as error:
        message = str(error)
    else:
        assert times == sorted(times)
        assert counts.accepted == len(times) == len(pixels)
    assert not message or message.startswith(repr(str(tmp_path / "a")))


@pytest.mark.parametrize("kind", HEADERS)
def test_a_damaged_block_in_the_middle_leaves_no_gap_of_minutes(kind, tmp_path):
    k = np.arange(40_000, dtype=np.int64)
    match kind:
        case "dat":
            words = np.column_stack((k * 10, np.full(k.size, 1 << 28 | 1 << 14 | 1))).astype("<u4")
        case "evt2":
            words = np.column_stack((8 << 28 | k, np.full(k.size, 1 << 28 | 1 << 11))).astype("<u4")
        case "evt2.1":
            event = np.full(k.size, 1 << 28 | 1 << 11)
            mask = np.ones(k.size)
            words = np.column_stack((8 << 28 | k, mask, event, mask)).astype("<u4")
        case "evt3":
            high, low = 0x8000 | k * 10 >> 12 & 4095, 0x6000 | k * 10 & 4095
            words = np.column_stack((high, low, k & 0, np.full(k.size, 0x2001))).astype("<u2")
    data = bytearray(words.tobytes())
    middle = len(data) // 2
    span = int(asyncio.run(played(write(tmp_path, kind, data)))[0][-1])
    random = (np.random.default_rng(seed).bytes(4096) for seed in range(5))
    for block in (bytes(4096), b"\xff" * 4096, *random):
        data[middle : middle + 4096] = block
        times, _, _ = asyncio.run(played(write(tmp_path, kind, data)))
        assert times == sorted(times)
        assert abs(times[-1] - span) < 20_000_000


def write(folder, kind, data):
    """Write a file of a kind and return its path."""
    (folder / "a").write_bytes(HEADERS[kind] + bytes(data))
    return folder / "a"
