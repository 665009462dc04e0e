"""Spike files: what is written is read back, byte for byte the same, and nothing else is read."""

import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroasync.core.events.spike_train import SpikeTrains
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
def test_spikes_survive_a_file(tmp_path, data, model):
    samples = data.draw(st.lists(spike_trains(model), max_size=4))
    labels = data.draw(st.none() | st.just(list(range(len(samples)))))
    spikes = SpikeTrains.from_trains(samples, model.input_shape, labels)
    path = tmp_path / "spikes.npz"
    write_spikes(spikes, path)
    assert read_spikes(path) == spikes
    assert read_spikes(path.read_bytes()) == spikes


def test_the_same_spikes_twice_are_the_same_bytes(tmp_path):
    write_spikes(some_spikes(), tmp_path / "a.npz")
    write_spikes(read_spikes(tmp_path / "a.npz"), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_what_we_write(tmp_path):
    write_spikes(some_spikes(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["t_us"].tolist() == [0, 5, 5, 900, 2, 3, 1]
        assert arrays["index"].dtype == np.uint32
        assert arrays["shape"].tolist() == [2, 3]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_we_read_what_numpy_writes(save):
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


def lzma(members):
    return archive(members, zipfile.ZIP_LZMA)


def damaged_crc(members):
    data = bytearray(archive(members, zipfile.ZIP_STORED))
    data[data.index(b"NUMPY") + 130] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"^not a readable .npz file: File is not a zip file$"),
        (archive({}), r"^t_us: missing, expected <i8 of 1 dimensions$"),
        (archive(spike_members(offsets=None)), r"^offsets: missing, expected <i8"),
        (archive(spike_members(extra=npy([1]))), r"^'extra.npy': unknown, expected one of \['t_us"),
        (archive(spike_members() | {"t_us.txt": b""}), r"^'t_us.txt': unknown, expected one of"),
        (lzma(spike_members()), r"^t_us: compression 14, expected stored or deflated$"),
        (damaged_crc(spike_members()), r"^not a readable .npz file: Bad CRC-32"),
        (
            archive(spike_members(t_us=b"no array")),
            r"^t_us: b'no array', expected a numpy array of format 1.0$",
        ),
        (
            archive(spike_members(index=npy(np.arange(7)))),
            r"^index: <i8 of 1 dimensions, expected <u4 of 1 dimensions$",
        ),
        (
            archive(spike_members(t_us=npy(np.zeros(7)))),
            r"^t_us: <f8 of 1 dimensions, expected <i8 of 1 dimensions$",
        ),
        (
            archive(spike_members(t_us=npy(np.zeros(7, ">i8")))),
            r"^t_us: >i8 of 1 dimensions, expected <i8 of 1 dimensions$",
        ),
        (
            archive(spike_members(t_us=npy(np.zeros((7, 1), np.int64)))),
            r"^t_us: <i8 of 2 dimensions, expected <i8 of 1 dimensions$",
        ),
        (
            archive(spike_members(t_us=npy_raw(npy_header("<i8", "(7,)", "True"), bytes(56)))),
            r"^t_us: header .*, expected a plain array in C order$",
        ),
        (
            archive(spike_members(t_us=npy_raw(npy_header("<i8", "(8,)"), bytes(56)))),
            r"^t_us: 56 bytes, expected 64 for shape \(8,\)$",
        ),
        (
            archive(spike_members(shape=npy(np.zeros(0, np.int64)))),
            r"^shape: 0 dimensions, expected 1 to 8$",
        ),
        (
            archive(spike_members(shape=npy(np.ones(9, np.int64)))),
            r"^shape: 9 dimensions, expected 1 to 8$",
        ),
        (
            archive(spike_members(shape=npy(np.array([2, 0])))),
            r"^shape\[1\]: 0, expected an integer from 1",
        ),
        (
            archive(spike_members(t_us=npy(np.array([0, 5, 4, 900, 2, 3, 1])))),
            r"^t_us\[2\]: 4 after 5, expected ascending times in a sample$",
        ),
        (
            archive(spike_members(index=npy(np.full(7, 6, np.uint32)))),
            r"^index\[0\]: 6, expected 0 to 5, the cells of shape$",
        ),
        (
            archive(spike_members(offsets=npy(np.array([0, 4, 4, 6, 8])))),
            r"^offsets\[4\]: 8, expected 7, the number of events$",
        ),
        (
            archive(spike_members(labels=npy(np.array([1])))),
            r"^labels: 1 of them, expected one for 4 samples$",
        ),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_the_reason(data, message):
    with pytest.raises(SpikeFileError, match=message):
        read_spikes(data)


def test_an_array_twice_is_refused():
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = archive([*spike_members().items(), ("t_us", npy([1]))])
    with pytest.raises(SpikeFileError, match=r"^t_us: twice in the file, expected once$"):
        read_spikes(data)


def test_the_limit_counts_the_file_and_what_it_unpacks_to(tmp_path):
    many = SpikeTrains(np.zeros(9000, int), np.zeros(9000, int), [0, 9000], None, (4,))
    path = tmp_path / "a.npz"
    write_spikes(many, path)
    size = path.stat().st_size
    with pytest.raises(SpikeFileError, match=rf"npz': {size} bytes, the limit is {size - 1}; pass"):
        read_spikes(path, max_bytes=size - 1)
    unpacked = 9000 * (8 + 4) + 2 * 8 + 8 + 4 * 128
    with pytest.raises(
        SpikeFileError, match=rf"{unpacked} bytes unpacked, the limit is {unpacked - 1}; pass a"
    ):
        read_spikes(path, max_bytes=unpacked - 1)
    assert read_spikes(path, max_bytes=unpacked) == many


def test_a_missing_file_is_one_line_with_its_path(tmp_path):
    with pytest.raises(
        SpikeFileError, match=r"^'.*none.npz': No such file or directory; cannot"
    ) as e:
        read_spikes(tmp_path / "none.npz")
    assert "\n" not in str(e.value)


def test_spikes_that_cannot_be_written_are_an_error_with_the_path(tmp_path):
    with pytest.raises(
        SpikeFileError, match=r"^'.*a.npz': No such file or directory; cannot be wr"
    ):
        write_spikes(some_spikes(), tmp_path / "none" / "a.npz")
    assert os.listdir(tmp_path) == []
