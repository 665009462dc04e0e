"""Snapshots of sessions and of their streams."""
