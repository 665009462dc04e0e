"""Data sets by Tonic: its documented interface with a fake, and its real classes on small files."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from neuroasync import DatasetError
from neuroasync.datasets import load_dataset
from neuroasync.datasets.tonic_readers import TONIC_SETS, dataset_from_readers

GESTURE = np.dtype([("x", np.int16), ("y", np.int16), ("p", bool), ("t", np.int64)])
SHD = np.dtype([("t", int), ("x", int), ("p", int)])


class Reader:
    """A Tonic data set: sample k is (events[k], labels[k])."""

    def __init__(self, events, labels, **listed):
        self.samples = list(zip(events, labels, strict=True))
        vars(self).update(listed)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, k):
        return self.samples[k]


def gestures(n, **listed):
    """Return samples with an on event, and an off event that is earlier but comes second."""
    events = [np.array([(3, 2, True, 1000), (127, 0, False, 960)], GESTURE)] * n
    return Reader(events, [k % 2 for k in range(n)], targets=[k % 2 for k in range(n)], **listed)


def test_camera_events_are_ordered_by_time_from_the_first_and_indexed_by_polarity_y_x():
    info = TONIC_SETS["dvs-gesture"].info
    dataset = dataset_from_readers(info, gestures(10), gestures(2), "", rebase_time=True)
    assert dataset.test[0].t_us.tolist() == [0, 40]
    assert dataset.test[0].index.tolist() == [127, 128 * 128 + 2 * 128 + 3]
    assert dataset.input_shape == dataset.test.shape == (2, 128, 128)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (8, 2, 2)


def test_cochlea_events_keep_their_times_and_need_no_y():
    events = [np.array([(14_000, 699, 1), (21_000, 0, 1)], SHD)] * 10
    reader = Reader(events, np.arange(10), speaker=np.arange(10) // 5 + 7)
    info = TONIC_SETS["shd"].info
    dataset = dataset_from_readers(info, reader, reader, "speaker", rebase_time=False)
    assert dataset.train[0].t_us.tolist() == [14_000, 21_000]
    assert dataset.train[0].index.tolist() == [699, 0]
    assert dataset.groups == ("7", "8")
    assert len(dataset.leave_out("7").test) == 5


def test_a_group_without_test_samples_cannot_be_left_out():
    train, test = gestures(10, users=[1, 2] * 5), gestures(2, users=[3, 3])
    info = TONIC_SETS["dvs-gesture"].info
    dataset = dataset_from_readers(info, train, test, "users", rebase_time=True)
    assert len(dataset.leave_out("3").test) == 2
    with pytest.raises(ValueError, match="must have samples in the test part, but '1' has none"):
        dataset.leave_out("1")


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (np.array([(128, 0, True, 0)], GESTURE), "sample 0 of Reader: invalid entry"),
        (np.array([(5, 0)], [("x", int), ("t", int)]), "sample 0 of Reader: .*no field"),
        (None, "sample 0 of Reader: "),
    ],
)
def test_the_error_for_an_invalid_sample_names_it(events, message):
    info, bad = TONIC_SETS["dvs-gesture"].info, Reader([events], [0])
    dataset = dataset_from_readers(info, gestures(10), bad, "", rebase_time=True)
    with pytest.raises(DatasetError, match=f"^dvs-gesture: {message}"):
        _ = dataset.test


def test_a_class_out_of_range_is_rejected():
    info = TONIC_SETS["dvs-gesture"].info
    with pytest.raises(DatasetError, match=r"^dvs-gesture: classes must be from 0 to 10"):
        dataset_from_readers(info, gestures(10), Reader([None], [11]), "", rebase_time=True)


@pytest.mark.parametrize("name", TONIC_SETS)
def test_without_a_folder_the_error_explains_how_to_set_one(name):
    with pytest.raises(DatasetError, match=f"^{name} does not ship with neuroasync; name"):
        load_dataset(name)


def test_missing_tonic_is_an_error_that_names_the_extra_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)
    with pytest.raises(ImportError, match=r"shd needs Tonic: pip install 'neuroasync\[data\]'"):
        load_dataset("shd", data_dir=tmp_path)


def test_the_error_for_a_failed_download_names_the_folder(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setitem(sys.modules, "tonic.datasets", SimpleNamespace(SHD=fails))
    with pytest.raises(DatasetError, match="can neither read nor download SHD there: no route"):
        load_dataset("shd", data_dir=tmp_path)


def test_tonic_reads_n_mnist(tmp_path, monkeypatch):
    tonic = pytest.importorskip("tonic")
    monkeypatch.setattr(tonic.datasets.NMNIST, "_check_exists", lambda _: True)  # 10,000 files
    for folder, label, count in (("Train", 0, 5), ("Train", 7, 5), ("Test", 7, 1)):
        place = tmp_path / "NMNIST" / folder / str(label)
        place.mkdir(parents=True)
        for k in range(count):
            # Events have 40 bits: x, y, polarity and 23 bits of time, here 300 and 556 µs.
            (place / f"{k:05}.bin").write_bytes(bytes([33, 1, 0x80, 1, 44, 0, 2, 0, 2, 44]))
    dataset = load_dataset("nmnist", data_dir=tmp_path)
    assert dataset.test.labels.tolist() == [7]
    assert dataset.test[0].t_us.tolist() == [0, 256]
    assert dataset.test[0].index.tolist() == [34 * 34 + 34 + 33, 2 * 34]
    assert np.bincount(dataset.train.labels).tolist() == [4, 0, 0, 0, 0, 0, 0, 4]


def test_tonic_reads_spiking_heidelberg_digits(tmp_path):
    pytest.importorskip("tonic")
    h5py = pytest.importorskip("h5py")
    (tmp_path / "SHD").mkdir()
    for part, count in (("train", 10), ("test", 2)):
        (tmp_path / "SHD" / f"shd_{part}.h5.zip").touch()  # Tonic only checks that it exists.
        with h5py.File(tmp_path / "SHD" / f"shd_{part}.h5", "w") as file:
            rows = h5py.vlen_dtype(np.float16), h5py.vlen_dtype(np.uint16)
            times = file.create_dataset("spikes/times", (count,), rows[0])
            units = file.create_dataset("spikes/units", (count,), rows[1])
            for k in range(count):
                times[k], units[k] = np.array([0.25, 0.5]), np.array([699, 0])
            file["labels"] = np.full(count, 19, np.uint16)
            file["extra/keys"] = np.array([b"zero"])
            file["extra/speaker"] = np.arange(count, dtype=np.uint16) % 2
    dataset = load_dataset("shd", data_dir=tmp_path)
    assert dataset.test[1].t_us.tolist() == [250_000, 500_000]
    assert dataset.test[1].index.tolist() == [699, 0]
    assert dataset.classes[dataset.test.labels[0]] == "neun"
    assert dataset.groups == ("0", "1")


def test_tonic_reads_dvs_gesture(tmp_path, monkeypatch):
    tonic = pytest.importorskip("tonic")
    monkeypatch.setattr(tonic.datasets.DVSGesture, "_check_exists", lambda _: True)  # 100 files
    for folder, count in (("ibmGestureTrain", 10), ("ibmGestureTest", 1)):
        for k in range(count):
            place = tmp_path / "DVSGesture" / folder / f"user{k + 1:02}_fluorescent"
            place.mkdir(parents=True)
            rows = np.array([[3, 2, 1, 5], [127, 0, 0, 8]], np.int64)  # x, y, p, t in ms
            np.save(place / "4.npy", rows)
    dataset = load_dataset("dvs-gesture", data_dir=tmp_path)
    assert dataset.test[0].t_us.tolist() == [0, 3000]
    assert dataset.test[0].index.tolist() == [128 * 128 + 2 * 128 + 3, 127]
    assert dataset.classes[dataset.test.labels[0]] == "right arm counter clockwise"
    assert len(dataset.groups) == 10
