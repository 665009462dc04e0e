"""Crafted attacks on files: they must be rejected with the documented error and little memory."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from neuroasync.core.formats.bundle import read_bundle
from neuroasync.core.formats.spike_file import read_spikes
from neuroasync.errors import BundleError, SpikeFileError
from tests.helpers.malformed_files import (
    archive,
    body_of,
    npy,
    npy_header,
    npy_raw,
    pack,
    rich_bundle,
    seal,
    spike_members,
)

MIB = 2**20


def peak_of(read, data, error, message=".") -> int:
    """Return the peak of memory, in bytes, while ``data`` is rejected."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=message):
            read(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Bomb:
    """An object whose pickle ends the process."""

    def __reduce__(self):
        return (os._exit, (3,))


@pytest.mark.parametrize("opener", [b"\x91", b"\x81\xa1a", b"\xdc\xff\xff", b"\xde\xff\xff\xa1a"])
@pytest.mark.parametrize("wrap", [seal, bytes], ids=["body", "outer"])
def test_nesting_of_100_000_levels_is_rejected_at_the_ninth(opener, wrap):
    data = wrap(opener * 100_000)
    assert (
        peak_of(
            read_bundle,
            data,
            BundleError,
            r"byte \d+: nested more than 8 levels deep$",
        )
        < MIB
    )


def test_body_of_long_lists_needs_little_memory():
    levels = b"".join(b"\xdd" + struct.pack(">I", 65536) for _ in range(7))
    data = seal(levels + b"\x90" * 68_000)
    assert (
        peak_of(
            read_bundle,
            data,
            BundleError,
            r"^`network` cannot be decoded: byte 68035: 1 bytes needed, 0 left$",
        )
        < 8 * MIB
    )


@pytest.mark.parametrize("tag", [b"\xdd", b"\xdf", b"\xc6", b"\xdb"])
def test_declared_length_of_4_gib_allocates_nothing(tag):
    data = seal(tag + b"\xff" * 4 + bytes(100))
    assert peak_of(read_bundle, data, BundleError) < MIB


def test_many_empty_maps_need_bounded_memory():
    data = seal(pack([[{}] * 50_000]))
    limit = 128 * len(data) + MIB
    assert peak_of(read_bundle, data, BundleError, r"^`bundle` must be a map, got a list$") < limit


@pytest.mark.parametrize("shape", [[2**62, 2**62], [2**32] * 8, [0, 2**64 - 1], [-1, -8], [2**63]])
def test_array_with_overflowing_shape_is_rejected(shape):
    body = body_of(rich_bundle())
    body["connections"][0]["weight"]["shape"] = shape
    assert (
        peak_of(
            read_bundle,
            seal(pack(body)),
            BundleError,
            r"^`connections\[0\]\.weight\.shape",
        )
        < MIB
    )


def test_16_million_neurons_in_a_few_bytes_allocate_nothing():
    body = body_of(rich_bundle())
    body["populations"][1]["shape"] = [2**24 - 100]
    body["populations"][1]["neuron"]["tau_mem_us"] = 1.0
    message = r"^`connections\[2\]\.weight` must be of shape \(3, 16777116\) \(target 'out' has 3"
    assert peak_of(read_bundle, seal(pack(body)), BundleError, message) < MIB


def test_pickle_is_rejected_as_a_bundle():
    with pytest.raises(BundleError):
        read_bundle(pickle.dumps(Bomb()))


@pytest.mark.parametrize("name", ["t_us", "shape", "labels"])
def test_pickled_object_array_is_rejected_and_not_run(name):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([Bomb()], object), allow_pickle=True)
    with pytest.raises(SpikeFileError, match=rf"^`{name}` must be <i8 of 1 dimensions, got \|O"):
        read_spikes(archive(spike_members(**{name: file.getvalue()})))


