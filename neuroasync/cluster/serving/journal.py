"""The journal of a sample, from which another replica can continue it."""

from typing import Final

from neuroasync.cluster.serving.steps import SampleOptions, SampleStart
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import QueueFullError

__all__ = ["Journal"]

_MIN_SNAPSHOT_BYTES: Final = 2**16
"""Size of the chunks from which a snapshot is worth its time. Smaller ones run again quickly."""

_MAX_BYTES: Final = 2**22
"""Maximum size of the chunks of a sample whose state cannot be saved: 262,144 events."""

_BYTES_PER_EVENT: Final = 16
_BYTES_PER_CHUNK: Final = 256


class Journal:
    """The latest snapshot of a sample, and the chunks that were sent since then.

    A snapshot replaces the chunks once they are larger than the snapshot before, so that a replica
    that takes over has few events to run again, and most steps need no snapshot.

    Attributes:
        position: number of steps that were run in all.
        decisions: number of provisional decisions that were returned.
    """

    __slots__ = ("_bytes", "_chunks", "_snapshot", "decisions", "position")

    def __init__(self) -> None:
        self._snapshot: bytes | None = None
        self._chunks: list[SpikeTrain] = []
        self._bytes = 0
        self.position = self.decisions = 0

    @property
    def wants_snapshot(self) -> bool:
        """Whether a snapshot should replace the chunks."""
        worth = max(_MIN_SNAPSHOT_BYTES, len(self._snapshot or b""))
        return self._bytes > min(worth, _MAX_BYTES // 2)

    def start(self, options: SampleOptions, is_watched: bool) -> SampleStart:
        """Return the state from which another replica can continue."""
        return SampleStart(options, is_watched, self._snapshot, tuple(self._chunks))

    def add(self, chunk: SpikeTrain, snapshot: bytes | None) -> None:
        """Add a chunk that was run, or replace everything by the snapshot after it.

        Raises:
            QueueFullError: there was no snapshot for too long.
        """
        self.position += 1
        if snapshot is not None:
            self._snapshot, self._chunks, self._bytes = snapshot, [], 0
            return
        self._chunks.append(chunk)
        self._bytes += _BYTES_PER_CHUNK + _BYTES_PER_EVENT * len(chunk)
        if self._bytes > _MAX_BYTES:
            raise QueueFullError(
                f"the sample has more than {_MAX_BYTES // _BYTES_PER_EVENT} events, but its state "
                "cannot be saved while provisional decisions are sent or populations are custom"
            )
