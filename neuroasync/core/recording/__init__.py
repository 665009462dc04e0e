"""Recordings: every spike of a run."""
