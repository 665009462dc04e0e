"""Open a recording by its content; the name of the file does not matter."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from neuroasync.core.formats.bounded_open import open_bounded
from neuroasync.core.formats.file_kind import FileKind, wrong_kind
from neuroasync.core.model.checks import printable
from neuroasync.errors import SourceError
from neuroasync.sources.cameras.dat import DatDecoder
from neuroasync.sources.cameras.decoder import Decoder
from neuroasync.sources.cameras.evt2 import Evt2Decoder
from neuroasync.sources.cameras.evt3 import Evt3Decoder
from neuroasync.sources.cameras.faery_streams import open_with_faery
from neuroasync.sources.cameras.hdf5 import open_hdf5
from neuroasync.sources.cameras.prophesee_header import PropheseeHeader, read_header

__all__ = ["open_recording"]

_FAERY_TYPES: Final = {b"#!AER-DAT4.": "aedat", b"Event Stream": "es"}
"""Names of the formats that Faery decodes, by the first bytes of their files."""

_HDF5: Final = b"\x89HDF\r\n\x1a\n"

_OTHER_KINDS: Final = {
    b"#!AER-DAT": "an AEDAT file of an older version than 4, which dv-processing converts",
    b"#ROSBAG": "a ROS bag",
}
"""What a file is that begins with these bytes."""


@contextmanager
def open_recording(path: Path) -> Iterator[Decoder]:
    """Open a recording of any known format and read its header.

    Raises:
        SourceError: the file is missing, damaged, or no recording.
        ImportError: the format needs a library that is not installed.
    """
    with open_bounded(path, sys.maxsize, SourceError) as (file, _):
        start = file.read(16)
        file.seek(0)
        if start.startswith(_HDF5):
            with open_hdf5(path) as decoder:
                yield decoder
            return
        if start.startswith(b"%"):
            yield _prophesee_decoder(file)
            return
        for signature, file_type in _FAERY_TYPES.items():
            if start.startswith(signature):
                yield open_with_faery(path, file_type)
                return
        if (message := wrong_kind(path, FileKind.CAMERA)) is not None:
            raise SourceError(message)
        raise SourceError(
            f"the file must be a recording in AEDAT4, Prophesee .raw (EVT 2.0, 2.1, 3.0) or .dat, "
            f"Event Stream .es, or HDF5 (Metavision, DSEC), but is {_kind(start)}"
        )


def _kind(start: bytes) -> str:
    """Return in words what begins with these bytes."""
    if not start:
        return "empty"
    for signature, kind in _OTHER_KINDS.items():
        if start.startswith(signature):
            return kind
    is_text = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start)
    return "text" if is_text else "of an unknown format"


def _prophesee_decoder(file: BinaryIO) -> Decoder:
    """Return the decoder of a ``.raw`` or ``.dat`` file.

    Raises:
        SourceError: the encoding is not supported, or the file is damaged.
    """
    header = read_header(file)
    match header.evt_version:
        case None:
            return DatDecoder(file, header)
        case "2.0" | "2":
            return Evt2Decoder(file, header.sensor)
        case "2.1":
            return Evt2Decoder(file, header.sensor, _mask_at(header))
        case "3.0" | "3":
            return Evt3Decoder(file, header.sensor)
        case version:
            raise SourceError(
                f"EVT {printable(version, 40)} is not supported; must be 2.0, 2.1 or 3.0"
            )


def _mask_at(header: PropheseeHeader) -> str:
    """Return where the words of EVT 2.1 have their masks.

    Sensors before the GenX320 send both halves of a word in the other order.
    """
    is_legacy = header.format_options.get("endianness") == "legacy"
    return "last" if is_legacy else "first"
