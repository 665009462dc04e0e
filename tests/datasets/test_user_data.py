"""Data sets from spike files of the user."""

import numpy as np
import pytest

from neuroasync import SpikeTrain, SpikeTrains, write_spikes
from neuroasync.core.model.topology import parse_topology
from neuroasync.datasets.user_data import UserFiles, user_dataset
from neuroasync.errors import DatasetError, SpikeFileError

TOPOLOGY = "timestep_us=2000; input 3; output d4"


def some(samples, labels=None, shape=(3,)):
    """Return trains of one event each, with cyclic labels by default."""
    trains = [SpikeTrain([k], [0]) for k in range(samples)]
    chosen = np.arange(samples) % 4 if labels is None else labels
    return SpikeTrains.from_trains(trains, shape, chosen)


def test_each_part_is_read_from_its_file(tmp_path):
    parts = {"train": some(8), "validation": some(3), "test": some(5)}
    for name, spikes in parts.items():
        write_spikes(spikes, tmp_path / f"{name}.npz")
    files = UserFiles(**{name: str(tmp_path / f"{name}.npz") for name in parts})
    dataset = files.load(parse_topology(TOPOLOGY))
    for name, spikes in parts.items():
        assert getattr(dataset, name) == spikes
    assert dataset.name == "train.npz"
    assert dataset.classes == ("0", "1", "2", "3")
    assert (dataset.timestep_us, dataset.input_shape) == (2000, (3,))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_training_file_cannot_be_the_validation_or_test_file(tmp_path, part):
    write_spikes(some(8), tmp_path / "train.npz")
    (tmp_path / "link.npz").symlink_to(tmp_path / "train.npz")
    train = str(tmp_path / "train.npz")
    for same in (train, str(tmp_path / "x" / ".." / "train.npz"), str(tmp_path / "link.npz")):
        with pytest.raises(DatasetError, match=rf"^{part} must be another file than train, '.*tr"):
            UserFiles(train=train, **{part: same})
    UserFiles(train=train, validation="other.npz", test="other.npz")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({"train": None}, "`train` must be a str or os.PathLike, got NoneType"),
        ({"train": b"x.npz"}, "`train` must be a str or os.PathLike, got bytes"),
        ({"train": "x.npz", "test": 3}, "`test` must be a str or os.PathLike, got int"),
    ],
)
def test_a_path_of_another_type_is_rejected(paths, message):
    with pytest.raises(TypeError) as error:
        UserFiles(**paths)
    assert str(error.value) == message


def test_without_a_validation_file_a_fifth_is_held_out():
    dataset = user_dataset("mine", some(20), test=some(5), timestep_us=1000, classes=4)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (16, 4, 5)
    assert dataset.test == some(5)


def test_without_a_test_file_the_test_part_is_empty():
    assert len(user_dataset("mine", some(20), timestep_us=1000, classes=4).test) == 0


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": some(8)[:0]}, "mine: train must have at least one sample, and labels"),
        ({"train": some(4)}, "mine: train must have at least 5 samples .*, got 4"),
        (
            {"train": some(8), "test": some(2, shape=(3, 1))},
            r"mine: test must have the input shape of train, \(3,\), got \(3, 1\)",
        ),
        (
            {"train": some(8), "validation": some(2, labels=[0, 4])},
            "mine: labels of validation must be from 0 to 3, got 4",
        ),
    ],
)
def test_parts_that_do_not_fit_are_rejected(parts, message):
    train = parts.pop("train")
    with pytest.raises(DatasetError, match=message):
        user_dataset("mine", train, **parts, timestep_us=1000, classes=4)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SpikeFileError, match=r"none\.npz"):
        UserFiles(train=str(tmp_path / "none.npz")).load(parse_topology(TOPOLOGY))
