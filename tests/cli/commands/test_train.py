"""The commands ``train`` and ``encode``."""

import json
import sys
from pathlib import Path

import pytest

from neuroasync import parse_topology, read_bundle, read_spikes, write_spikes
from neuroasync.datasets import load_dataset
from tests.helpers.cli_files import golden_bundle, some_trains
from tests.helpers.paths import DATA

pytest.importorskip("torch")

SOUNDS = DATA / "sounds"
SHIPPED = ("mnist", "fashion-mnist", "nmnist-small", "spoken-digits", "braille")


def test_train_passes_its_options_to_the_recipe_and_writes_the_bundle(cli, files, trained):
    result = cli(
        "train", "digits", "--recipe", "unlayered-momentum", "--input", "queued", "-o", "mine.nab",
        "--coding", "latency", "--epochs", 3, "--seed", 9, "--checkpoint", "c.ckpt", "--resume",
        "--device", "cpu",
    )  # fmt: skip
    assert result.exit_code == 0
    assert result.stderr == ""
    ((dataset, recipe, options),) = trained
    assert (dataset.name, dataset.coding, dataset.encodings_per_image) == ("digits", "latency", 8)
    assert (recipe.config.policy, recipe.config.input) == ("momentum", "queued")
    assert (recipe.config.epochs, recipe.config.seed, recipe.config.device) == (3, 9, "cpu")
    assert options == {"name": "unlayered-momentum", "checkpoint": Path("c.ckpt"), "resume": True}
    assert read_bundle(files.folder / "mine.nab") == golden_bundle()
    assert golden_bundle().digest.hex() in result.stdout


def test_json_of_train_names_the_file_and_its_digest(cli, files, trained):
    result = cli("train", "digits", "--recipe", "layered", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "written": "digits-layered.nab",
        "configuration": "digits-layered.toml",
        "sha256": golden_bundle().digest.hex(),
        "meta": dict(golden_bundle().meta),
    }


def test_train_names_its_output_after_the_recipe(cli, files, trained):
    assert cli("train", "digits", "--recipe", "layered-paper").exit_code == 0
    assert (files.folder / "digits-layered-paper.nab").exists()


@pytest.mark.parametrize("recipe", ["layered", "unlayered-random", "unlayered-momentum"])
def test_trained_bundle_has_the_name_of_its_recipe(cli, files, trained, recipe):
    assert cli("train", "digits", "--recipe", recipe).exit_code == 0
    assert trained[0][2]["name"] == recipe


@pytest.mark.parametrize("name", SHIPPED)
def test_train_accepts_each_data_set_that_ships_with_the_package(
    cli, files, trained, monkeypatch, name
):
    monkeypatch.delenv("NEUROASYNC_DATA", raising=False)
    assert cli("train", name, "--recipe", "layered").exit_code == 0
    ((dataset, recipe, _),) = trained
    assert dataset.name == name
    assert parse_topology(recipe.topology).input_shape == dataset.input_shape
    assert (files.folder / f"{name}-layered.nab").exists()


def test_train_accepts_spike_files_of_the_user(cli, files, trained):
    options = ("--train", files.events, "--topology", "timestep_us=1000; input 12; output d4")
    write_spikes(some_trains(labels=(3, 2, 1, 0, 1, 2)), files.folder / "validation.npz")
    assert cli("train", *options, "--recipe", "layered").exit_code == 0
    assert (
        cli("train", *options, "--validation", "validation.npz", "--recipe", "layered").exit_code
        == 0
    )
    (first, recipe, _), (second, *_) = trained
    assert recipe.topology.startswith("decay=0.9 v_threshold=1.0\ntimestep_us=1000\ninput 12\n")
    assert len(first.validation) + len(first.train) == 6
    assert second.train == read_spikes(files.events)
    assert second.validation == read_spikes(files.folder / "validation.npz")
    assert (files.folder / "own-layered.nab").exists()


def test_output_that_cannot_be_written_is_an_error_before_the_training(cli, trained):
    result = cli("train", "digits", "--recipe", "layered", "-o", "no/where.nab")
    assert result.exit_code == 2
    assert trained == []


def test_error_of_the_training_is_printed_on_one_line(cli, files, monkeypatch):
    def fails(*_, **__):
        raise ValueError("device: no CUDA device\nhere")

    monkeypatch.setattr("neuroasync.train.recipes.training.train_dataset", fails)
    result = cli("train", "digits", "--recipe", "layered", "--device", "cuda")
    assert (result.exit_code, result.stderr) == (2, "error: device: no CUDA device here\n")
    assert files.listing() == {"net.nab", "events.npz"}


@pytest.mark.parametrize("reason", ["Unable to allocate 9 GiB", ""])
def test_a_training_that_needs_too_much_memory_says_what_to_change(cli, files, monkeypatch, reason):
    def fails(*args, **options):
        raise MemoryError(*filter(None, [reason]))

    monkeypatch.setattr("neuroasync.train.recipes.training.train_dataset", fails)
    result = cli("train", "digits", "--recipe", "layered")
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: the memory is not enough for this training{reason and f': {reason}'}; use a "
        "longer timestep, shorter samples or a smaller --batch-size\n"
    )


def test_train_without_torch_is_an_error_that_names_the_extra_to_install(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    result = cli("train", "digits", "--recipe", "layered")
    assert result.exit_code == 2
    assert result.stderr == "error: training needs torch: pip install 'neuroasync[train]'\n"


@pytest.mark.parametrize(("coding", "part"), [("rate", "test"), ("latency", "validation")])
def test_encode_writes_the_requested_part_of_the_digits(cli, files, coding, part):
    result = cli("encode", "digits", "--coding", coding, "--part", part)
    assert result.exit_code == 0
    written = read_spikes(files.folder / f"digits-{part}-{coding}.npz")
    assert written == getattr(load_dataset("digits", coding=coding), part)
    again = files.folder / "again.npz"
    cli("encode", "digits", "--coding", coding, "--part", part, "-o", again)
    assert again.read_bytes() == (files.folder / f"digits-{part}-{coding}.npz").read_bytes()


@pytest.mark.parametrize("name", SHIPPED)
def test_encode_writes_each_data_set_that_ships_with_the_package(cli, files, monkeypatch, name):
    monkeypatch.delenv("NEUROASYNC_DATA", raising=False)
    result = cli("encode", name, "--part", "validation")
    assert (result.exit_code, result.stderr) == (0, "")
    dataset = load_dataset(name)
    assert read_spikes(files.folder / f"{name}-validation.npz") == dataset.validation
    assert dataset.licence in result.stdout


def test_encode_reads_a_data_folder_and_names_a_missing_file(cli, files):
    result = cli("encode", "spoken-digits", "--data", SOUNDS, "-o", "two.npz")
    assert result.exit_code == 0
    assert len(read_spikes(files.folder / "two.npz")) == 2
    result = cli("encode", "mnist", "--data", SOUNDS)
    assert result.exit_code == 2
    assert "mnist_train.npz': the file does not exist" in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("braille", "--coding", "rate"), "--coding must be None for braille"),
        (("shd", "--data", "."), "shd needs Tonic: pip install 'neuroasync[data]'"),
        (("cifar",), "'cifar' is neither a data set nor a file; data sets: digits, mnist, "),
    ],
)
def test_error_of_encode_is_printed_on_one_line(cli, files, monkeypatch, args, message):
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)
    result = cli("encode", *args)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert files.listing() == {"net.nab", "events.npz"}
