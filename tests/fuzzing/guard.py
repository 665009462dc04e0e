"""What must hold whenever a reader gets any input: errors, time and memory."""

import sys
import time

from tests.fuzzing.targets import Target

__all__ = ["MAX_GROWTH_BYTES", "MAX_SECONDS", "FindingError", "Guard"]

MAX_SECONDS = 1.0
"""CPU time of one input."""

MAX_GROWTH_BYTES = 256 * 2**20
"""Growth of the largest size of the process while it reads one input of up to 64 KiB."""

_MAX_MESSAGE = 2000
"""Characters of an error."""


class FindingError(AssertionError):
    """A reader broke a promise."""


class Guard:
    """Reads inputs of one target and checks each.

    Args:
        target: the reader. Its seeds are read first, so that one-time work is not measured.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.accepted = 0
        self.refused = 0
        for seed in target.seeds():
            self._read(seed)

    def check(self, data: bytes) -> None:
        """Read one input.

        Raises:
            FindingError: an error is not documented or no printable line, or the input took
                too much time or memory.
        """
        start_s, start_bytes = time.process_time(), _peak_bytes()
        self._read(data)
        seconds = time.process_time() - start_s
        if seconds > MAX_SECONDS:
            raise FindingError(f"{self._target.name}: an input took {seconds:.2f} s")
        if _peak_bytes() > start_bytes + MAX_GROWTH_BYTES:
            raise FindingError(
                f"{self._target.name}: memory grew by more than {MAX_GROWTH_BYTES} bytes"
            )

    def _read(self, data: bytes) -> None:
        try:
            self._target.read(data)
        except Exception as error:
            self._check_error(error)
            self.refused += 1
        else:
            self.accepted += 1

    def _check_error(self, error: Exception) -> None:
        kind = type(error)
        if kind not in self._target.errors and kind.__name__ not in self._target.errors:
            raise FindingError(f"{self._target.name}: {kind.__name__} is not documented") from error
        text = str(error)
        if not text or not text.isprintable() or len(text) > _MAX_MESSAGE:
            raise FindingError(
                f"{self._target.name}: an error is not one printable line"
            ) from error


def _peak_bytes() -> int:
    """Return the largest size that the process has had; 0 on Windows."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
