"""Recordings of every spike of a run."""
