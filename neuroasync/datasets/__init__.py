"""Data sets of real recordings, as spike trains, behind one interface.

:func:`load_dataset` gives any of them by name as a :class:`Dataset`; ``neuroasync.datasets.files``
says what ships, and which files are read from a folder of yours.
"""

from neuroasync.datasets.dataset import Dataset
from neuroasync.datasets.load import DATASETS, load_dataset

__all__ = ["DATASETS", "Dataset", "load_dataset"]
