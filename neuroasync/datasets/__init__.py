"""Data sets of real recordings, as spike trains."""

from neuroasync.datasets.digits import Digits, load_digits

__all__ = ["Digits", "load_digits"]
