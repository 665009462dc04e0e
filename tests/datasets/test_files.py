"""Sets are read from a folder, and errors name a bad file and its problem."""

import numpy as np
import pytest

from neuroasync import DatasetError, SpikeTrain
from neuroasync.datasets import load_dataset
from tests.helpers.paths import DATA

SOUNDS = DATA / "sounds"


def nmnist(samples=10):
    """Return samples of two events, on a clock that does not start at a sample."""
    n = 2 * samples
    return {
        "t": np.array([100 * k + 7 * (k % 2) for k in range(n)], np.uint32),
        "x": np.full(n, 33, np.uint8),
        "y": np.tile(np.array([0, 2], np.uint8), samples),
        "p": np.tile(np.array([0, 1], np.uint8), samples),
        "offsets": np.arange(0, n + 1, 2),
        "labels": (np.arange(samples) % 10).astype(np.uint8),
        "sample_id": np.arange(samples, dtype=np.int32),
        "sensor_size": np.array([34, 34], np.int32),
        "meta": np.array("origin"),
    }


def mnist(samples=10):
    """Return the arrays of a small file of MNIST or Fashion-MNIST."""
    images = np.zeros((samples, 28, 28), np.uint8)
    images[:, 0, 3] = 255
    return {
        "images": images,
        "labels": (np.arange(samples) % 10).astype(np.uint8),
        "first_index": np.array(0),
        "meta": np.array("origin"),
    }


def braille(samples=10):
    """Return the arrays of a small Braille file."""
    return {
        "taxels": np.tile(np.array([[255] * 12, [250] * 12], np.uint8), (samples, 1)),
        "offsets": np.arange(0, 2 * samples + 1, 2),
        "labels": (np.arange(samples) % 27).astype(np.uint8),
        "repetition": np.zeros(samples, np.uint8),
        "class_names": np.array(["Space", "A"]),
        "meta": np.array("origin"),
    }


def sounds(samples=10):
    """Return the arrays of a small file of spoken digits."""
    return {
        "wav": np.tile(np.arange(0, 1600, 100, dtype=np.int16), samples),
        "offsets": np.arange(0, 16 * samples + 1, 16),
        "labels": (np.arange(samples) % 10).astype(np.uint8),
        "speaker": np.zeros(samples, np.uint8),
        "take": np.zeros(samples, np.uint8),
        "sample_rate": np.array(8000, np.int32),
        "speaker_names": np.array(["george"]),
        "meta": np.array("origin"),
    }


SETS = {
    "nmnist-small": ("nmnist_small", nmnist),
    "mnist": ("mnist", mnist),
    "fashion-mnist": ("fashion_mnist", mnist),
    "braille": ("braille", braille),
    "spoken-digits": ("fsdd", sounds),
}


def fill(folder, name, **changed):
    """Write both files of a set; ``changed`` arrays in the training file only."""
    stem, arrays = SETS[name]
    np.savez_compressed(folder / f"{stem}_train.npz", **{**arrays(), **changed})
    np.savez_compressed(folder / f"{stem}_test.npz", **arrays(3))
    return folder


@pytest.mark.parametrize("name", SETS)
def test_documented_files_are_read_with_their_samples_in_order(tmp_path, name):
    dataset = load_dataset(name, data_dir=fill(tmp_path, name))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (8, 2, 3)
    assert dataset.test.labels.tolist() == [0, 1, 2]
    assert dataset.train.shape == dataset.input_shape


def test_time_of_n_mnist_starts_with_the_first_event_of_a_sample(tmp_path):
    dataset = load_dataset("nmnist-small", data_dir=fill(tmp_path, "nmnist-small"))
    # (p, y, x) is (0, 0, 33), then (1, 2, 33), in 2 x 34 x 34; 107 µs later on the clock
    expected = SpikeTrain(np.array([0, 107]), np.array([33, 34 * 34 + 2 * 34 + 33]))
    assert all(sample == expected for sample in dataset.test)


