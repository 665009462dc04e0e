"""HDF5 files of events in the layouts of Metavision and DSEC."""

import linecache

import h5py
import numpy as np
import pytest

import neuroasync as na
from neuroasync import limits
from neuroasync.sources import CameraFileSource, SourceCounts, View
from tests.helpers.camera_streams import played
from tests.helpers.event_streams import all_of

METAVISION = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
EVENTS = [(1, 2, 0, 1000), (15, 7, 1, 1020), (3, 0, 1, 1500)]
EXPECTED = [0, 20, 500], [(1, 2, 0), (15, 7, 1), (3, 0, 1)], SourceCounts(accepted=3)


def metavision(path, events=EVENTS, geometry="16x8", **storage):
    """Write a file in the layout of Metavision and return its path."""
    with h5py.File(path, "w") as file:
        if geometry is not None:
            file.attrs["geometry"] = geometry
        file.create_dataset("CD/events", data=np.array(events, METAVISION), **storage)
    return path


def dsec(path, events=EVENTS, **extra):
    """Write a file in the layout of DSEC and return its path."""
    columns = np.array(events, METAVISION)
    with h5py.File(path, "w") as file:
        for name, kind in (("x", "<u2"), ("y", "<u2"), ("p", "u1"), ("t", "<u4")):
            file.create_dataset(f"events/{name}", data=columns[name].astype(kind))
        for name, value in extra.items():
            file[name] = value
    return path


@pytest.mark.parametrize("storage", [{}, {"chunks": (2,), "compression": "gzip"}])
async def test_a_file_of_metavision_is_read(storage, tmp_path):
    assert await played(metavision(tmp_path / "a.hdf5", **storage)) == EXPECTED


async def test_a_file_of_dsec_is_read(tmp_path):
    path = dsec(tmp_path / "events.h5", t_offset=7 * 10**9, ms_to_idx=np.array([0, 3]))
    assert await played(path) == EXPECTED


async def test_files_compressed_with_blosc_are_read(tmp_path):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    path = metavision(tmp_path / "a.h5", chunks=(2,), **hdf5plugin.Blosc(cname="zstd"))
    assert await played(path) == EXPECTED


async def test_the_view_follows_the_size_of_the_sensor(tmp_path):
    events = [(0, 0, 1, 0), (4, 0, 1, 1), (11, 7, 1, 2), (12, 7, 1, 3)]
    for geometry in ("16x8", b"16x8"):
        source = CameraFileSource(metavision(tmp_path / "a.h5", events, geometry), (1, 4, 4))
        assert await all_of(source) == [(1, 0), (2, 15)]
    source = CameraFileSource(metavision(tmp_path / "b.h5", events, None), (1, 4, 4))
    with pytest.raises(
        na.SourceError, match=r"does not contain the size of its sensor; state the sensor"
    ):
        await anext(source)
    path = dsec(tmp_path / "c.h5", [(319, 239, 1, 0), (320, 240, 1, 9)], t_offset=0, ms_to_idx=[0])
    assert await all_of(CameraFileSource(path, (1, 2, 2))) == [(0, 0), (9, 3)]


async def test_a_file_is_read_in_bounded_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_CHUNK_EVENTS", 2)
    path = metavision(tmp_path / "a.h5")
    assert [len(chunk) async for chunk in CameraFileSource(path, (8, 16))] == [2, 1]
    assert await played(dsec(tmp_path / "b.h5")) == EXPECTED


async def test_damaged_times_are_moved_and_counted(tmp_path):
    events = [(1, 1, 1, t) for t in (10, 20, -(2**63), 2**63 - 1, 30)]
    times, _, counts = await played(metavision(tmp_path / "a.h5", events))
    assert times == [0, 10, 10, 10, 20]
    assert counts == SourceCounts(accepted=5, late=2)


async def test_times_that_look_like_another_unit_are_warned_of(tmp_path):
    events = [(k % 16, k // 16 % 8, 1, k // 10) for k in range(2000)]
    source = CameraFileSource(metavision(tmp_path / "a.h5", events), (8, 16))
    with pytest.warns(na.TimeUnitWarning, match=r"^the times of the events look like ms, but") as w:
        assert sum([len(chunk) async for chunk in source]) == 2000
    assert w[0].filename == __file__
    assert "source = " in linecache.getline(__file__, w[0].lineno)


async def test_a_file_without_events_is_empty(tmp_path):
    assert await played(metavision(tmp_path / "a.h5", [])) == ([], [], SourceCounts())


def unequal(file):
    for name, size in (("x", 3), ("y", 3), ("p", 2), ("t", 3)):
        file[f"events/{name}"] = np.zeros(size, np.uint16)


def floats(file):
    for name in "xypt":
        file[f"events/{name}"] = np.zeros(3)


def huge_blocks(file):
    file.create_dataset(
        "CD/events", shape=(0,), maxshape=(None,), dtype=METAVISION, chunks=(2**24,)
    )


def ecf(file):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((4,))
    properties.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL)
    space, kind = h5py.h5s.create_simple((4,)), h5py.h5t.py_create(METAVISION)
    h5py.h5d.create(file.create_group("CD").id, b"events", kind, space, properties)


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda file: None, r"must have events in `CD/events` .* this one has nothing$"),
        (lambda file: file.create_group("tensors"), r"this one has 'tensors'$"),
        (lambda file: file.create_group("CD/events"), r"`CD/events` must be a data set with the"),
        (
            lambda file: file.create_dataset("CD/events", data=[1]),
            r"with the fields x, y, p and t$",
        ),
        (unequal, r"`events/p` must have 3 events, as `events/t` has$"),
        (floats, r"`events/t` must be one-dimensional, of integers, got 1 dimensions of float64$"),
        (
            huge_blocks,
            r"`CD/events` must be stored in blocks of at most 67108864 bytes, got 2348810",
        ),
        (
            ecf,
            r"`CD/events` is compressed with Prophesee's ECF: install its HDF5 plugin from "
            r"https://github\.com/prophesee-ai/hdf5_ecf and set HDF5_PLUGIN_PATH to its folder$",
        ),
    ],
)
async def test_a_file_that_cannot_be_read_is_named_in_the_error(fill, message, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        fill(file)
    with pytest.raises(na.SourceError, match=r"a\.h5': .*" + message):
        await anext(CameraFileSource(tmp_path / "a.h5", (2, 4, 4), view=View()))


async def test_a_damaged_block_is_named_in_the_error(tmp_path):
    events = [(k % 16, k % 8, 1, k) for k in range(5000)]
    path = metavision(tmp_path / "a.h5", events, chunks=(1000,), compression="gzip")
    data = path.read_bytes()
    path.write_bytes(data[:-3000] + b"\0" * 2000 + data[-1000:])
    with pytest.raises(na.SourceError, match=r"a\.h5': cannot be read: "):
        await all_of(CameraFileSource(path, (2, 4, 4)))
