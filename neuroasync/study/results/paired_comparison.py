"""The fair question: what training for an order adds to the same recipe trained layer by layer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.results.statistics import CaseResults, Difference
from neuroasync.train.recipes import Training

__all__ = ["CONTROL", "UNLAYERED", "FairRow", "fair_rows", "layer_sync_price"]

UNLAYERED: Final[tuple[Training, ...]] = (
    "unlayered-random",
    "unlayered-momentum",
    "unlayered-fifo",
)
CONTROL: Final[Training] = "layered"
"""The same recipe, trained layer by layer."""


@dataclass(frozen=True, slots=True)
class FairRow:
    """An unlayered training beside ``layered``, both in the order that the former is meant for.

    Attributes:
        training: the unlayered one.
        mode: how both ran.
        added: accuracy of the unlayered one less that of the other.
    """

    training: Training
    mode: Mode
    added: Difference


def fair_rows(results: CaseResults, training: Training) -> Iterator[FairRow]:
    """A row for each group size; none if one of the two trainings is not in the case."""
    if training not in results or CONTROL not in results:
        return
    for size in results.case.grid.group_sizes:
        mode = results.case.own_mode(training, size)
        yield FairRow(training, mode, results.difference((training, mode), (CONTROL, mode)))


def layer_sync_price(results: CaseResults, training: Training) -> Difference | None:
    """The same difference under layer-sync, which the unlayered network is not meant for."""
    if training not in results or CONTROL not in results:
        return None
    mode = Mode("layer-sync", GROUP_SIZE, results.case.input)
    return results.difference((training, mode), (CONTROL, mode))
