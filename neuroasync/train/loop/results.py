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
        accuracy: Fraction of the batch that was decided correctly, from 0 to 1; with labels over
            time, of its intervals that have a class.
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
        policy: Name of the ordering policy of the epoch; ``"drawn"`` if the run mode of each batch
            was drawn from a distribution.
        loss: Loss, including the spike penalty.
        accuracy: Fraction of the samples that was decided correctly, from 0 to 1; with labels over
            time, of the intervals that have a class.
        spikes: Mean number of spikes per sample.
        validation_accuracy, validation_spikes: The same on the validation samples after the
            epoch, under the order that is trained for; None without validation samples.
        seconds: Duration of the epoch. It does not take part in comparisons.
        penalty: Part of the loss that is the spike penalty. This and the next are None if the epoch
            was read from a checkpoint that does not have them.
        population_spikes: Mean number of spikes per sample of each population.
    """

    epoch: int
    policy: str
    loss: float
    accuracy: float
    spikes: float
    validation_accuracy: float | None
    validation_spikes: float | None
    seconds: float = field(compare=False)
    penalty: float | None = None
    population_spikes: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A finished training.

    Attributes:
        model: The network with the trained weights.
        config: Configuration of the training.
        history: One result per epoch.
        best_epoch: Number of the epoch whose weights the network has, from 0; None with
            ``keep="last"``.
    """

    model: Model
    config: TrainConfig
    history: tuple[EpochResult, ...]
    best_epoch: int | None = None

    @property
    def result(self) -> EpochResult | None:
        """The result of the epoch whose weights the network has; None without epochs."""
        if not self.history:
            return None
        return self.history[-1 if self.best_epoch is None else self.best_epoch]
