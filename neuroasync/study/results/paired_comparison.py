"""Paired comparison: gain of training for a policy over the same recipe under layer-sync."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.results.statistics import CaseResults, PairedDifference
from neuroasync.train.recipes import Training

__all__ = ["CONTROL", "UNLAYERED", "PairedRow", "layer_sync_cost", "paired_rows"]

UNLAYERED: Final[tuple[Training, ...]] = (
    "unlayered-random",
    "unlayered-momentum",
    "unlayered-any",
    "unlayered-fifo",
)
CONTROL: Final[Training] = "layered"
"""The training to compare with: the same recipe, trained under layer-sync."""


@dataclass(frozen=True, slots=True)
class PairedRow:
    """An unlayered training and ``layered``, both run in the mode of the unlayered one.

    Attributes:
        training: The unlayered training.
        mode: How both networks ran.
        gain: Accuracy of the unlayered network minus that of the layered one.
    """

    training: Training
    mode: Mode
    gain: PairedDifference


def paired_rows(results: CaseResults, training: Training) -> Iterator[PairedRow]:
    """Yield a row for each group size; none if the case lacks one of the two trainings."""
    if training not in results or CONTROL not in results:
        return
    for size in results.case.grid.group_sizes:
        mode = results.case.trained_mode(training, size)
        yield PairedRow(training, mode, results.difference((training, mode), (CONTROL, mode)))


def layer_sync_cost(results: CaseResults, training: Training) -> PairedDifference | None:
    """Return the same difference under layer-sync, for which only ``layered`` is trained."""
    if training not in results or CONTROL not in results:
        return None
    mode = Mode("layer-sync", GROUP_SIZE, results.case.input)
    return results.difference((training, mode), (CONTROL, mode))
