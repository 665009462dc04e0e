"""The text header of Prophesee files: lines that begin with ``%``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from neuroasync.errors import SourceError

__all__ = ["PropheseeHeader", "read_header"]

_MAX_BYTES: Final = 2**16
"""Size of a header. Those of cameras have about 500 bytes."""

_SENSORS: Final = {
    "gen1": (304, 240),
    "gen3": (640, 480),
    "gen31": (640, 480),
    "gen4": (1280, 720),
    "gen41": (1280, 720),
    "imx636": (1280, 720),
    "genx320": (320, 320),
}
"""Size of each sensor. Older files name only the driver, such as ``hal_plugin_gen31_fx3``."""


@dataclass(frozen=True, slots=True)
class PropheseeHeader:
    """The entries of a header.

    Attributes:
        entries: text of each entry by its name in lower case.
    """

    entries: Mapping[str, str]

    @property
    def sensor(self) -> tuple[int, int] | None:
        """Width and height of the sensor, if the header contains or implies them."""
        size = re.fullmatch(r"(\d+)x(\d+)", self.entries.get("geometry", ""))
        if size:
            return int(size[1]), int(size[2])
        for entries in (self.format_options, self.entries):
            width, height = (entries.get(name, "") for name in ("width", "height"))
            if width.isdecimal() and height.isdecimal():
                return int(width), int(height)
        names = re.split("[_ ]", self.entries.get("plugin_name", ""))
        return next((_SENSORS[name] for name in names if name in _SENSORS), None)

    @property
    def format_options(self) -> dict[str, str]:
        """The options of the entry ``format``, such as ``EVT3;height=720;width=1280``."""
        options = self.entries.get("format", "").split(";")[1:]
        return dict(option.partition("=")[::2] for option in options)

    @property
    def evt_version(self) -> str | None:
        """Version of the encoding of a ``.raw`` file: "2.0", "2.1", "3.0", ...; None for others."""
        if "format" in self.entries:
            name = self.entries["format"].partition(";")[0].upper()
            version = {"EVT2": "2.0", "EVT21": "2.1", "EVT3": "3.0"}.get(name)
            return version or name.removeprefix("EVT")
        return self.entries.get("evt")


def read_header(file: BinaryIO) -> PropheseeHeader:
    """Read the header at the start of a file, and leave the file at its end.

    Raises:
        SourceError: the header is too long.
    """
    entries: dict[str, str] = {}
    while True:
        start = file.tell()
        line = file.readline(_MAX_BYTES)
        # Data may begin with the byte of "%", but lines of a header have a space after it.
        if not re.match(rb"%[ \r\n]", line):
            file.seek(start)
            break
        if file.tell() >= _MAX_BYTES:
            raise SourceError(f"the header must have at most {_MAX_BYTES} bytes")
        name, _, text = line[1:].decode("latin-1").strip().partition(" ")
        if name == "end":
            break
        entries[name.lower()] = text.strip()
    return PropheseeHeader(entries)
