"""Paths and file systems: readable and writable files, and the effect of a failed write."""

import os

import pytest

from neuroasync.core.formats import atomic_write
from neuroasync.core.formats.bundle import read_bundle, write_bundle
from neuroasync.core.formats.spike_file import read_spikes, write_spikes
from neuroasync.errors import BundleError, SpikeFileError
from tests.helpers.malformed_files import rich_bundle, some_spikes

READERS = pytest.mark.parametrize(
    ("read", "error"), [(read_bundle, BundleError), (read_spikes, SpikeFileError)]
)
WRITERS = pytest.mark.parametrize(
    ("write", "value", "error"),
    [(write_bundle, rich_bundle(), BundleError), (write_spikes, some_spikes(), SpikeFileError)],
)


@READERS
def test_directory_is_rejected(tmp_path, read, error):
    with pytest.raises(
        error,
        match=r"^'.*': cannot be read: it",
    ):
        read(tmp_path)


@READERS
def test_pipe_is_rejected_without_waiting(tmp_path, read, error):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        error,
        match=r"pipe': cannot be read: it must be a regular file, not a directory, pipe or",
    ):
        read(tmp_path / "pipe")


@READERS
def test_endless_device_is_rejected(read, error):
    with pytest.raises(
        error,
        match=r"^'/dev/zero': cannot be read: it must be a regular file, not a directory, pipe or",
    ):
        read("/dev/zero")


@READERS
@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, "missing\n.nab", "\udc80", chr(0xD800)])
def test_invalid_path_is_reported_in_one_line(read, error, name):
    with pytest.raises(error) as caught:
        read(name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()


@READERS
def test_link_to_itself_is_rejected(tmp_path, read, error):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(
        error,
        match=r"loop': cannot be read: Too many levels of symbolic links$",
    ):
        read(tmp_path / "loop")


def test_link_to_a_file_is_followed(tmp_path):
    write_bundle(rich_bundle(), tmp_path / "a.nab")
    (tmp_path / "link").symlink_to("a.nab")
    assert read_bundle(tmp_path / "link") == rich_bundle()


@WRITERS
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failed_write_leaves_only_the_old_file(tmp_path, monkeypatch, write, value, error, step):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_write.os, step, fail)
    with pytest.raises(
        error,
        match=r"file': cannot be written: No space left on device$",
    ):
        write(value, path)
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == b"old"


@WRITERS
def test_interrupted_write_leaves_no_temporary_file(tmp_path, monkeypatch, write, value, error):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic_write.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(value, tmp_path / "file")
    assert os.listdir(tmp_path) == []


@WRITERS
def test_directory_pipe_or_device_is_not_replaced(tmp_path, write, value, error):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(
            error,
            match=r"^'.*': must be a regular",
        ):
            write(value, path)
    assert os.listdir(tmp_path) == ["pipe"]


@WRITERS
def test_written_file_has_the_usual_permissions(tmp_path, write, value, error):
    (tmp_path / "plain").write_bytes(b"")
    write(value, tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode
