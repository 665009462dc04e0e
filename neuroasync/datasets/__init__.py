"""Data sets of real recordings as spike trains, with one interface.

:func:`load_dataset` loads any of them by name, as a :class:`Dataset`. ``neuroasync.datasets.files``
describes which files ship with the package, and which it can read from a folder of the user.
"""

from neuroasync.datasets.dataset import Dataset
from neuroasync.datasets.load import DATASETS, load_dataset

__all__ = ["DATASETS", "Dataset", "load_dataset"]
