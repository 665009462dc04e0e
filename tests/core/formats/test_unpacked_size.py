"""A small file cannot make a reader fill the memory."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.formats import npz
from tests.helpers.malformed_files import some_spikes


def bomb(size):
    """Return a spike file of ``size`` events at time 0, deflated as far as possible."""
    arrays = {
        "t_us": np.zeros(size, "<i8"), "index": np.zeros(size, "<u4"),
        "offsets": np.array([0, size], "<i8"), "shape": np.array([1], "<i8"),
    }  # fmt: skip
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused_before_it_is_unpacked():
    data = bomb(4_000_000)
    assert 500 * len(data) < 48_000_000
    tracemalloc.start()
    try:
        with pytest.raises(
            na.SpikeFileError, match=r"^the file has \d+ bytes, and 480\d+ unpacked"
        ):
            na.read_spikes(data)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_small_file_may_have_any_ratio():
    assert len(na.read_spikes(bomb(100_000)).t_us) == 100_000


def test_what_is_written_can_be_read_whatever_its_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "_ALWAYS_ALLOWED_BYTES", 0)
    monkeypatch.setattr(npz, "_MAX_RATIO", 2)
    zeros = na.SpikeTrains(np.zeros(10_000, int), np.zeros(10_000, int), [0, 10_000], None, (1,))
    for spikes in (zeros, some_spikes()):
        na.write_spikes(spikes, tmp_path / "spikes.npz")
        assert na.read_spikes(tmp_path / "spikes.npz") == spikes
    na.write_spikes(zeros, tmp_path / "spikes.npz")
    with zipfile.ZipFile(tmp_path / "spikes.npz") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
