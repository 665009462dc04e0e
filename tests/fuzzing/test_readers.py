"""Every reader refuses damaged input with a documented error, in bounded time and memory."""

import pytest

from tests.fuzzing.blind import run_mutants
from tests.fuzzing.corpus_files import read_corpus
from tests.fuzzing.guard import Guard
from tests.fuzzing.targets import TARGETS

MUTANTS = 200


@pytest.fixture(params=TARGETS)
def target(request):
    """Return each target whose libraries are installed."""
    target = TARGETS[request.param]
    if missing := target.missing():
        pytest.skip(f"reading {target.name} files needs {missing}")
    return target


def test_inputs_that_guided_fuzzing_found_keep_the_promises(target):
    guard = Guard(target)
    assert guard.accepted == len(target.seeds())
    for data in read_corpus(target.name):
        guard.check(data)


@pytest.mark.filterwarnings("ignore::UserWarning")  # zipfile warns when it writes a name twice
def test_mutants_keep_the_promises(target):
    guard = run_mutants(target, 0, MUTANTS)
    assert guard.accepted + guard.refused == MUTANTS + len(target.seeds())
