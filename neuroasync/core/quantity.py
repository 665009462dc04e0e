"""Numbers of things in text for people."""

__all__ = ["quantity"]


def quantity(count: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 event`` and ``2,000 events``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
