"""The questions, one per module."""
