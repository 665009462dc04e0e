"""Data sets, decided in threads beside the event loop."""
