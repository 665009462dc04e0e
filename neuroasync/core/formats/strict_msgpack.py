"""A strict MessagePack decoder: one encoding for each value, and a bound on every length.

An ordinary decoder allocates the length that a header declares before it checks whether so much
data follows, and accepts several encodings of the same value. This one accepts:

- only the shortest encoding of each value, which is the one that ``msgpack.packb`` writes;
- only maps whose keys are text and distinct;
- no extension types, no 32-bit floats, and no bytes after the value.

Packing the decoded value in its order therefore gives the same bytes again. Binary data is not
copied.

Source: the MessagePack specification, https://github.com/msgpack/msgpack/blob/master/spec.md
"""

import struct
from typing import Any, Final, TypeAlias

from neuroasync.errors import BundleError

__all__ = ["MAX_ITEMS", "Packed", "decode"]

Packed: TypeAlias = (
    "dict[str, Packed] | list[Packed] | str | memoryview | int | float | bool | None"
)
"""A decoded value."""

MAX_ITEMS: Final = 2**16
"""Entries of one list or map. A list of that length takes 512 KiB."""

_MAX_DEPTH: Final = 8
"""Nesting depth of lists and maps. A bundle has a depth of 6."""

_MAX_VALUES: Final = 2**21
"""Values in total, about 100 bytes each. A bundle at all its limits has 1.6 million."""

_MAX_TEXT_BYTES: Final = 2**18
"""Bytes of one text."""

_CONSTANTS: Final = {0xC0: None, 0xC2: False, 0xC3: True}

_INTEGERS: Final = {
    0xCC: (">B", 2**7, 2**8 - 1),
    0xCD: (">H", 2**8, 2**16 - 1),
    0xCE: (">I", 2**16, 2**32 - 1),
    0xCF: (">Q", 2**32, 2**64 - 1),
    0xD0: (">b", -(2**7), -(2**5) - 1),
    0xD1: (">h", -(2**15), -(2**7) - 1),
    0xD2: (">i", -(2**31), -(2**15) - 1),
    0xD3: (">q", -(2**63), -(2**31) - 1),
}
"""For each tag: the struct format, and the range of values that have no shorter encoding."""

_SIZED: Final = {
    0xC4: ("bin", ">B", 0),
    0xC5: ("bin", ">H", 2**8),
    0xC6: ("bin", ">I", 2**16),
    0xD9: ("str", ">B", 2**5),
    0xDA: ("str", ">H", 2**8),
    0xDB: ("str", ">I", 2**16),
    0xDC: ("array", ">H", 2**4),
    0xDD: ("array", ">I", 2**16),
    0xDE: ("map", ">H", 2**4),
    0xDF: ("map", ">I", 2**16),
}
"""For each tag: family, struct format of the length, smallest length without a shorter encoding."""


def decode(data: bytes | memoryview) -> Packed:
    """Decode ``data``, which must hold exactly one value.

    Returns:
        The value. Maps are dicts in the order of the data, binary data are memoryviews into
        ``data``.

    Raises:
        BundleError: ``data`` is damaged, exceeds a bound or is not in the strict form. The message
            names the byte.
    """
    decoder = _Decoder(memoryview(data))
    value = decoder.value(0)
    if decoder.at != len(data):
        raise BundleError(f"byte {decoder.at}: {len(data) - decoder.at} bytes follow the value")
    return value


class _Decoder:
    """A position in the data, with the number of values decoded so far."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._values = 0
        self.at = 0

    def value(self, depth: int) -> Packed:
        """Decode the value at the current position and move behind it."""
        start = self.at
        self._values += 1
        if self._values > _MAX_VALUES:
            raise BundleError(f"byte {start}: more than {_MAX_VALUES} values, which is the limit")
        tag = self._take(1)[0]
        if tag <= 0x7F or tag >= 0xE0:
            return tag if tag <= 0x7F else tag - 256
        if tag in _CONSTANTS:
            return _CONSTANTS[tag]
        if tag in _INTEGERS:
            return self._integer(start, *_INTEGERS[tag])
        if tag == 0xCB:
            return float(self._unpack(">d"))
        family, length = self._length(start, tag)
        if family == "bin":
            return self._take(length)
        if family == "str":
            return self._text(start, length)
        return self._items(start, family, length, depth)

    def _take(self, size: int) -> memoryview:
        remaining = len(self._data) - self.at
        if size > remaining:
            raise BundleError(f"byte {self.at}: {size} bytes needed, {remaining} left")
        self.at += size
        return self._data[self.at - size : self.at]

    def _unpack(self, code: str) -> Any:
        return struct.unpack(code, self._take(struct.calcsize(code)))[0]

    def _integer(self, start: int, code: str, low: int, high: int) -> int:
        value = int(self._unpack(code))
        if not low <= value <= high:
            raise BundleError(f"byte {start}: {value} is not in its shortest form")
        return value

    def _length(self, start: int, tag: int) -> tuple[str, int]:
        """Return the family and the length of the value that starts with ``tag``."""
        if tag <= 0x8F:
            return "map", tag & 0x0F
        if tag <= 0x9F:
            return "array", tag & 0x0F
        if tag <= 0xBF:
            return "str", tag & 0x1F
        if tag not in _SIZED:
            raise BundleError(f"byte {start}: type 0x{tag:02x} is not allowed")
        family, code, min_length = _SIZED[tag]
        length = int(self._unpack(code))
        if length < min_length:
            raise BundleError(f"byte {start}: a length of {length} is not in its shortest form")
        return family, length

    def _text(self, start: int, length: int) -> str:
        if length > _MAX_TEXT_BYTES:
            raise BundleError(
                f"byte {start}: text of {length} bytes, the limit is {_MAX_TEXT_BYTES}"
            )
        try:
            return str(self._take(length), "utf-8")
        except UnicodeDecodeError as error:
            raise BundleError(f"byte {start}: the text is not UTF-8") from error

    def _items(self, start: int, family: str, length: int, depth: int) -> Packed:
        if depth >= _MAX_DEPTH:
            raise BundleError(f"byte {start}: nested more than {_MAX_DEPTH} levels deep")
        if length > MAX_ITEMS:
            raise BundleError(f"byte {start}: {length} entries, the limit is {MAX_ITEMS}")
        if family == "array":
            return [self.value(depth + 1) for _ in range(length)]
        entries: dict[str, Packed] = {}
        for _ in range(length):
            start = self.at
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise BundleError(f"byte {start}: a key must be text")
            if key in entries:
                raise BundleError(f"byte {start}: key {key!r:.80} is in the map twice")
            entries[key] = self.value(depth + 1)
        return entries
