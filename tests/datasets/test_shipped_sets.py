"""The shipped sets: their sizes, splits and licences, and that they are the same everywhere."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import neuroasync
from neuroasync.datasets import DATASETS, Dataset, load_dataset

SHIPPED = ("digits", "mnist", "fashion-mnist", "nmnist-small", "spoken-digits", "braille")
SIZES = {
    "digits": (1197, 240, 360),
    "mnist": (800, 200, 300),
    "fashion-mnist": (800, 200, 300),
    "nmnist-small": (160, 40, 100),
    "spoken-digits": (720, 180, 300),
    "braille": (734, 184, 216),
}
DATA = Path(neuroasync.__file__).parent / "data"


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request) -> Dataset:
    """Each data set that ships with the package."""
    return load_dataset(request.param)


def parts(dataset):
    """Return the three parts of a data set."""
    return dataset.train, dataset.validation, dataset.test


def digest(spikes) -> str:
    """Return a digest of all spikes and labels that is the same on every machine."""
    columns = (spikes.t_us, spikes.index, spikes.offsets, spikes.labels)
    return hashlib.sha256(b"".join(c.astype("<i8").tobytes() for c in columns)).hexdigest()[:16]


def test_the_shipped_files_are_below_six_megabytes():
    assert sum(file.stat().st_size for file in DATA.iterdir()) < 6_000_000


def test_the_licence_of_every_shipped_file_is_documented():
    documented = (DATA / "README.md").read_text()
    for file in DATA.glob("*.npz"):
        stem = file.name.removesuffix(".npz").replace("-rate", "-*").replace("-latency", "-*")
        generic = [stem, *(stem.removesuffix(end) + "*" for end in ("train", "test"))]
        assert any(f"`{name}.npz`" in documented for name in generic), file.name


def test_the_parts_have_the_documented_sizes_and_no_sample_is_in_two_of_them(shipped):
    assert tuple(len(part) for part in parts(shipped)) == SIZES[shipped.name]
    split = shipped.split
    numbers = np.concatenate([split.train, split.validation, split.test])
    assert np.array_equal(np.sort(numbers), np.arange(len(shipped.samples.labels)))


def test_every_part_has_the_shape_and_classes_of_the_set(shipped):
    for part in parts(shipped):
        assert part.shape == shipped.input_shape
        assert part.labels.max() < len(shipped.classes)
    assert set(shipped.train.labels.tolist()) == set(range(len(shipped.classes)))


def test_training_and_validation_end_within_the_duration(shipped):
    assert shipped.duration_us % shipped.timestep_us == 0
    latest = max(part.t_us.max() for part in (shipped.train, shipped.validation))
    assert shipped.duration_us - shipped.timestep_us <= latest < shipped.duration_us


@pytest.mark.parametrize("name", SHIPPED[1:])
def test_the_validation_part_has_a_fifth_of_each_class(name):
    dataset = load_dataset(name)
    classes = len(dataset.classes)
    held, kept = (
        np.bincount(part.labels, minlength=classes) for part in (dataset.validation, dataset.train)
    )
    assert np.all(np.abs(held - (held + kept) / 5) < 1)


def test_every_set_has_a_licence_and_an_attribution(shipped):
    assert shipped.licence.startswith(("CC BY", "MIT"))
    assert len(shipped.credit) > 10
    assert shipped.title
    assert shipped.timestep_us >= 1000


@pytest.mark.parametrize(
    ("name", "coding", "expected"),
    [
        ("digits", "rate", "72f2930759286bf3"),
        ("digits", "latency", "e5fbae1048f0d671"),
        ("mnist", "rate", "acc754564054ea68"),
        ("mnist", "latency", "bcceed74559cb0a2"),
        ("fashion-mnist", "rate", "7e722cbda38aaf5b"),
        ("fashion-mnist", "latency", "793fd9aa24e0fc40"),
        ("nmnist-small", None, "eb4afe76b91d27af"),
        ("spoken-digits", None, "f8c93763b7727686"),
        ("braille", None, "eb368f8346307604"),
    ],
)
def test_the_validation_part_is_the_same_on_every_machine(name, coding, expected):
    assert digest(load_dataset(name, coding=coding).validation) == expected


def test_spoken_digits_have_a_few_hundred_events():
    events = np.diff(load_dataset("spoken-digits").train.offsets)
    assert 200 < events.mean() < 1500
    assert events.min() > 0


def test_the_classes_of_fashion_mnist_name_what_its_images_show():
    dataset = load_dataset("fashion-mnist")
    train = dataset.train
    labels = np.repeat(train.labels, np.diff(train.offsets))
    x = train.index % 28
    is_outer = (x < 7) | (x >= 21)
    # Trousers and dresses are narrow; shoes and bags are wide.
    share = [is_outer[labels == label].mean() for label in range(10)]
    by_width = [dataset.classes[label] for label in np.argsort(share)]
    assert by_width[:2] == ["Trouser", "Dress"]
    assert set(by_width[-4:]) == {"Sandal", "Sneaker", "Ankle boot", "Bag"}


def test_the_digits_are_those_that_scikit_learn_ships():
    pixels, labels = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    samples = load_dataset("digits", coding="latency").samples
    assert samples.labels.tolist() == labels.tolist()
    first = samples.encode(np.array([5]), 0)
    bright = np.flatnonzero(pixels[5])
    assert np.sort(first.index).tolist() == bright.tolist()


def test_names_of_data_sets_are_distinct():
    assert set(SHIPPED) < set(DATASETS)
    assert len(set(DATASETS)) == len(DATASETS) == 9
