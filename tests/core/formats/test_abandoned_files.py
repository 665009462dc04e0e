"""A writer removes what killed writers have left in its folder, and nothing else."""

import os
import subprocess
import sys
import time

import pytest

from neuroasync.core.formats.atomic_write import atomic_file, remove_unfinished
from neuroasync.core.formats.file_lock import try_lock
from neuroasync.errors import BundleError
from tests.helpers.paths import ROOT

OLD = ".neuroasync-0123456789abcdef.tmp"


def put(path, age_s=7200):
    """Write a file that was last changed ``age_s`` seconds ago."""
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def write(folder):
    """Write a file atomically, and return the names in its folder."""
    with atomic_file(folder / "file", BundleError) as file:
        file.write(b"whole")
    return sorted(os.listdir(folder))


def test_an_abandoned_temporary_file_is_removed_by_the_next_writer(tmp_path):
    put(tmp_path / OLD)
    assert write(tmp_path) == ["file"]


def test_a_temporary_file_of_a_moment_ago_is_left_alone(tmp_path):
    put(tmp_path / OLD, age_s=0)
    assert write(tmp_path) == [OLD, "file"]


def test_a_temporary_file_from_the_future_is_left_alone(tmp_path):
    put(tmp_path / OLD, age_s=-86400)
    assert write(tmp_path) == [OLD, "file"]


@pytest.mark.parametrize(
    "name",
    [".other-0123456789abcdef.tmp", "neuroasync-0123456789abcdef.tmp", f"{OLD}.bak",
     ".neuroasync-0123456789abcde.tmp", ".neuroasync-0123456789ABCDEF.tmp"],
)  # fmt: skip
def test_files_of_others_are_left_alone(tmp_path, name):
    put(tmp_path / name)
    assert write(tmp_path) == sorted([name, "file"])


def test_a_folder_or_link_with_the_name_of_a_temporary_file_is_left_alone(tmp_path):
    (tmp_path / OLD).mkdir()
    put(tmp_path / "target")
    link = OLD.replace("0", "f")
    (tmp_path / link).symlink_to("target")
    os.utime(tmp_path / link, (0, 0), follow_symlinks=False)
    assert write(tmp_path) == sorted([OLD, link, "file", "target"])


def test_the_temporary_file_of_a_writer_that_takes_hours_is_left_alone(tmp_path):
    with atomic_file(tmp_path / "slow", BundleError) as file:
        file.write(b"slow")
        file.flush()
        (temporary,) = tmp_path.iterdir()
        os.utime(temporary, (time.time() - 7200,) * 2)
        assert write(tmp_path) == [temporary.name, "file"]
    assert sorted(os.listdir(tmp_path)) == ["file", "slow"]
    assert (tmp_path / "slow").read_bytes() == b"slow"


def test_the_file_of_a_writer_that_was_killed_is_removed(tmp_path):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from neuroasync.core.formats.atomic_write import atomic_file\n"
        "from neuroasync.errors import BundleError\n"
        "with atomic_file(sys.argv[2] + '/killed', BundleError) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)\n"
    )
    args = [sys.executable, "-c", code, str(ROOT), str(tmp_path)]
    assert subprocess.run(args, check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    assert write(tmp_path) == sorted([left.name, "file"])  # It is too young.
    remove_unfinished(tmp_path / "file")  # It is for another path.
    assert left.exists()
    os.utime(left, (time.time() - 61,) * 2)
    assert write(tmp_path) == ["file"]


@pytest.mark.parametrize("age_s", [7200, 0, -86400])
def test_temporary_files_for_one_path_are_removed_at_any_age(tmp_path, age_s):
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "file", BundleError):
        (temporary,) = tmp_path.iterdir()
        raise ZeroDivisionError
    put(temporary, age_s)
    put(tmp_path / OLD, age_s)
    assert remove_unfinished(tmp_path / "file")
    assert os.listdir(tmp_path) == [OLD]


def test_a_temporary_file_that_its_writer_has_locked_is_left_alone(tmp_path):
    with atomic_file(tmp_path / "file", BundleError) as file:
        file.write(b"whole")
        assert not remove_unfinished(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_folder_that_does_not_exist_has_nothing_to_remove(tmp_path):
    assert remove_unfinished(tmp_path / "missing" / "file")


def test_a_file_that_cannot_be_removed_does_not_stop_the_writer(tmp_path, monkeypatch):
    put(tmp_path / OLD)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("neuroasync.core.formats.atomic_write.try_lock", refuse)
    assert write(tmp_path) == [OLD, "file"]


def test_a_file_can_be_locked_once(tmp_path):
    with open(tmp_path / "file", "wb") as one, open(tmp_path / "file", "wb") as other:
        assert try_lock(one.fileno())
        assert not try_lock(other.fileno())
        one.close()
        assert try_lock(other.fileno())
