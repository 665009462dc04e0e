"""The command line: ``neuroasync``."""

from neuroasync.cli.app import main

__all__ = ["main"]
