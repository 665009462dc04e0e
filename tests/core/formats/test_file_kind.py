"""Readers that are given another kind of file say what it is."""

import asyncio
import io
import json

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.formats.bundle import dump_bundle
from neuroasync.core.formats.file_kind import FileKind, file_kind
from neuroasync.core.recording.file import read_recording, write_recording
from neuroasync.datasets import load_dataset
from neuroasync.shipped import shipped_file
from tests.helpers.cli_files import golden_bundle, some_trains


async def recording_and_snapshot(bundle):
    """Return a recording of the network, and the snapshot of a session."""
    async with na.Network(bundle) as network:
        recorder = network.recorder()
        await network.decide_all(some_trains(), recorder=recorder)
        async with network.session() as session:
            return recorder.finish(), session.snapshot()


@pytest.fixture
def folder(tmp_path):
    """Write one file of each kind, named by its kind."""
    recording, snapshot = asyncio.run(recording_and_snapshot(golden_bundle()))
    (tmp_path / "snapshot").write_bytes(snapshot)
    write_recording(recording, tmp_path / "recording")
    na.write_bundle(golden_bundle(), tmp_path / "bundle")
    na.write_spikes(some_trains(), tmp_path / "spikes")
    with shipped_file("braille_test.npz") as path:
        (tmp_path / "dataset").write_bytes(path.read_bytes())
    array = io.BytesIO()
    np.save(array, np.arange(3))
    (tmp_path / "array").write_bytes(array.getvalue())
    (tmp_path / "json").write_text(json.dumps({"a": 1}))
    (tmp_path / "hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    (tmp_path / "camera").write_bytes(b"% evt 3.0\n% end\n")
    return tmp_path


KINDS = {
    "bundle": FileKind.BUNDLE, "snapshot": FileKind.SNAPSHOT, "spikes": FileKind.SPIKES,
    "recording": FileKind.RECORDING, "dataset": FileKind.DATASET, "array": FileKind.ARRAY,
    "json": FileKind.JSON, "hdf5": FileKind.HDF5, "camera": FileKind.CAMERA,
}  # fmt: skip
READERS = {
    "bundle": (na.read_bundle, na.BundleError),
    "spikes": (na.read_spikes, na.SpikeFileError),
    "recording": (read_recording, na.RecordingError),
}


@pytest.mark.parametrize("found", KINDS)
@pytest.mark.parametrize("wanted", READERS)
def test_reader_names_the_kind_of_another_file(folder, wanted, found):
    read, error = READERS[wanted]
    path = folder / found
    assert file_kind(path) is file_kind(path.read_bytes()) is KINDS[found]
    if wanted == found:
        read(path)
        return
    with pytest.raises(error) as caught:
        read(path)
    assert str(caught.value) == f"{str(path)!r} is {KINDS[found]}, not {KINDS[wanted]}"
    with pytest.raises(error) as caught:
        read(path.read_bytes())
    assert str(caught.value) == f"this is {KINDS[found]}, not {KINDS[wanted]}"


async def test_session_names_the_kind_of_what_is_no_snapshot(folder):
    async with na.Network.load(folder / "bundle") as network, network.session() as session:
        with pytest.raises(na.SnapshotError, match="this is a spike file, not a snapshot of a"):
            session.restore((folder / "spikes").read_bytes())


def test_checkpoint_reader_names_the_kind_of_another_file(folder):
    torch = pytest.importorskip("torch")
    from neuroasync.train import CheckpointError, TrainConfig
    from neuroasync.train.checkpoint import TrainingState, load_checkpoint, save_checkpoint

    none = np.zeros(0, np.float32)
    with pytest.raises(CheckpointError, match=r"bundle' is a network \(\.nab\), not a checkpoint"):
        load_checkpoint(folder / "bundle", TrainConfig(), b"", 0)
    state = TrainingState(parameters=none, mean=none, square=none, history=())
    save_checkpoint(folder / "checkpoint", TrainConfig(), b"", state)
    assert file_kind(folder / "checkpoint") is FileKind.CHECKPOINT
    with pytest.raises(na.SpikeFileError, match="is a checkpoint of a training, not a spike file"):
        na.read_spikes(folder / "checkpoint")
    torch.save({"weights": 1}, folder / "torch")
    with pytest.raises(CheckpointError, match=r"torch' is a file of torch, not a checkpoint of a "):
        load_checkpoint(folder / "torch", TrainConfig(), b"", 0)


def test_data_set_names_the_kind_of_another_file(folder):
    (folder / "mnist_train.npz").write_bytes((folder / "spikes").read_bytes())
    with pytest.raises(na.DatasetError, match=r"npz' is a spike file, not a file of a data set$"):
        load_dataset("mnist", data_dir=folder)


def test_unknown_missing_and_damaged_files_have_no_kind(tmp_path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "zip").write_bytes(b"PK\x03\x04" + bytes(100))
    for source in (b"", tmp_path, tmp_path / "missing", tmp_path / "text", tmp_path / "zip", "\0"):
        assert file_kind(source) is None


def test_damaged_file_of_the_wanted_kind_keeps_its_error():
    data = bytearray(dump_bundle(golden_bundle()))
    data[data.index(b"sha256") + 12] ^= 1
    with pytest.raises(na.BundleError, match="`sha256` is not the digest"):
        na.read_bundle(bytes(data))
