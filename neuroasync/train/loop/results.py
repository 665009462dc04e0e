"""Results of a training: of each batch, of each epoch, and of the whole."""

from dataclasses import dataclass, field

from neuroasync.core.model.model import Model
from neuroasync.train.config import TrainConfig

__all__ = ["BatchResult", "EpochResult", "Fit"]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Result of one optimiser step, for progress displays.

    Attributes:
        epoch, batch: Numbers of the epoch and of the batch in it, from 0.
        batches: Number of batches per epoch.
        loss: Loss, including the spike penalty.
        accuracy: Fraction of the batch that was decided correctly, from 0 to 1.
        spikes: Mean number of spikes per sample.
    """

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    spikes: float


@dataclass(frozen=True, slots=True)
class EpochResult:
    """Result of one epoch: means over its samples, measured while the weights changed.

    Attributes:
        epoch: Number of the epoch, from 0.
        policy: Name of the ordering policy of the epoch.
        loss: Loss, including the spike penalty.
        accuracy: Fraction of the samples that was decided correctly, from 0 to 1.
        spikes: Mean number of spikes per sample.
        validation_accuracy, validation_spikes: The same on the validation samples after the
            epoch, under the order that is trained for; None without validation samples.
        seconds: Duration of the epoch. It does not take part in comparisons.
    """

    epoch: int
    policy: str
    loss: float
    accuracy: float
    spikes: float
    validation_accuracy: float | None
    validation_spikes: float | None
    seconds: float = field(compare=False)


@dataclass(frozen=True, slots=True)
class Fit:
    """A finished training.

    Attributes:
        model: The network with the trained weights.
        config: Configuration of the training.
        history: One result per epoch.
    """

    model: Model
    config: TrainConfig
    history: tuple[EpochResult, ...]
