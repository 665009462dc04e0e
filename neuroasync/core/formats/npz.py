"""Named arrays in a ``.npz`` file, read without trusting its content.

``numpy.load`` can read these files too, but it believes the sizes that a file declares and
evaluates its headers. This module accepts only headers that look exactly as numpy writes them,
adds up the declared sizes and compares them with the size of the file before it unpacks anything,
and stops unpacking where a declared size ends. Spike files and recordings use it.
"""

import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.formats.bounded_open import PathOrBytes, open_bounded
from neuroasync.core.immutable import array_of_bytes
from neuroasync.core.model.checks import must_be, printable
from neuroasync.errors import NeuroasyncError

__all__ = ["Field", "entry_names", "read_arrays", "write_arrays"]

_CHUNK: Final = 2**16
"""Bytes that are unpacked at a time."""

_MAX_READ_BYTES: Final = 2 * _CHUNK
"""Bytes that zipfile may read at a time; this bounds the memory for a forged directory."""

_MAX_RATIO: Final = 200
"""Maximum of unpacked bytes per byte of a file. Spikes reach about 30; zeros reach 1000, so that a
small file could take all memory."""

_ALWAYS_ALLOWED_BYTES: Final = 2**24
"""Unpacked bytes that a file may have whatever the ratio."""

_MAX_HEADER_BYTES: Final = 1024
"""Bytes of an array's header; those that numpy writes have 118."""

_HEADER: Final = re.compile(
    rb"\{'descr': '([^']{1,8})', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), \} *\n"
)

_DAMAGE_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    OverflowError,
    RuntimeError,  # raised by zipfile for encrypted entries
    UnicodeError,
    ValueError,
)
"""Errors that zipfile raises for damaged files, by its documentation or by experience."""


@dataclass(frozen=True, slots=True)
class Field:
    """The required form of one array.

    Attributes:
        dtype: type in numpy's notation with byte order, such as ``"<i8"``.
        ndim: number of dimensions.
        optional: whether the file may lack the array.
    """

    dtype: str
    ndim: int = 1
    optional: bool = False


def read_arrays(
    source: PathOrBytes,
    fields: Mapping[str, Field],
    max_bytes: int,
    error: type[NeuroasyncError],
    skipped: Collection[str] = (),
) -> dict[str, NDArray[Any]]:
    """Read the arrays of ``fields``; other arrays in the file are an error.

    Args:
        source: path of the file, or its bytes.
        fields: required form of each array, by name.
        max_bytes: maximum size of the file, and of its unpacked arrays together, bytes. Above 16
            MiB, these may also not be more than 200 times as large as the file.
        error: class of all errors.
        skipped: names of arrays that the file may also have; they are not unpacked.

    Returns:
        Read-only arrays, by name. Optional arrays that the file does not have are
        left out.

    Raises:
        NeuroasyncError: the file is missing, damaged, too large, or has other arrays; the class is
            ``error``.
    """
    with open_bounded(source, max_bytes, error) as (file, size):
        try:
            with zipfile.ZipFile(_BoundedFile(file)) as archive:
                entries = _entries(archive, fields, error, skipped)
                _check_unpacked(entries, size, max_bytes, error)
                return {
                    name: _read_array(archive, entries[name], name, field, error)
                    for name, field in fields.items()
                    if name in entries
                }
        except error:
            raise
        except _DAMAGE_ERRORS as problem:
            reason = f"{str(problem) or 'it is damaged':.200}"
            raise error(f"this .npz file cannot be read: {reason}") from problem


def write_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    error: type[NeuroasyncError],
) -> None:
    """Write ``arrays`` in their order, compressed and atomically. Equal arrays give equal bytes.

    Args:
        path: path of the file. An existing file is replaced; it stays as it was if writing fails.
        arrays: arrays by name, little-endian and C-contiguous.
        error: class of all errors.

    Raises:
        NeuroasyncError: the file cannot be written. The class is ``error``.
    """
    with atomic_file(path, error) as file:
        unpacked = _write(file, arrays, zipfile.ZIP_DEFLATED)
        if unpacked > _max_unpacked(file.tell()):  # readers would refuse it
            file.seek(0)
            file.truncate()
            _write(file, arrays, zipfile.ZIP_STORED)


def _write(file: BinaryIO, arrays: Mapping[str, NDArray[Any]], compression: int) -> int:
    """Write an archive of ``arrays``; return the number of unpacked bytes."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            # A fixed date and system make the bytes depend on nothing but the arrays.
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = compression
            entry.create_system = 3
            entry.file_size = array.nbytes + _CHUNK  # with this zipfile decides about zip64
            with archive.open(entry, "w") as stream:
                np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
        return sum(entry.file_size for entry in archive.infolist())


def entry_names(file: BinaryIO) -> list[str]:
    """Return the names of the entries of a zip archive; none if it is damaged or too large."""
    try:
        with zipfile.ZipFile(_BoundedFile(file)) as archive:
            return archive.namelist()
    except _DAMAGE_ERRORS:
        return []


class _BoundedFile:
    """A file for zipfile that limits how many bytes are read at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(_MAX_READ_BYTES + 1 if size < 0 else min(size, _MAX_READ_BYTES + 1))
        if len(data) > _MAX_READ_BYTES:
            raise zipfile.BadZipFile("the directory of the archive is too large")
        return data


def _entries(
    archive: zipfile.ZipFile,
    fields: Mapping[str, Field],
    error: type[NeuroasyncError],
    skipped: Collection[str],
) -> dict[str, zipfile.ZipInfo]:
    """Return the archive entry of each field; check names and compression."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        if name in skipped and name != entry.filename:
            continue
        if name not in fields or name == entry.filename:
            known = [f"{field}.npy" for field in fields]
            raise error(f"{entry.filename!r:.80} is an unknown entry; known entries are {known}")
        if name in entries:
            raise error(f"`{name}` is in the file twice")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            got = f"compression method {entry.compress_type}"
            raise error(must_be(name, "stored or deflated", got))
        entries[name] = entry
    for name, field in fields.items():
        if name not in entries and not field.optional:
            raise error(f"`{name}` is missing")
    return entries


def _check_unpacked(
    entries: Mapping[str, zipfile.ZipInfo],
    size: int,
    max_bytes: int,
    error: type[NeuroasyncError],
) -> None:
    """Check the declared sizes before anything is unpacked; ``size`` is that of the file."""
    if (total := sum(entry.file_size for entry in entries.values())) > max_bytes:
        raise error(
            f"the file has {total} bytes unpacked, the limit is {max_bytes}; pass a larger "
            "max_bytes to read it"
        )
    if total > _max_unpacked(size):
        raise error(
            f"the file has {size} bytes, and {total} unpacked; the limit is {_MAX_RATIO} times the "
            "size of the file, because such a file may have been made to fill the memory"
        )


def _max_unpacked(size: int) -> int:
    """Return the maximum of unpacked bytes of a file of ``size`` bytes."""
    return max(_ALWAYS_ALLOWED_BYTES, _MAX_RATIO * size)


def _read_array(
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    name: str,
    field: Field,
    error: type[NeuroasyncError],
) -> NDArray[Any]:
    with archive.open(entry) as stream:
        start = stream.read(10)
        if start[:8] != b"\x93NUMPY\x01\x00" or len(start) < 10:
            raise error(must_be(name, "a numpy array of format 1.0", repr(start[:8])))
        length = int.from_bytes(start[8:], "little")
        if length > _MAX_HEADER_BYTES:
            requirement = f"an array with a header of at most {_MAX_HEADER_BYTES} bytes"
            raise error(must_be(name, requirement, f"{length}"))
        header = stream.read(length)
        dtype, shape = _parsed_header(header, name, field, error)
        expected = math.prod(shape) * dtype.itemsize
        declared = entry.file_size - len(start) - len(header)
        if declared != expected:
            requirement = f"{expected} bytes long for shape {shape}"
            raise error(must_be(name, requirement, f"{declared} bytes"))
        # Grow with the data that is really there, because the declared size may be a lie.
        data = bytearray()
        while chunk := stream.read(_CHUNK):
            data += chunk
    if len(data) != expected:
        raise error(must_be(name, f"{expected} bytes long", f"{len(data)} bytes"))
    return array_of_bytes(bytes(data), dtype, shape)


def _parsed_header(
    header: bytes, name: str, field: Field, error: type[NeuroasyncError]
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    match = _HEADER.fullmatch(header)
    if match is None:
        got = f"the header {header!r:.120}"
        raise error(must_be(name, "a plain array in C order", got))
    descr = match[1].decode("latin-1")
    shape = tuple(int(extent) for extent in match[2].split(b",") if extent.strip())
    if descr != field.dtype or len(shape) != field.ndim:
        requirement = f"{field.dtype} of {field.ndim} dimensions"
        raise error(must_be(name, requirement, f"{printable(descr)} of {len(shape)} dimensions"))
    return np.dtype(field.dtype), shape
