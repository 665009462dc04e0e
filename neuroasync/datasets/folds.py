"""Splits of a data set into training, validation and test part, and folds."""

from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.encoders import uniforms
from neuroasync.errors import DatasetError

__all__ = ["Ints", "Split", "hold_out", "stratified_folds"]

Ints: TypeAlias = NDArray[np.int64]

_SEED: Final = 2408
_PARTS: Final = 5
"""By default, one of this many folds of the training samples is the validation part."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Sample numbers of each part. No number is in two parts.

    Attributes:
        train: i64[n], samples to train on.
        validation: i64[n], samples for choosing between networks and settings.
        test: i64[n], samples for measuring only.
    """

    train: Ints
    validation: Ints
    test: Ints

    def fold(self, k: int, folds: int, strata: Ints, seed: int) -> Self:
        """Return the split in which fold ``k`` of all but the test samples is for validation."""
        pool = np.sort(np.concatenate([self.train, self.validation]))
        held = stratified_folds(strata[pool], folds, seed) == k
        return type(self)(pool[~held], pool[held], self.test)

    def rotate(self, k: int, folds: int, strata: Ints, seed: int) -> "Split":
        """Return the split in which fold ``k`` of all but the test samples is for testing."""
        held = self.fold(k, folds, strata, seed)
        return hold_out(held.train, held.validation, strata)

    def at_most(self, train: int | None, measured: int | None, strata: Ints) -> Self:
        """Return a split with at most so many samples, and the same proportions of strata."""
        return type(self)(
            _thinned(self.train, train, strata),
            _thinned(self.validation, measured, strata),
            _thinned(self.test, measured, strata),
        )


def hold_out(pool: Ints, test: Ints, strata: Ints) -> Split:
    """Return the default split: a stratified fifth of ``pool`` is for validation.

    Raises:
        DatasetError: ``pool`` has fewer than 5 samples.
    """
    if len(pool) < _PARTS:
        raise DatasetError(
            f"there must be at least {_PARTS} training samples, so that a fifth of them can be "
            f"held out for validation, got {len(pool)}"
        )
    return Split(pool, pool[:0], test).fold(0, _PARTS, strata, _SEED)


def stratified_folds(strata: Ints, folds: int, seed: int) -> Ints:
    """Assign samples to folds so that each fold has its share of each stratum.

    The sizes of two folds differ by at most one sample, and so do their shares of a stratum.

    Args:
        strata: i64[samples], stratum of each sample, for example its class.
        folds: Number of folds, from 2 to the number of samples.
        seed: Seed of the assignment within each stratum, 64 bits.

    Returns:
        i64[samples], fold of each sample, from 0.

    Raises:
        ValueError: ``folds`` is out of range.
    """
    if not 2 <= folds <= len(strata):
        raise ValueError(
            f"`folds` must be from 2 to the number of samples, {len(strata)}, got {folds}"
        )
    fold = np.empty(len(strata), np.int64)
    # Samples are sorted by stratum, shuffled within it, and dealt to the folds in turn.
    fold[np.lexsort((uniforms(seed, len(strata)), strata))] = np.arange(len(strata)) % folds
    return fold


def _thinned(part: Ints, maximum: int | None, strata: Ints) -> Ints:
    """Return ``maximum`` of the samples, at even distances in the order of their strata."""
    if maximum is None or maximum >= part.size:
        return part
    by_stratum = np.argsort(strata[part], kind="stable")
    return part[np.sort(by_stratum[np.arange(maximum) * part.size // maximum])]
