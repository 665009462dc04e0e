"""Selection of the epoch whose weights a training keeps, and the end of a training."""

from collections.abc import Sequence

from neuroasync.train.config import TrainConfig
from neuroasync.train.loop.results import EpochResult

__all__ = ["best_epoch", "is_finished"]


def best_epoch(history: Sequence[EpochResult], config: TrainConfig) -> int | None:
    """Return the number of the epoch whose weights are kept, or None for the last one's.

    It is the earliest of those with the highest validation accuracy, among the epochs under the
    policy that is trained for.
    """
    if config.keep == "last":
        return None
    candidates = history[config.first_selectable :]
    return max(candidates, key=_accuracy).epoch if candidates else None


def is_finished(history: Sequence[EpochResult], config: TrainConfig) -> bool:
    """Return whether a training ends after the epochs in ``history``."""
    last = config.epochs if config.stop_after is None else min(config.epochs, config.stop_after)
    if len(history) >= last:
        return True
    best = best_epoch(history, config)
    return best is not None and (
        config.patience is not None and len(history) - 1 - best >= config.patience
    )


def _accuracy(result: EpochResult) -> float:
    return result.validation_accuracy or 0.0
