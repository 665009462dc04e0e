"""Read the tree of values in an HDF5 file of NIR, without trusting the file.

NIR stores a graph as HDF5 groups: each node is a group with one data set per field. Every size is
checked before memory is allocated. Links to other files and plugins for compression are refused.
"""

import io
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from neuroasync import limits
from neuroasync.core.formats.bounded_open import PathOrBytes, open_bounded
from neuroasync.core.formats.file_kind import FileKind, name_file_in_errors
from neuroasync.core.model.checks import printable
from neuroasync.errors import InterchangeError

if TYPE_CHECKING:
    import h5py

__all__ = ["Tree", "read_tree"]

Tree: TypeAlias = "dict[str, Any]"
"""Values by name: arrays, texts, and trees again."""

_MAX_DEPTH: Final = 32
"""Nesting depth of groups. A graph takes two levels, and each subgraph takes two more."""

_MAX_ENTRIES: Final = 2**20
"""Groups and data sets of a file. A node has at most ten."""

_FILTERS: Final = ("gzip", "lzf", None)
"""Compression filters that are part of h5py. Others would be loaded from libraries on the disk."""

_TEXT_BUDGET: Final = 2**28
"""Bytes that one step of reading texts may take, if each text were as long as the file."""


def read_tree(source: PathOrBytes, max_bytes: int = limits.MAX_BUNDLE_BYTES) -> Tree:
    """Return the group ``node`` of a NIR file as a tree of values.

    Args:
        source: path of the file, or its content.
        max_bytes: maximum size, bytes, of the file and of all its values.

    Raises:
        InterchangeError: the file is missing, damaged, too large, or not a file of NIR.
        ImportError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        message = "reading NIR files requires h5py: pip install 'neuroasync[nir]'"
        raise ImportError(message) from error
    with name_file_in_errors(source, FileKind.HDF5):
        with open_bounded(source, max_bytes, InterchangeError) as (file, size):
            data = file.read(size)
        try:
            with h5py.File(io.BytesIO(data), "r") as root:
                reader = _Reader(len(data), max_bytes)
                node = _member(root, "node", "node")
                if not isinstance(node, h5py.Group):
                    raise InterchangeError("`node` must be a group, as in files of NIR")
                return reader.group(node, "node", 1)
        except InterchangeError:
            raise
        # h5py raises errors of many classes for damaged files.
        except Exception as error:
            reason = printable(str(error), 200)
            raise InterchangeError(f"this is not a NIR file, or it is damaged: {reason}") from error


class _Reader:
    """Reads groups and data sets as long as they fit into ``max_bytes``."""

    def __init__(self, file_bytes: int, max_bytes: int) -> None:
        self._file_bytes = file_bytes
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._entries_left = _MAX_ENTRIES

    def group(self, group: "h5py.Group", path: str, depth: int) -> Tree:
        """Return the content of a group.

        Raises:
            InterchangeError: the group is nested too deeply, too large, or links elsewhere.
        """
        import h5py

        if depth > _MAX_DEPTH:
            raise InterchangeError(f"`{path}` is nested deeper than {_MAX_DEPTH} groups")
        self._entries_left -= len(group)
        if self._entries_left < 0:
            raise InterchangeError(f"the file has more than {_MAX_ENTRIES} groups and data sets")
        tree: Tree = {}
        for key in group:
            inner = f"{path}/{printable(key)}"
            member = _member(group, key, inner)
            if isinstance(member, h5py.Group):
                tree[key] = self.group(member, inner, depth + 1)
            elif isinstance(member, h5py.Dataset):
                tree[key] = self._values(member, inner)
            else:
                raise InterchangeError(f"`{inner}` must be a group or a data set")
        return tree

    def _values(self, data: "h5py.Dataset", path: str) -> Any:
        import h5py

        _check_storage(data, path)
        if h5py.check_string_dtype(data.dtype) is not None:
            return self._texts(data, path)
        if data.dtype.kind not in "fiub":
            raise InterchangeError(f"`{path}` must be numbers or text, got {data.dtype!s:.80}")
        self._spend(data.size * data.dtype.itemsize, path)
        return np.asarray(data[()])

    def _texts(self, data: "h5py.Dataset", path: str) -> Any:
        # A text can be shared by all elements, so that their total can exceed the file's size.
        if data.shape == ():
            return _text(data[()], path)
        rows = max(1, _TEXT_BUDGET // max(1, self._file_bytes))
        width = data.size // max(1, len(data))
        texts: list[list[str]] = []
        step = max(1, rows // max(1, width))
        self._spend(data.size * 8, path)
        for start in range(0, len(data), step):
            for row in data[start : start + step]:
                texts.append([_text(value, path) for value in np.ravel(row)])
                self._spend(sum(map(len, texts[-1])), path)
        return texts

    def _spend(self, count: int, path: str) -> None:
        self._left -= count
        if self._left < 0:
            raise InterchangeError(
                f"`{path}` is too large: all values together may have {self._max_bytes} bytes"
            )


def _member(group: "h5py.Group", key: str, path: str) -> Any:
    """Return a member of a group, unless it is a link to another place or file."""
    import h5py

    if key not in group:
        raise InterchangeError(f"`{path}` is missing, so this is not a file of NIR")
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise InterchangeError(f"`{path}` must not be a link to another place")
    return group[key]


def _check_storage(data: "h5py.Dataset", path: str) -> None:
    if data.is_virtual or data.external:
        raise InterchangeError(f"`{path}` must be stored in the file itself")
    if data.shape is None:
        raise InterchangeError(f"`{path}` must not be empty")
    settings = data.id.get_create_plist()
    if data.compression not in _FILTERS or settings.get_nfilters() > len(
        ("shuffle", "gzip", "sum")
    ):
        raise InterchangeError(
            f"`{path}` must be compressed with gzip or LZF, or not at all, "
            f"got {data.compression or 'other filters'}"
        )
    block_bytes = int(np.prod(data.chunks or (0,), dtype=object)) * data.dtype.itemsize
    if block_bytes > limits.MAX_HDF5_BLOCK_BYTES:
        raise InterchangeError(
            f"`{path}` must be stored in blocks of at most {limits.MAX_HDF5_BLOCK_BYTES} bytes, "
            f"got {block_bytes}"
        )


def _text(value: Any, path: str) -> str:
    if isinstance(value, str):
        return value
    try:
        return bytes(value).decode()
    except (TypeError, ValueError) as error:
        raise InterchangeError(f"`{path}` must be text in UTF-8") from error
