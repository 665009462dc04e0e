"""The fuzzer itself: it finds planted faults, and its mutants are the same in every run."""

import importlib.util
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from neuroasync.core.formats.bundle import read_bundle
from tests.fuzzing.blind import mutant, run_mutants
from tests.fuzzing.corpus_files import read_corpus, write_corpus
from tests.fuzzing.guard import MAX_GROWTH_BYTES, MAX_SECONDS, FindingError, Guard
from tests.fuzzing.targets import TARGETS
from tests.helpers.paths import ROOT

BUNDLE = TARGETS["bundle"]


def planted(fault):
    """Return the target of bundles with a reader that calls ``fault`` with what was read."""
    return replace(BUNDLE, read=lambda data: fault(read_bundle(data)))


def test_fault_behind_digest_and_checks_is_found():
    def fault(bundle):
        if bundle.policy.group_size not in (1, 2, 4):
            raise KeyError("planted")

    with pytest.raises(FindingError, match=r"^bundle: KeyError is not documented \(mutant \d+: b'"):
        run_mutants(planted(fault), 0, 2_000)


@pytest.mark.parametrize("text", ["", "two\nlines", "a \x1b[31mcolour", "\ud800", "x" * 3000])
def test_error_that_is_not_one_printable_line_is_found(text):
    def fault(_):
        raise BUNDLE.errors[0](text)

    with pytest.raises(FindingError, match="not one printable line"):
        Guard(planted(fault))


def test_subclass_of_a_documented_error_is_found():
    def fault(_):
        raise type("OtherError", BUNDLE.errors, {})("planted")

    with pytest.raises(FindingError, match="OtherError is not documented"):
        Guard(planted(fault))


def test_slow_input_is_found():
    guard = Guard(BUNDLE)
    guard._target = planted(lambda _: burn(MAX_SECONDS))
    with pytest.raises(FindingError, match=r"took 1\.\d\d s"):
        guard.check(BUNDLE.seeds()[0])


def burn(seconds):
    """Use the CPU for so long."""
    end_s = time.process_time() + seconds
    while time.process_time() <= end_s:
        pass


def test_input_that_takes_much_memory_is_found(monkeypatch):
    guard = Guard(BUNDLE)
    sizes = iter((0, MAX_GROWTH_BYTES + 1))
    monkeypatch.setattr("tests.fuzzing.guard._peak_bytes", lambda: next(sizes))
    with pytest.raises(FindingError, match="memory grew by more than"):
        guard.check(BUNDLE.seeds()[0])


def test_mutants_depend_only_on_their_number():
    seeds = BUNDLE.seeds()
    first = [mutant(BUNDLE, seeds, [b""], number) for number in range(50)]
    assert first == [mutant(BUNDLE, seeds, [b""], number) for number in range(50)]
    assert len(set(first)) > 25


def test_corpus_is_small_and_written_the_same_way_again(tmp_path, monkeypatch):
    corpus = {name: read_corpus(name) for name in TARGETS}
    files = sorted((ROOT / "tests" / "fuzzing" / "corpus").iterdir())
    assert sum(path.stat().st_size for path in files) < 300_000
    monkeypatch.setattr("tests.fuzzing.corpus_files._FOLDER", tmp_path)
    for path in files:
        write_corpus(path.stem, corpus[path.stem])
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="guided fuzzing needs atheris (Linux)"
)
def test_guided_run_keeps_inputs_that_reach_new_code(tmp_path):
    command = [sys.executable, "-m", "tests.fuzzing", "query", "--seconds", "2"]
    subprocess.run([*command, "--folder", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    names = [path.name for path in (tmp_path / "query").iterdir()]
    assert any(not name.startswith("seed-") for name in names)  # it began with these
