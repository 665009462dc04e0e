"""Spike files: canonical writing, reading, and the rejection of invalid files."""

import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroasync.core.events.labels_over_time import LabelsOverTime
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.spike_file import read_spikes, write_spikes
from neuroasync.errors import SpikeFileError
from tests.helpers.malformed_files import (
    archive,
    npy,
    npy_header,
    npy_raw,
    some_spikes,
    spike_members,
)
from tests.helpers.strategies import models, spike_trains


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), model=models(max_populations=1))
def test_spikes_are_read_as_written(tmp_path, data, model):
    samples = data.draw(st.lists(spike_trains(model), max_size=4))
    labels = data.draw(st.none() | st.just(list(range(len(samples)))))
    spikes = SpikeTrains.from_trains(samples, model.input_shape, labels)
    path = tmp_path / "spikes.npz"
    write_spikes(spikes, path)
    assert read_spikes(path) == spikes
    assert read_spikes(path.read_bytes()) == spikes


def test_equal_spikes_give_equal_bytes(tmp_path):
    write_spikes(some_spikes(), tmp_path / "a.npz")
    write_spikes(read_spikes(tmp_path / "a.npz"), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_spike_files(tmp_path):
    write_spikes(some_spikes(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["t_us"].tolist() == [0, 5, 5, 900, 2, 3, 1]
        assert arrays["index"].dtype == np.uint32
        assert arrays["shape"].tolist() == [2, 3]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_spike_files_of_numpy_are_read(save):
    spikes, file = some_spikes(), io.BytesIO()
    save(
        file,
        t_us=spikes.t_us,
        index=spikes.index.astype(np.uint32),
        offsets=spikes.offsets,
        labels=spikes.labels,
        shape=np.array(spikes.shape),
    )
    assert read_spikes(file.getvalue()) == spikes


def test_labels_may_be_missing():
    assert read_spikes(archive(spike_members(labels=None))).labels is None


class Pipe(io.RawIOBase):
    """A file that cannot seek, such as a connection."""

    def __init__(self):
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data)
        return len(data)


def test_a_streamed_archive_with_headers_that_are_not_padded_is_read():
    spikes, pipe = some_spikes(), Pipe()
    types = {"t_us": "<i8", "index": "<u4", "offsets": "<i8", "labels": "<i8", "shape": "<i8"}
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as file:
        for name, dtype in types.items():
            values = np.asarray(getattr(spikes, name), dtype)
            header = (
                f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({values.size},), }}\n"
            )
            start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
            file.writestr(f"{name}.npy", start + values.tobytes())
    assert read_spikes(pipe.data) == spikes


@pytest.mark.parametrize(
    "changes",
    [
        {"t_us": np.array([0, 5], ">i8")},
        {"t_us": np.array([[0], [5]], "<i8")},
        {"labels": np.array([None], object)},
        {"labels": np.array([-1], "<i8")},
        {"labels": np.array([0.5])},
        {"shape": np.array(2, "<i8")},
    ],
)
def test_arrays_of_other_tools_that_break_the_format_are_refused(changes):
    arrays = {
        "t_us": np.array([0, 5], "<i8"), "index": np.array([0, 1], "<u4"),
        "offsets": np.array([0, 2], "<i8"), "labels": np.array([0], "<i8"),
        "shape": np.array([2], "<i8"),
    }  # fmt: skip
    file = io.BytesIO()
    np.savez(file, **(arrays | changes))
    with pytest.raises(SpikeFileError, match=rf"^`{next(iter(changes))}"):
        read_spikes(file.getvalue())


def lzma(members):
    """Return an archive that uses a compression method which is not allowed."""
    return archive(members, zipfile.ZIP_LZMA)


