"""Splits: who trains, who validates, who is measured."""

from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.encoders import uniforms

__all__ = ["Ints", "Split", "hold_out", "stratified_folds"]

Ints: TypeAlias = NDArray[np.int64]

_SEED: Final = 2408
_PARTS: Final = 5
"""A fifth of the training samples validates, unless a set says otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Sample numbers of each part, no number in two of them.

    Attributes:
        train: i64[n], what is learned from.
        validation: i64[n], what anything is chosen by.
        test: i64[n], for measuring, never for training or for choosing.
    """

    train: Ints
    validation: Ints
    test: Ints

    def fold(self, k: int, folds: int, strata: Ints, seed: int) -> Self:
        """Another split of the train and validation samples; the test part stays as it is."""
        pool = np.sort(np.concatenate([self.train, self.validation]))
        held = stratified_folds(strata[pool], folds, seed) == k
        return type(self)(pool[~held], pool[held], self.test)

    def rotate(self, k: int, folds: int, strata: Ints, seed: int) -> "Split":
        """Another split of the train and validation samples alone: fold ``k`` is the test part."""
        held = self.fold(k, folds, strata, seed)
        return hold_out(held.train, held.validation, strata)

    def at_most(self, train: int | None, measured: int | None, strata: Ints) -> Self:
        """At most so many samples in each part, each stratum with its share."""
        return type(self)(
            _thinned(self.train, train, strata),
            _thinned(self.validation, measured, strata),
            _thinned(self.test, measured, strata),
        )


def hold_out(pool: Ints, test: Ints, strata: Ints) -> Split:
    """The default split: a fifth of ``pool``, stratified, validates."""
    return Split(pool, pool[:0], test).fold(0, _PARTS, strata, _SEED)


def stratified_folds(strata: Ints, folds: int, seed: int) -> Ints:
    """Deal samples to folds so that each fold has its share of each stratum.

    The folds' sizes differ by one sample at most, and so do their shares of a stratum.

    Args:
        strata: i64[samples], what each fold is to have alike: the class, for one.
        folds: from 2 to the number of samples.
        seed: 64 bits; decides who goes where within a stratum.

    Returns:
        i64[samples], the fold of each, from 0.

    Raises:
        ValueError: ``folds`` is out of range.
    """
    if not 2 <= folds <= len(strata):
        raise ValueError(f"folds: {folds}, expected 2 to {len(strata)}, the number of samples")
    fold = np.empty(len(strata), np.int64)
    fold[np.lexsort((uniforms(seed, len(strata)), strata))] = np.arange(len(strata)) % folds
    return fold


def _thinned(part: Ints, most: int | None, strata: Ints) -> Ints:
    """``most`` of the samples, evenly from those in the order of their strata."""
    if most is None or most >= part.size:
        return part
    by_stratum = np.argsort(strata[part], kind="stable")
    return part[np.sort(by_stratum[np.arange(most) * part.size // most])]
