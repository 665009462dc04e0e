"""Decoders of camera recordings, and the placing of their events in time."""
