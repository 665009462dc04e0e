"""Recordings of real cameras, decoded by Faery, and hand-made streams."""

import asyncio
import threading

import faery
import numpy as np
import pytest

import neuroasync as na
from neuroasync import limits
from neuroasync.sources import CameraFileSource, SourceCounts, View
from tests.helpers.event_streams import all_of
from tests.helpers.paths import DATA
from tests.helpers.small_networks import chain

CAMERA = DATA / "camera"
DVS = CAMERA / "dvs.es"
EVT2 = CAMERA / "evt2.raw"
SENSOR = (640, 480)

EVENT = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])


class Recording:
    """A hand-made stream in the form that Faery decodes files to."""

    def __init__(self, *packets, sensor=(8, 6)):
        self.packets = packets
        self.sensor = sensor
        self.ended_in = None

    def dimensions(self):
        return self.sensor

    def __iter__(self):
        try:
            for packet in self.packets:
                if isinstance(packet, BaseException):
                    raise packet
                yield np.array(packet, EVENT)
        finally:
            self.ended_in = threading.current_thread()


async def read(source):
    """Return the times and indices of all chunks of a source."""
    async with source:
        chunks = [p async for p in source]
    t_us = np.concatenate([np.zeros(0, np.int64), *(p.t_us for p in chunks)])
    return t_us, np.concatenate([np.zeros(0, np.int64), *(p.index for p in chunks)])


async def test_x_y_and_polarity_become_the_index_in_the_order_of_the_shape():
    recording = Recording([(1000, 3, 2, False), (1000, 3, 2, True)], [(1600, 7, 5, True)])
    source = CameraFileSource(recording, (2, 6, 8))
    assert await all_of(source) == [(0, 19), (0, 67), (600, 95)]
    assert await all_of(CameraFileSource(recording, (6, 8))) == [(0, 19), (0, 19), (600, 47)]


async def test_the_default_view_is_the_centre_with_the_largest_binning():
    corners = [
        (0, x, y, False) for x, y in ((0, 1), (1, 1), (2, 0), (2, 1), (5, 4), (6, 4), (5, 5))
    ]
    source = CameraFileSource(Recording(corners, sensor=(9, 6)), (1, 2, 2))
    # Bins of 3 x 3 pixels start at x = 1: columns 0, 7 and 8 are outside, and no row is.
    assert await all_of(source) == [(0, 0), (0, 0), (0, 0), (0, 3), (0, 3), (0, 3)]
    assert source.counts == SourceCounts(accepted=6, outside=1)


async def test_a_view_selects_the_pixels_that_the_network_sees():
    events = [(0, x, 3, True) for x in range(8)]
    source = CameraFileSource(Recording(events), (2, 1, 2), view=View(x=3, y=2, binning=2))
    assert await all_of(source) == [(0, 2), (0, 2), (0, 3), (0, 3)]
    assert source.counts == SourceCounts(accepted=4, outside=4)


async def test_times_that_go_back_are_moved_forward_and_counted():
    recording = Recording(
        [(100, 0, 0, True), (300, 1, 0, True)], [(200, 2, 0, True), (400, 3, 0, 1)]
    )
    source = CameraFileSource(recording, (6, 8))
    assert await all_of(source) == [(0, 0), (200, 1), (200, 2), (300, 3)]
    assert source.counts == SourceCounts(accepted=4, late=1)


async def test_the_es_recording_is_read_completely():
    t_us, index = await read(CameraFileSource(DVS, (2, 240, 320)))
    events = faery.events_stream_from_file(DVS).to_array()
    assert len(events) == 29_589
    assert np.array_equal(t_us, events["t"].astype(np.int64) - int(events["t"][0]))
    flat = np.ravel_multi_index((events["on"].astype(int), events["y"], events["x"]), (2, 240, 320))
    assert np.array_equal(index, flat)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("cut.aedat4", {}),
        ("cut.es", {}),
        ("cut2.raw", {"version": "evt2"}),
        ("cut3.raw", {"version": "evt3"}),
        ("cut.dat", {"version": "dat2"}),
    ],
)
async def test_every_format_of_the_same_recording_gives_the_same_events(name, more, tmp_path):
    expected = await read(CameraFileSource(EVT2, (2, 48, 64), sensor=SENSOR))
    assert expected[0].size == 15_959
    written = faery.events_stream_from_file(EVT2, dimensions_fallback=SENSOR)
    written.to_file(tmp_path / name, **more)
    found = await read(CameraFileSource(tmp_path / name, (2, 48, 64)))
    assert np.array_equal(found[0], expected[0])
    # Formats may differ in the order of events of the same time.
    order, expected_order = np.lexsort(found[::-1]), np.lexsort(expected[::-1])
    assert np.array_equal(found[1][order], expected[1][expected_order])


async def test_the_size_of_chunks_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "MAX_CHUNK_EVENTS", 2)
    source = CameraFileSource(Recording([(k, 0, 0, True) for k in range(5)]), (6, 8))
    assert [len(p) async for p in source] == [2, 2, 1]


