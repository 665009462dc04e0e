"""Blind fuzzing: a fixed number of mutants, the same in every run."""

from random import Random

from tests.fuzzing.corpus_files import read_corpus
from tests.fuzzing.guard import FindingError, Guard
from tests.fuzzing.mutate_bytes import mutated_bytes
from tests.fuzzing.targets import Target

__all__ = ["mutant", "run_mutants"]

MAX_BYTES = 2**16


def mutant(target: Target, seeds: list[bytes], corpus: list[bytes], number: int) -> bytes:
    """Return a mutant of a seed or of an input of the corpus; its number decides which."""
    rng = Random(f"{target.name} {number}")
    data = rng.choice(corpus if corpus and rng.random() < 0.3 else seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = target.mutate(data, rng, mutated_bytes)
    return data[:MAX_BYTES]


def run_mutants(target: Target, first: int, count: int) -> Guard:
    """Read mutants ``first`` to ``first + count - 1``.

    Raises:
        FindingError: a mutant broke a promise; the message has its number.
    """
    guard = Guard(target)
    seeds, corpus = target.seeds(), read_corpus(target.name)
    for number in range(first, first + count):
        data = mutant(target, seeds, corpus, number)
        try:
            guard.check(data)
        except FindingError as finding:
            raise FindingError(
                f"{finding} (mutant {number}: {data[:200]!r})"
            ) from finding.__cause__
    return guard
