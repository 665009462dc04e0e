"""Counts of sources and sinks."""

from dataclasses import dataclass

__all__ = ["SourceCounts"]


@dataclass(slots=True)
class SourceCounts:
    """Counts of a source or sink, updated while it runs.

    All fields except the last two count the events of a source or the decisions of a sink. Every
    event of a well-formed packet, message or file is eventually counted by exactly one of
    ``accepted``, ``outside``, ``dropped`` and ``refused``; before that, it waits to be read. Events
    that still wait when a source is closed are dropped.

    Attributes:
        accepted: passed on to the reader.
        late: arrived after their time, or with a damaged one; each source documents what that
            means and what follows.
        outside: left out because the network has no input for their pixel.
        dropped: lost because the queue was full and drops its oldest or newest items.
        refused: lost because the queue was full and raises an error.
        malformed: packets or messages, or parts of a recording, that violate their format and were
            skipped entirely.
        clock_jumps: how often the clock of the device restarted or jumped; the stream then
            continues without a gap.
    """

    accepted: int = 0
    late: int = 0
    outside: int = 0
    dropped: int = 0
    refused: int = 0
    malformed: int = 0
    clock_jumps: int = 0
