"""The questions, one a module."""