@pytest.mark.parametrize(
    "header",
    [
        npy_header("<i8", "(-1,)"),
        npy_header("<i8", "(18446744073709551616,)"),
        npy_header("<i8", "(999999999999999999,)"),
        npy_header("<i8", "(0, 999999999999999999)"),
        npy_header("<i8", "(7.0,)"),
        npy_header("<i8", "(True,)"),
        npy_header("<i8", "7"),
        npy_header("<i8", "(__import__('os')._exit(3),)"),
        npy_header("|V65535", "(7,)"),
        npy_header("<M8[us]", "(7,)"),
        "__import__('os')._exit(3)",
        "(" * 9000,
        "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (7,), }",
        "{'shape': (7,), 'descr': '<i8', 'fortran_order': False, }",
        npy_header("<i8", "(" + "1," * 30_000 + ")"),
    ],
    ids=lambda header: header[:60],
)
def test_header_that_numpy_would_not_write_is_rejected_and_not_run(header):
    data = archive(spike_members(t_us=npy_raw(header, bytes(56))))
    assert peak_of(read_spikes, data, SpikeFileError, r"^`t_us` must be ") < MIB


@pytest.mark.parametrize("start", [b"\x93NUMPY\x03\x00", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x01"])
def test_other_or_truncated_npy_version_is_rejected(start):
    with pytest.raises(
        SpikeFileError,
        match=r"^`t_us` must be a numpy array of format 1\.0, got b'\\x93NUMPY",
    ):
        read_spikes(archive(spike_members(t_us=start)))


def test_zip_bomb_is_rejected_by_its_declared_size():
    events = 2**23
    zeros = npy_raw(npy_header("<i8", f"({events},)"), bytes(8 * events))
    data = archive(spike_members(t_us=zeros))
    assert len(data) < MIB / 8

    def read(data):
        return read_spikes(data, max_bytes=MIB)

    assert peak_of(read, data, SpikeFileError, "unpacked, the limit is 1048576") < MIB


def lie_about_size(data: bytes, size: int) -> bytes:
    """Return the archive with another declared size of its first entry."""
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def test_zip_bomb_is_unpacked_no_further_than_its_declared_size():
    events = 2**23
    zeros = npy_raw(npy_header("<i8", f"({events},)"), bytes(8 * events))
    data = lie_about_size(archive(spike_members(t_us=zeros)), 4096)
    assert peak_of(read_spikes, data, SpikeFileError, "Bad CRC|bytes") < MIB
    honest = npy_raw(npy_header("<i8", "(500,)"), bytes(8 * events))
    data = archive(spike_members(t_us=honest))
    assert peak_of(read_spikes, lie_about_size(data, 4067), SpikeFileError, "Bad CRC|bytes") < MIB


def test_declared_size_without_data_is_not_allocated():
    header = npy_raw(npy_header("<i8", "(2000000,)"))
    data = lie_about_size(archive(spike_members(t_us=header)), len(header) + 16_000_000)
    assert (
        peak_of(
            read_spikes,
            data,
            SpikeFileError,
            r"^`t_us` must be 16000000 bytes long, got 0 bytes$",
        )
        < MIB
    )


def test_directory_of_a_million_entries_is_rejected_unread():
    record = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"a"
    directory = record * 400_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), 0, 0)
    data = directory + end
    assert (
        peak_of(
            read_spikes,
            data,
            SpikeFileError,
            r"^this \.npz file cannot be read: the directory of the archive is too large$",
        )
        < MIB
    )


def test_encrypted_entry_is_rejected():
    data = bytearray(archive(spike_members()))
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + flags] |= 1
    with pytest.raises(SpikeFileError, match="is encrypted"):
        read_spikes(bytes(data))


@pytest.mark.parametrize("name", ["../../t_us.npy", "/etc/t_us.npy", "t_us.npy/", "a" * 9999])
def test_unknown_name_in_the_archive_is_rejected(name):
    data = archive(spike_members() | {f"{name}.npy": npy([1])})
    with pytest.raises(
        SpikeFileError,
        match=r" is an unknown entry; known entries are \['t_us\.npy',",
    ):
        read_spikes(data)


def test_archive_within_an_archive_is_rejected_as_an_array():
    inner = archive(spike_members(), zipfile.ZIP_STORED)
    with pytest.raises(
        SpikeFileError,
        match=r"^`t_us` must be a numpy array of format 1\.0, got b'PK\\x03\\x04\\x14\\x00\\x00\\x",
    ):
        read_spikes(archive(spike_members(t_us=inner)))
