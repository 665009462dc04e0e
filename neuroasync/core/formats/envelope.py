"""The envelope of bundles and snapshots: a map that adds format, version and digest to bytes."""

import hashlib
from dataclasses import dataclass
from typing import Any

from neuroasync.core.formats.field_checks import as_map
from neuroasync.core.model.checks import must_be, shown
from neuroasync.errors import NeuroasyncError

__all__ = ["Envelope"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """The envelope of one kind of file.

    Attributes:
        kind: name of this kind of file, for errors.
        format: value of the key ``format``.
        version: version of the format that this package reads and writes.
        body_key: key of the enclosed bytes.
        error: class of errors about format, version and digest.
    """

    kind: str
    format: str
    version: int
    body_key: str
    error: type[NeuroasyncError]

    def close(self, body: bytes) -> dict[str, Any]:
        """Return the map that encloses ``body``, with its keys in the order of the format."""
        digest = hashlib.sha256(body).digest()
        return {
            "format": self.format, "version": self.version, "sha256": digest, self.body_key: body
        }  # fmt: skip

    def open(self, outer: object) -> memoryview:
        """Check format, version and digest, and return the enclosed bytes.

        Args:
            outer: a decoded value.

        Raises:
            NeuroasyncError: the format, version or digest is wrong; the class is ``error``.
            BundleError: a key is missing or unknown.
        """
        if not isinstance(outer, dict) or outer.get("format") != self.format:
            raise self.error(
                f"this is not a {self.kind}: a map with `format` {self.format!r} is required"
            )
        version = outer.get("version")
        if type(version) is not int or version != self.version:
            requirement = f"{self.version}, the version that this package reads"
            raise self.error(must_be("version", requirement, shown(version)))
        fields = as_map("", outer, ("format", "version", "sha256", self.body_key))
        for key in ("sha256", self.body_key):
            if not isinstance(fields[key], memoryview):
                raise self.error(f"`{key}` must be binary data")
        body: memoryview = fields[self.body_key]
        if hashlib.sha256(body).digest() != fields["sha256"]:
            raise self.error(
                f"`sha256` is not the digest of `{self.body_key}`; the {self.kind} is damaged"
            )
        return body