async def test_a_filtered_stream_is_read_unchanged():
    stream = faery.events_stream_from_file(DVS).remove_off_events()
    _, index = await read(CameraFileSource(stream, (2, 240, 320)))
    assert index.size > 10_000
    assert index.min() >= 240 * 320


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("cut.es", b"Event Stream", r"cut\.es'?: .*; cannot be read$"),
        ("bad.aedat4", b"#!AER-DAT4.0\r\n" + b"\xff" * 200, r"bad\.aedat4'?: .*; cannot be read$"),
        ("cut.aedat4", b"#!AER-DAT4.0\r\n\x10", r"cut\.aedat4'?: .*; cannot be read$"),
        ("bad.h5", b"\x89HDF\r\n\x1a\n" + b"\xff" * 200, r"bad\.h5'?: cannot be read: "),
    ],
)
async def test_a_damaged_file_is_named_in_the_error(name, data, message, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(na.SourceError, match=message):
        async with CameraFileSource(tmp_path / name, (2, 4, 4)) as source:
            await all_of(source)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"t,x,y,p\n0,1,1,1\n", "text"),
        (b"[build-system]\nx = 1\n", "text"),
        (b"\xff\xfe\xfd\xfc", "of an unknown format"),
        (
            b"#!AER-DAT2.0\r\n",
            "an AEDAT file of an older version than 4, which dv-processing converts",
        ),
        (b"#ROSBAG V2.0\n", "a ROS bag"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_another_kind_of_file_is_named_as_what_it_is(data, kind, tmp_path):
    (tmp_path / "x.raw").write_bytes(data)
    with pytest.raises(
        na.SourceError, match=rf"x\.raw': the file must be a recording .* is {kind}$"
    ):
        await anext(CameraFileSource(tmp_path / "x.raw", (2, 4, 4)))


async def test_a_file_of_this_package_is_named_as_what_it_is(tmp_path):
    na.write_bundle(chain(), tmp_path / "x.raw")
    message = r"x\.raw' is a network \(\.nab\), not a recording of an event camera$"
    with pytest.raises(na.SourceError, match=message):
        await anext(CameraFileSource(tmp_path / "x.raw", (2, 4, 4)))


@pytest.mark.parametrize("path", ["missing.es", ".", "a\0b"])
async def test_a_path_without_a_file_is_named_in_the_error(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(na.SourceError, match=r"^'.+': cannot be read"):
        await anext(CameraFileSource(path, (2, 4, 4)))


async def test_the_content_decides_about_the_format_not_the_name(tmp_path):
    (tmp_path / "recording").write_bytes(DVS.read_bytes())
    t_us, _ = await read(CameraFileSource(tmp_path / "recording", (2, 240, 320)))
    assert t_us.size == 29_589


@pytest.mark.parametrize("sensor", [(640,), [640, 480], (0, 480), (640.0, 480), "640x480"])
def test_an_invalid_sensor_size_is_rejected(sensor):
    with pytest.raises(
        ValueError, match=r"^`sensor` must be \(width, height\), two integers, got "
    ):
        CameraFileSource(EVT2, (2, 4, 4), sensor=sensor)


async def test_a_sensor_of_unknown_size_needs_a_view_or_a_size(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 2.0\n% end\n" + np.array([8 << 28, 1 << 28], "<u4").tobytes())
    with pytest.raises(
        na.SourceError,
        match=r"a\.raw': the recording does not contain the size .* "
        r"sensor; state the sensor \(width and height\) or the view \(x, y and binning\)$",
    ):
        await anext(CameraFileSource(path, (2, 4, 4)))
    assert await all_of(CameraFileSource(path, (2, 4, 4), view=View())) == [(0, 16)]
    assert await all_of(CameraFileSource(path, (2, 4, 4), sensor=(4, 4))) == [(0, 16)]


async def test_a_network_with_more_pixels_than_the_camera_is_rejected():
    with pytest.raises(
        na.SourceError, match=r"the network sees 8 x 7 pixels, but the sensor has only 8 x 6"
    ):
        await anext(CameraFileSource(Recording(), (7, 8)))


async def test_the_error_of_a_decoder_follows_its_last_chunk():
    source = CameraFileSource(Recording([(0, 1, 1, True)], OSError("bad block")), (6, 8))
    assert await anext(source) is not None
    with pytest.raises(na.SourceError, match=r"bad block; cannot be read$"):
        await anext(source)


async def test_decoding_does_not_block_the_event_loop(no_leaks):
    may_go_on = threading.Event()

    class Slow(Recording):
        def __iter__(self):
            may_go_on.wait(10)
            yield np.array([(0, 1, 1, True)], EVENT)

    async with CameraFileSource(Slow(), (6, 8)) as source, asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(anext(source))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not reader.done()
        may_go_on.set()
        assert len(await reader) == 1


async def test_leaving_the_block_early_stops_the_decoder(no_leaks):
    recording = Recording(*([(k, 1, 1, True)] for k in range(100)))
    async with CameraFileSource(recording, (6, 8)) as source:
        await anext(source)
        assert recording.ended_in is None
    assert recording.ended_in not in (None, threading.main_thread())
