"""Named arrays in one ``.npz`` file, as ``numpy.load`` reads it, but read without any trust.

``numpy.load`` believes the sizes that a file declares and evaluates its headers. Here a header
must look exactly as numpy writes it, sizes are added up against a limit before anything is
unpacked, and unpacking stops where a declared size ends. Spike files and recordings share this.
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
from neuroasync.core.formats.bounded_open import Source, open_bounded
from neuroasync.errors import NeuroasyncError

__all__ = ["Field", "read_arrays", "write_arrays"]

_CHUNK: Final = 2**16
"""Bytes that are unpacked at once."""

_MOST: Final = 2 * _CHUNK
"""Most bytes that zipfile reads at once: bounds a directory of a million forged entries."""

_MAX_HEADER: Final = 1024
"""Bytes of an array's header; numpy's have 118 here."""

_HEADER: Final = re.compile(
    rb"\{'descr': '([^']{1,8})', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), \} *\n"
)

_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    OverflowError,
    RuntimeError,  # zipfile's own for an encrypted entry
    UnicodeError,
    ValueError,
)
"""What zipfile was seen or is documented to raise on damaged files."""


@dataclass(frozen=True, slots=True)
class Field:
    """What one array must be.

    Attributes:
        dtype: in numpy's notation, with byte order: ``"<i8"``.
        ndim: number of dimensions.
        optional: the file may lack it.
    """

    dtype: str
    ndim: int = 1
    optional: bool = False


def read_arrays(
    source: Source,
    fields: Mapping[str, Field],
    max_bytes: int,
    error: type[NeuroasyncError],
    skipped: Collection[str] = (),
) -> dict[str, NDArray[Any]]:
    """Read exactly the arrays of ``fields``, and nothing else.

    Args:
        source: path of the file, or its bytes.
        fields: name and type of each array; another one in the file is an error.
        max_bytes: limit for the file, and for the sum of its unpacked arrays.
        error: class of every error.
        skipped: names of arrays that the file may have, too; they are not unpacked.

    Returns:
        Read-only arrays; without the optional ones that the file lacks.

    Raises:
        NeuroasyncError: as ``error``; the file is missing, damaged, too large, or another's.
    """
    with open_bounded(source, max_bytes, error) as (file, _):
        try:
            with zipfile.ZipFile(_Gate(file)) as archive:
                entries = _entries(archive, fields, max_bytes, error, skipped)
                return {
                    name: _read_array(archive, entries[name], name, field, error)
                    for name, field in fields.items()
                    if name in entries
                }
        except error:
            raise
        except _DAMAGE as problem:
            raise error(f"not a readable .npz file: {str(problem) or 'damaged':.200}") from problem


def write_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    error: type[NeuroasyncError],
) -> None:
    """Write ``arrays`` in their order, compressed, atomically; same arrays, same bytes.

    Args:
        path: where to write; replaced if it is there.
        arrays: little-endian and C-contiguous, by name.
        error: class of the error.

    Raises:
        NeuroasyncError: as ``error``; the file system refuses. ``path`` is as it was.
    """
    with atomic_file(path, error) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # the same bytes on Windows
            entry.file_size = array.nbytes + _CHUNK  # tells zipfile if it needs zip64
            with archive.open(entry, "w") as stream:
                np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)


class _Gate:
    """A file that zipfile can read from, a bounded piece at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(_MOST + 1 if size < 0 else min(size, _MOST + 1))
        if len(data) > _MOST:
            raise zipfile.BadZipFile("its directory is too large")
        return data


def _entries(
    archive: zipfile.ZipFile,
    fields: Mapping[str, Field],
    max_bytes: int,
    error: type[NeuroasyncError],
    skipped: Collection[str],
) -> dict[str, zipfile.ZipInfo]:
    """Find the entry of each field; check names, methods and the declared sizes."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        if name in skipped and name != entry.filename:
            continue
        if name not in fields or name == entry.filename:
            known = [f"{field}.npy" for field in fields]
            raise error(f"{entry.filename!r:.80}: unknown, expected one of {known}")
        if name in entries:
            raise error(f"{name}: twice in the file, expected once")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise error(f"{name}: compression {entry.compress_type}, expected stored or deflated")
        entries[name] = entry
    for name, field in fields.items():
        if name not in entries and not field.optional:
            raise error(f"{name}: missing, expected {field.dtype} of {field.ndim} dimensions")
    if (total := sum(entry.file_size for entry in entries.values())) > max_bytes:
        raise error(
            f"{total} bytes unpacked, the limit is {max_bytes}; pass a larger max_bytes to read it"
        )
    return entries


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
            raise error(f"{name}: {start[:8]!r}, expected a numpy array of format 1.0")
        length = int.from_bytes(start[8:], "little")
        if length > _MAX_HEADER:
            raise error(f"{name}: header of {length} bytes, expected at most {_MAX_HEADER}")
        header = stream.read(length)
        dtype, shape = _parsed_header(header, name, field, error)
        expected = math.prod(shape) * dtype.itemsize
        found = entry.file_size - len(start) - len(header)
        if found != expected:
            raise error(f"{name}: {found} bytes, expected {expected} for shape {shape}")
        data = bytearray()  # grows with what is really there, whatever was declared
        while piece := stream.read(_CHUNK):
            data += piece
    if len(data) != expected:
        raise error(f"{name}: ends after {len(data)} bytes, expected {expected}")
    array = np.frombuffer(data, dtype).reshape(shape)
    array.flags.writeable = False
    return array


def _parsed_header(
    header: bytes, name: str, field: Field, error: type[NeuroasyncError]
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    match = _HEADER.fullmatch(header)
    if match is None:
        raise error(f"{name}: header {header!r:.120}, expected a plain array in C order")
    descr = match[1].decode("latin-1")
    shape = tuple(int(extent) for extent in match[2].split(b",") if extent.strip())
    if descr != field.dtype or len(shape) != field.ndim:
        raise error(
            f"{name}: {descr} of {len(shape)} dimensions, "
            f"expected {field.dtype} of {field.ndim} dimensions"
        )
    return np.dtype(field.dtype), shape
