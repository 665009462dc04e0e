"""Streams of events that are segmented into samples."""
