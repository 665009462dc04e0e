"""A lock file lets one process at a time do something, and a crash unlocks it."""

import os
import subprocess
import sys

import pytest

from neuroasync.core.formats import file_lock
from neuroasync.core.formats.file_lock import lock_file
from neuroasync.errors import BundleError
from tests.helpers.paths import ROOT

BUSY = r"guarded': another process \(\d+\) is writing; wait for it to end, or choose another path$"


def locked(path):
    return lock_file(path, path.parent / "guarded", BundleError, "writing")


def test_a_second_holder_is_refused_at_once_and_the_first_goes_on(tmp_path):
    path = tmp_path / "lock"
    with locked(path):
        for _ in range(2):
            with pytest.raises(BundleError, match=BUSY), locked(path):
                pass
        assert path.read_text() == str(os.getpid())
    assert os.listdir(tmp_path) == []
    with locked(path):
        pass


def test_the_lock_is_released_when_the_block_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "lock"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from neuroasync.core.formats.file_lock import lock_file\n"
        "from neuroasync.errors import BundleError\n"
        "with lock_file(sys.argv[2], 'guarded', BundleError, 'writing'): os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "lock"
    args = [sys.executable, "-c", code, str(ROOT), str(path)]
    assert subprocess.run(args, check=False).returncode == -9
    assert path.exists()
    with locked(path):
        assert path.read_text() == str(os.getpid())
    assert not path.exists()


def test_a_lock_file_that_vanishes_while_it_is_opened_is_created_again(tmp_path, monkeypatch):
    path, real, calls = tmp_path / "lock", file_lock.try_lock, []

    def lock_after_removal(handle):
        calls.append(handle)
        if len(calls) == 1:  # The holder before removes its file now.
            path.unlink()
        return real(handle)

    monkeypatch.setattr(file_lock, "try_lock", lock_after_removal)
    with locked(path):
        assert len(calls) == 2
        assert path.exists()


def test_without_locks_in_the_file_system_the_block_runs(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(file_lock, "try_lock", fail)
    with locked(tmp_path / "lock"):
        pass


def test_a_lock_file_that_cannot_be_written_is_an_error(tmp_path):
    with (
        pytest.raises(BundleError, match="guarded': cannot be written: No such file"),
        locked(tmp_path / "none" / "lock"),
    ):
        pass


def test_a_path_with_a_null_character_is_an_error(tmp_path):
    with (
        pytest.raises(BundleError, match="contains a null character"),
        lock_file(tmp_path / "lock", "null\0character", BundleError, "writing"),
    ):
        pass


@pytest.mark.parametrize("content", [b"[tool.poetry]\n", b"1" * 21, b"12 "])
def test_another_file_with_the_name_of_the_lock_is_kept(tmp_path, content):
    path = tmp_path / "poetry.lock"
    path.write_bytes(content)
    with (
        pytest.raises(BundleError, match="is not a lock file, but its name is needed for one"),
        lock_file(path, tmp_path / "poetry", BundleError, "testing"),
    ):
        raise AssertionError("the block must not run")
    assert path.read_bytes() == content