def damaged_crc(members):
    """Return an archive with one flipped bit, so that a checksum does not match."""
    data = bytearray(archive(members, zipfile.ZIP_STORED))
    data[data.index(b"NUMPY") + 130] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"^this \.npz file cannot be read: File is not a zip file$"),
        (archive({}), r"^`t_us` is missing$"),
        (archive(spike_members(offsets=None)), r"^`offsets` is missing$"),
        (archive(spike_members(extra=npy([1]))), r"^'extra\.npy' is an unknown entry; known entri"),
        (
            archive(spike_members() | {"t_us.txt": b""}),
            r"^'t_us\.txt' is an unknown entry; known entries are \['t_us\.npy', 'index\.npy',",
        ),
        (lzma(spike_members()), r"^`t_us` must be stored or deflated, got compression method 14$"),
        (damaged_crc(spike_members()), r"^this \.npz file cannot be read: Bad CRC-32 for file 't_"),
        (archive(spike_members(t_us=b"no array")), r"^`t_us` must be a numpy array of format 1\.0"),
        (
            archive(spike_members(index=npy(np.arange(7)))),
            r"^`index` must be <u4 of 1 dimensions, got <i8 of 1 dimensions$",
        ),
        (
            archive(spike_members(t_us=npy(np.zeros(7)))),
            r"^`t_us` must be <i8 of 1 dimensions, got <f8 of 1 dimensions$",
        ),
        (
            archive(spike_members(t_us=npy(np.zeros(7, ">i8")))),
            r"^`t_us` must be <i8 of 1 dimensions, got >i8 of 1 dimensions$",
        ),
        (
            archive(spike_members(t_us=npy(np.zeros((7, 1), np.int64)))),
            r"^`t_us` must be <i8 of 1 dimensions, got <i8 of 2 dimensions$",
        ),
        (
            archive(spike_members(t_us=npy_raw(npy_header("<i8", "(7,)", "True"), bytes(56)))),
            r"^`t_us` must be a plain array in C order, got the header b",
        ),
        (
            archive(spike_members(t_us=npy_raw(npy_header("<i8", "(8,)"), bytes(56)))),
            r"^`t_us` must be 64 bytes long for shape \(8,\), got 56 bytes$",
        ),
        (
            archive(spike_members(shape=npy(np.zeros(0, np.int64)))),
            r"^`shape` must be a tuple of 1 to 8 integers, got \(\)$",
        ),
        (
            archive(spike_members(shape=npy(np.ones(9, np.int64)))),
            r"^`shape` must be a tuple of 1 to 8 integers, got \(1, 1, 1, 1, 1, 1, 1, 1, 1\)$",
        ),
        (
            archive(spike_members(shape=npy(np.array([2, 0])))),
            r"^`shape\[1\]` must be an integer from 1 to 16777216, got 0$",
        ),
        (
            archive(spike_members(t_us=npy(np.array([0, 5, 4, 900, 2, 3, 1])))),
            r"^`t_us\[2\]` must be at least 5, the time of the event before it in the sample, got",
        ),
        (
            archive(spike_members(index=npy(np.full(7, 6, np.uint32)))),
            r"^`index\[0\]` must be at most 5 \(`shape` has 6 inputs\), got 6$",
        ),
        (
            archive(spike_members(offsets=npy(np.array([0, 4, 4, 6, 8])))),
            r"^`offsets\[4\]` must be 7, the number of events, got 8$",
        ),
        (
            archive(spike_members(labels=npy(np.array([1])))),
            r"^`labels` must be a list of 4 labels, one per sample, got 1 labels$",
        ),
    ],
)
def test_invalid_spike_file_is_rejected_with_the_reason(data, message):
    with pytest.raises(SpikeFileError, match=message):
        read_spikes(data)


def test_repeated_array_is_rejected():
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = archive([*spike_members().items(), ("t_us", npy([1]))])
    with pytest.raises(SpikeFileError, match=r"^`t_us` is in the file twice$"):
        read_spikes(data)


def test_limit_applies_to_the_file_and_its_unpacked_arrays(tmp_path):
    many = SpikeTrains(np.zeros(9000, int), np.zeros(9000, int), [0, 9000], None, (4,))
    path = tmp_path / "a.npz"
    write_spikes(many, path)
    size = path.stat().st_size
    with pytest.raises(
        SpikeFileError, match=rf"npz': the file has {size} bytes, the limit is {size - 1}; pass"
    ):
        read_spikes(path, max_bytes=size - 1)
    unpacked = 9000 * (8 + 4) + 2 * 8 + 8 + 4 * 128
    with pytest.raises(
        SpikeFileError, match=rf"{unpacked} bytes unpacked, the limit is {unpacked - 1}; pass a"
    ):
        read_spikes(path, max_bytes=unpacked - 1)
    assert read_spikes(path, max_bytes=unpacked) == many


def test_missing_file_is_reported_in_one_line_with_its_path(tmp_path):
    with pytest.raises(
        SpikeFileError,
        match=r"^'.*/none\.npz': cannot",
    ) as e:
        read_spikes(tmp_path / "none.npz")
    assert "\n" not in str(e.value)


def test_write_error_names_the_path(tmp_path):
    with pytest.raises(
        SpikeFileError,
        match=r"^'.*/none/a\.npz': cannot",
    ):
        write_spikes(some_spikes(), tmp_path / "none" / "a.npz")
    assert os.listdir(tmp_path) == []


def over_time():
    labels = LabelsOverTime([0, 1, -1], [0, 2, 3], 1000)
    return SpikeTrains([0, 1500, 10], [0, 1, 2], [0, 2, 3], None, (4,), labels)


def test_labels_over_time_survive(tmp_path):
    path = tmp_path / "spikes.npz"
    write_spikes(over_time(), path)
    assert read_spikes(path) == over_time()
    with np.load(path) as arrays:
        assert {name: arrays[name].tolist() for name in arrays if "label" in name} == {
            "labels": [0, 1, -1],
            "label_offsets": [0, 2, 3],
            "label_every_us": [1000],
        }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_offsets": None}, "label_offsets is missing"),
        ({"label_every_us": None}, "label_every_us is missing"),
        ({"labels": None}, "labels is missing"),
        ({"label_every_us": [1000, 1]}, "`label_every_us` must be one integer, got 2"),
        ({"label_every_us": [0]}, "`label_every_us` must be an integer of at least 1, got 0"),
        ({"label_offsets": [0, 2]}, r"`label_offsets\[1\]` must be 3, the number of labels, got 2"),
        ({"labels": [0, -2, 1]}, r"`labels\[1\]` must be at least -1, got -2"),
        ({"label_every_us": [700]}, "must be labelled until its last event at 1500 µs"),
    ],
)
def test_malformed_labels_over_time_are_refused(tmp_path, change, message):
    path = tmp_path / "spikes.npz"
    write_spikes(over_time(), path)
    with np.load(path) as file:
        arrays = dict(file)
    for name, value in change.items():
        if value is None:
            del arrays[name]
        else:
            arrays[name] = np.array(value, np.int64)
    np.savez(path, **arrays)
    with pytest.raises(SpikeFileError, match=message):
        read_spikes(path)