def test_a_taxel_spikes_once_per_change_of_two_units(tmp_path):
    dataset = load_dataset("braille", data_dir=fill(tmp_path, "braille"))
    assert dataset.test[0].index.tolist() == [k // 2 for k in range(24)]  # off, twice each: -5
    assert set(dataset.test[0].t_us.tolist()) == {25_000}


def test_the_environment_variable_is_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROASYNC_DATA", str(fill(tmp_path, "mnist")))
    assert len(load_dataset("mnist").test) == 3
    assert len(load_dataset("digits").test) == 360


def test_the_filter_bank_reproduces_the_shipped_spikes():
    """This test fixes the filter bank: its events for these sounds must be those that ship."""
    dataset, shipped = load_dataset("spoken-digits", data_dir=SOUNDS), load_dataset("spoken-digits")
    encoded = dataset.samples.encode(np.arange(12), 0)
    # By digit, speaker, then takes 10 to 19 and 5 to 9 to train, 0 to 4 to test.
    numbers = [90 * k + 15 * (k % 6) + 10 for k in range(10)]
    numbers += [900 + 30 * 3, 900 + 30 * 7 + 5 * 4 + 2]
    assert encoded == shipped.samples.encode(np.array(numbers), 0)


@pytest.mark.parametrize("name", SETS)
def test_the_error_for_a_missing_file_says_where_to_get_it(tmp_path, name):
    stem = SETS[name][0]
    (fill(tmp_path, name) / f"{stem}_test.npz").unlink()
    with pytest.raises(DatasetError, match=rf"{stem}_test.npz': the file does not exist. .*http"):
        load_dataset(name, data_dir=tmp_path)


def test_the_error_for_a_missing_folder_says_which_setting_named_it(tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match=r"none': no such folder of data sets$"):
        load_dataset("mnist", data_dir=tmp_path / "none")
    monkeypatch.setenv("NEUROASYNC_DATA", "no/where")
    with pytest.raises(DatasetError, match=r"^'no/where', from NEUROASYNC_DATA: no such folder"):
        load_dataset("mnist")
    with pytest.raises(DatasetError, match="no such folder of data sets"):
        load_dataset("mnist", data_dir="a\0b")


DAMAGED = [
    ("nmnist-small", {"x": np.full(20, 34, np.uint8)}, "x must have 20 values from 0 to 33"),
    ("nmnist-small", {"p": np.full(20, 2, np.uint8)}, "p must have 20 values from 0 to 1"),
    ("nmnist-small", {"y": np.zeros(19, np.uint8)}, "y must have 20 values from 0 to 33"),
    (
        "nmnist-small",
        {"t": np.arange(20, 0, -1).astype(np.uint32)},
        r"`t_us\[1\]` must be at least 0, got -1",
    ),
    (
        "nmnist-small",
        {"offsets": np.array([0, 30, 20])},
        "offsets must ascend from 0 to 20",
    ),
    (
        "nmnist-small",
        {"labels": np.zeros(9, np.uint8)},
        "labels must have one value .* 10 samples, got 9",
    ),
    ("nmnist-small", {"t": np.zeros(20, np.float32)}, "`t` must be <u4 of 1 dimensions, got <f4"),
    ("mnist", {"labels": np.full(10, 10, np.uint8)}, r"labels\[0\] must be from 0 to 9, got 10"),
    (
        "mnist",
        {"images": np.zeros((10, 8, 8), np.uint8)},
        r"images must .* got \(10, 8, 8\)",
    ),
    (
        "fashion-mnist",
        {"labels": np.full(10, 10, np.uint8)},
        r"labels\[0\] must be from 0 to 9, got 10",
    ),
    (
        "fashion-mnist",
        {"images": np.zeros((0, 28, 28), np.uint8)},
        r"images must .* at least one sample, got \(0, 28, 28\)",
    ),
    ("mnist", {"extra": np.zeros(1)}, "'extra.npy' is an unknown entry"),
    (
        "mnist",
        {"labels": np.zeros(0, np.uint8)},
        "labels must have one value .*, got 0",
    ),
    (
        "braille",
        {"taxels": np.zeros((20, 3), np.uint8)},
        "taxels must have 12 values .*, got 3",
    ),
    (
        "braille",
        {"offsets": np.array([0, 0, 20])},
        "labels must have one value .*, got 10",
    ),
    ("braille", {"offsets": np.array([], np.int64)}, "offsets must ascend"),
    (
        "spoken-digits",
        {"sample_rate": np.array(16000, np.int32)},
        "sample_rate must be 8000 Hz, got 16000",
    ),
    (
        "spoken-digits",
        {"speaker": np.full(10, 6, np.uint8)},
        "speaker must have 10 values from 0",
    ),
    ("spoken-digits", {"offsets": np.array([0, 7])}, "offsets must ascend from 0 to 160"),
]


@pytest.mark.parametrize(("name", "changed", "message"), DAMAGED)
def test_the_error_for_a_damaged_file_names_file_and_problem(tmp_path, name, changed, message):
    fill(tmp_path, name, **changed)
    with pytest.raises(DatasetError, match=rf"^'.*{SETS[name][0]}_train.npz': {message}"):
        load_dataset(name, data_dir=tmp_path)


@pytest.mark.parametrize("name", SETS)
def test_a_truncated_file_is_rejected(tmp_path, name):
    path = fill(tmp_path, name) / f"{SETS[name][0]}_train.npz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DatasetError, match=r"_train.npz': this .npz file cannot be read"):
        load_dataset(name, data_dir=tmp_path)
