"""The corpus: for each target an archive of small inputs that guided fuzzing has found."""

import hashlib
import zipfile
from pathlib import Path

__all__ = ["read_corpus", "write_corpus"]

_FOLDER = Path(__file__).parent / "corpus"


def read_corpus(name: str) -> list[bytes]:
    """Return the inputs of a target."""
    path = _FOLDER / f"{name}.zip"
    if not path.exists():
        return []
    with zipfile.ZipFile(path) as archive:
        return [archive.read(entry) for entry in archive.namelist()]


def write_corpus(name: str, inputs: list[bytes]) -> None:
    """Replace the inputs of a target. Equal inputs give equal bytes."""
    _FOLDER.mkdir(exist_ok=True)
    with zipfile.ZipFile(_FOLDER / f"{name}.zip", "w") as archive:
        for data in sorted(set(inputs), key=lambda data: (len(data), data)):
            digest = hashlib.sha256(data).hexdigest()[:16]
            entry = zipfile.ZipInfo(digest, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
