"""Training of the runtime's own semantics, by surrogate gradients through its forward steps.

Needs torch (the extra ``train``); the runtime never imports this package.
"""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"training needs {error.name}: install neuroasync with its extra 'train'", name=error.name
    ) from error

from neuroasync.train.batch import Batch, make_batch
from neuroasync.train.checkpoint import CheckpointError
from neuroasync.train.config import TrainConfig
from neuroasync.train.export import export_bundle
from neuroasync.train.function import Run
from neuroasync.train.network import SpikingNetwork
from neuroasync.train.start import firing_rates, start_firing
from neuroasync.train.surrogate import Surrogate
from neuroasync.train.trainer import BatchResult, EpochResult, Fit, evaluate, fit

__all__ = [
    "Batch",
    "BatchResult",
    "CheckpointError",
    "EpochResult",
    "Fit",
    "Run",
    "SpikingNetwork",
    "Surrogate",
    "TrainConfig",
    "evaluate",
    "export_bundle",
    "firing_rates",
    "fit",
    "make_batch",
    "start_firing",
]
