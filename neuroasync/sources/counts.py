"""What a source or sink has counted."""

from dataclasses import dataclass

__all__ = ["SourceCounts"]


@dataclass(slots=True)
class SourceCounts:
    """What became of what arrived; it goes on counting while the source or sink is at work.

    All but ``malformed`` count events of a source, decisions of a sink. Every event that arrived
    in a well-formed packet, message or file is, in the end, counted by exactly one of
    ``accepted``, ``outside``, ``dropped`` and ``refused``; until it is, it waits to be read. What
    waits when a source is closed is dropped.

    Attributes:
        accepted: handed on to the reader.
        late: that came after their time; the source says when that is, and what it does then.
        outside: of pixels that the network does not see, left out.
        dropped: lost for want of room, where the oldest or the newest were to be dropped.
        refused: lost for want of room, where that was to be an error.
        malformed: packets or messages that break the rules of their format, skipped whole.
    """

    accepted: int = 0
    late: int = 0
    outside: int = 0
    dropped: int = 0
    refused: int = 0
    malformed: int = 0
