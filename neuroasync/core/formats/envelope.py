"""The map around a bundle's and a snapshot's bytes: format, version, digest."""

import hashlib
from dataclasses import dataclass
from typing import Any

from neuroasync.core.formats.field_checks import as_map
from neuroasync.errors import NeuroasyncError

__all__ = ["Envelope"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is around the bytes of one kind of file.

    Attributes:
        what: the kind, in words.
        format: what the map says that it is.
        version: of the format, which this version of neuroasync writes and reads.
        body: key of the bytes.
        error: class of errors about format, version and digest.
    """

    what: str
    format: str
    version: int
    body: str
    error: type[NeuroasyncError]

    def close(self, body: bytes) -> dict[str, Any]:
        """The map around these bytes, its keys in the order of the format."""
        digest = hashlib.sha256(body).digest()
        return {
            "format": self.format, "version": self.version, "sha256": digest, self.body: body
        }  # fmt: skip

    def open(self, outer: object) -> memoryview:
        """The bytes, once format, version and digest are right.

        Args:
            outer: a decoded value.

        Raises:
            NeuroasyncError: one of them is not right, as ``error``.
            BundleError: a key is missing, or there is one more.
        """
        if not isinstance(outer, dict) or outer.get("format") != self.format:
            raise self.error(
                f"format: expected a map with format {self.format!r}; this is no {self.what}"
            )
        version = outer.get("version")
        if type(version) is not int or version != self.version:
            raise self.error(f"version: {version!r:.80}, this reader knows version {self.version}")
        fields = as_map("", outer, ("format", "version", "sha256", self.body))
        for key in ("sha256", self.body):
            if not isinstance(fields[key], memoryview):
                raise self.error(f"{key}: expected binary data")
        body: memoryview = fields[self.body]
        if hashlib.sha256(body).digest() != fields["sha256"]:
            raise self.error(
                f"sha256: the {self.body} does not have this digest; the {self.what} is damaged"
            )
        return body
