"""Prophesee .dat files, with real and damaged content."""

import struct

import pytest

import neuroasync as na
from neuroasync.sources import CameraFileSource, SourceCounts
from tests.helpers.camera_streams import played

HEADER = b"% Version 2\n% Height 8\n% Width 16\n"


def record(t, x, y, on):
    """Return an event of version 2."""
    return struct.pack("<II", t % 2**32, on << 28 | y << 14 | x)


def dat(tmp_path, *records, header=HEADER, kind=b"\x0c\x08"):
    """Write a file and return its path."""
    path = tmp_path / "a.dat"
    path.write_bytes(header + kind + b"".join(records))
    return path


@pytest.mark.parametrize("kind", [b"\x00\x08", b"\x0c\x08"])
async def test_events_of_both_types_are_read(kind, tmp_path):
    path = dat(tmp_path, record(10, 1, 2, 0), record(25, 15, 7, 1), kind=kind)
    times, pixels, counts = await played(path)
    assert (times, pixels) == ([0, 15], [(1, 2, 0), (15, 7, 1)])
    assert counts == SourceCounts(accepted=2)


async def test_events_of_version_1_have_narrower_coordinates(tmp_path):
    records = struct.pack("<II", 10, 1 << 17 | 7 << 9 | 15), struct.pack("<II", 11, 2 << 9 | 1)
    path = dat(tmp_path, *records, header=HEADER.replace(b"2", b"1"))
    assert await played(path) == ([0, 1], [(15, 7, 1), (1, 2, 0)], SourceCounts(accepted=2))


async def test_time_goes_on_where_its_32_bits_wrap_around(tmp_path):
    path = dat(tmp_path, *(record(2**32 + k, 1, 1, 1) for k in (-20, -10, 5)))
    times, _, counts = await played(path)
    assert times == [0, 10, 25]
    assert counts == SourceCounts(accepted=3)


async def test_a_damaged_timestamp_is_moved_and_counted(tmp_path):
    times = [10, 20, 900_000_000, 30, 40_000, 500_000]
    path = dat(tmp_path, *(record(t, 1, 1, 1) for t in times))
    found, _, counts = await played(path)
    assert found == [0, 10, 10, 20, 39_990, 499_990]
    assert counts == SourceCounts(accepted=6, late=1)


async def test_a_pixel_outside_the_sensor_costs_only_itself(tmp_path):
    path = dat(tmp_path, record(0, 1, 1, 1), record(1, 16000, 1, 1), record(2, 2, 1, 1))
    times, _, counts = await played(path)
    assert times == [0, 2]
    assert counts == SourceCounts(accepted=2, outside=1)


async def test_an_incomplete_last_event_is_counted(tmp_path):
    path = dat(tmp_path, record(0, 1, 1, 1), record(1, 1, 1, 1)[:5])
    assert await played(path) == ([0], [(1, 1, 1)], SourceCounts(accepted=1, malformed=1))


async def test_a_file_without_events_is_empty(tmp_path):
    assert await played(dat(tmp_path)) == ([], [], SourceCounts())


@pytest.mark.parametrize(
    ("header", "kind", "message"),
    [
        (HEADER, b"", "the file ends before the type of its events$"),
        (HEADER, b"\x0e\x08", "type 0 or 12 and 8 bytes, got type 14 and 8 bytes$"),
        (HEADER, b"\x0c\x10", "got type 12 and 16 bytes$"),
        (
            b"% Version 9\n",
            b"\x0c\x08",
            r"version 9 of \.dat files is not supported; must be 1, 2$",
        ),
        (b"% " + b"x" * 2**16, b"", "the header must have at most 65536 bytes$"),
    ],
)
async def test_a_file_that_cannot_be_read_is_named_in_the_error(header, kind, message, tmp_path):
    path = dat(tmp_path, header=header, kind=kind)
    with pytest.raises(na.SourceError, match=r"a\.dat': .*" + message):
        await anext(CameraFileSource(path, (2, 4, 4)))
