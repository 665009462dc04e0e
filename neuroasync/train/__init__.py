"""Train spiking networks under the semantics of the runtime.

The forward pass is the runtime's own; gradients flow back through its forward steps by surrogate
derivatives. Training needs torch (the extra ``train``). The runtime never imports this package.
"""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"training needs {error.name}: pip install 'neuroasync[train]'", name=error.name
    ) from error

from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train.augmentation import (
    Augmentation,
    Compose,
    DropEvents,
    JitterTimes,
    Shift,
)
from neuroasync.train.autograd_function import ForwardResult
from neuroasync.train.batch import Batch, make_batch
from neuroasync.train.batches import Batches
from neuroasync.train.checkpoint import CheckpointError
from neuroasync.train.config import TrainConfig
from neuroasync.train.cuda.decide_all import decide_all
from neuroasync.train.export import export_bundle
from neuroasync.train.loop.evaluation import evaluate, evaluate_over_time
from neuroasync.train.loop.health import TrainingWarning
from neuroasync.train.loop.results import BatchResult, EpochResult, Fit
from neuroasync.train.losses import (
    LossKind,
    potential_loss,
    spike_penalty,
    vote_loss,
    window_votes,
    windowed_vote_loss,
)
from neuroasync.train.module import SpikingNetwork
from neuroasync.train.parallel.exchange import Exchange, ExchangeError
from neuroasync.train.parallel.process_group import ProcessGroupExchange
from neuroasync.train.schedule import learning_rate_factor, penalty_factor
from neuroasync.train.surrogate import Surrogate
from neuroasync.train.training_loop import fit, refit
from neuroasync.train.weight_init import firing_rates, scale_to_firing_rate

__all__ = [
    "Augmentation",
    "Batch",
    "BatchResult",
    "Batches",
    "CheckpointError",
    "Compose",
    "DropEvents",
    "EpochResult",
    "Exchange",
    "ExchangeError",
    "Fifo",
    "Fit",
    "ForwardResult",
    "JitterTimes",
    "LayerSync",
    "LossKind",
    "Momentum",
    "ProcessGroupExchange",
    "Random",
    "RunSettings",
    "Shift",
    "SpikingNetwork",
    "Surrogate",
    "TrainConfig",
    "TrainingWarning",
    "decide_all",
    "evaluate",
    "evaluate_over_time",
    "export_bundle",
    "firing_rates",
    "fit",
    "learning_rate_factor",
    "make_batch",
    "penalty_factor",
    "potential_loss",
    "refit",
    "scale_to_firing_rate",
    "spike_penalty",
    "vote_loss",
    "window_votes",
    "windowed_vote_loss",
]
