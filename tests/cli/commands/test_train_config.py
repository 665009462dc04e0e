"""Options and configuration files of ``train``, and training a network further."""

import sys
import tomllib
import warnings
from dataclasses import replace

import pytest

from neuroasync import dump_bundle, read_bundle, write_bundle, write_spikes
from neuroasync.cli.commands.train.messages import one_line_warnings
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.topology import parse_topology
from tests.helpers.cli_files import some_trains

pytest.importorskip("torch")

from neuroasync.train import TrainingWarning
from neuroasync.train.recipes import RECIPES

TOPOLOGY = "timestep_us=1000; input 12; hidden d6; output d4"
OWN = ("train", "--train", "events.npz", "--topology", TOPOLOGY, "--recipe", "unlayered-random")
SMALL = ("--epochs", 2, "--batch-size", 2, "--device", "cpu")


def run_file(folder, name):
    return tomllib.loads((folder / name).read_text("utf-8"))


def test_a_run_writes_a_configuration_that_repeats_it_to_the_byte(cli, files):
    first = cli(
        *OWN, *SMALL, "--lr", 0.02, "--loss", "final", "--penalty", 0.5, "--penalty-target", 2,
        "--input-dropout", 0.25, "--group-size", 3, "--layered-epochs", 1, "--input", "queued",
        "--seed", 7, "-o", "one.nab",
    )  # fmt: skip
    assert first.exit_code == 0, first.stderr
    written = run_file(files.folder, "one.toml")
    assert written["train"] == "events.npz"
    assert written["recipe"] == "unlayered-random"
    assert written["topology"] == TOPOLOGY
    training = written["training"]
    assert (training["lr"], training["loss"], training["penalty"]) == (0.02, "final", 0.5)
    assert (training["penalty_target"], training["input_dropout"]) == (2, 0.25)
    assert (training["group_size"], training["layered_epochs"]) == (3, 1)
    assert (training["input"], training["seed"], training["batch_size"]) == ("queued", 7, 2)
    assert training["duration_us"] == "none"
    assert cli("train", "--config", "one.toml", "-o", "two.nab").exit_code == 0
    one, two = (files.folder / name for name in ("one.nab", "two.nab"))
    assert one.read_bytes() == two.read_bytes()
    assert run_file(files.folder, "two.toml") == written


def test_paths_in_a_configuration_start_at_its_folder(cli, files):
    (files.folder / "runs").mkdir()
    assert cli(*OWN, *SMALL, "-o", "runs/one.nab").exit_code == 0
    assert run_file(files.folder, "runs/one.toml")["train"] == "../events.npz"
    assert cli("train", "--config", "runs/one.toml", "-o", "two.nab").exit_code == 0
    assert run_file(files.folder, "two.toml")["train"] == "events.npz"
    one, two = (files.folder / name for name in ("runs/one.nab", "two.nab"))
    assert one.read_bytes() == two.read_bytes()


def test_options_come_before_the_configuration_and_it_before_the_recipe(cli, files, trained):
    (files.folder / "run.toml").write_text(
        'dataset = "digits"\nrecipe = "layered"\n[training]\nlr = 0.5\nepochs = 3\n'
    )
    assert cli("train", "--config", "run.toml", "--epochs", 5).exit_code == 0
    ((_, recipe, _),) = trained
    expected = replace(RECIPES["digits"]["layered"].config, lr=0.5, epochs=5)
    assert recipe.config == expected


def test_option_shift_0_switches_the_shifts_of_a_recipe_off(cli, files, trained):
    for options in ((), ("--shift", 0)):
        assert cli("train", "mnist", "--recipe", "layered", *options).exit_code == 0
    assert [recipe.config.shift for _, recipe, _ in trained] == [1, 0]


def test_epochs_of_an_option_have_the_share_of_the_recipe_under_layer_sync(cli, files, trained):
    text = 'dataset = "mnist"\nrecipe = "unlayered-any"\n[training]\nepochs = 2\n'
    (files.folder / "run.toml").write_text(text)
    assert cli("train", "--config", "run.toml", "--epochs", 20).exit_code == 0
    (files.folder / "run.toml").write_text(text + "layered_epochs = 1\n")
    assert cli("train", "--config", "run.toml", "--epochs", 20).exit_code == 0
    found = [(recipe.config.epochs, recipe.config.layered_epochs) for _, recipe, _ in trained]
    assert found == [(20, 5), (20, 10)]


def test_a_configuration_that_is_its_own_output_is_left_alone(cli, files, trained):
    text = '# mine\ndataset = "digits"\nrecipe = "layered"\n'
    (files.folder / "digits-layered.toml").write_text(text)
    assert cli("train", "--config", "digits-layered.toml").exit_code == 0
    assert (files.folder / "digits-layered.toml").read_text() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "'run.toml' is not a TOML file: "),
        ("lr = 0.1", "'run.toml': `lr` is an unknown key; the keys are dataset, "),
        ('keep = "best"', "such as epochs, keep and shift belong in that table"),
        ('datset = "digits"', "`datset` is an unknown key; did you mean 'dataset'?"),
        ("dataset = 5", "'run.toml': `dataset` must be one of digits, mnist, "),
        ('recipe = "layred"', "`recipe` must be one of layered-paper, layered, "),
        ("train = true", "'run.toml': `train` must be text, got True"),
        ("training = 5", "'run.toml': `training` must be a table, got 5"),
        ("[training]\nlearning = 1", "'run.toml': `training.learning` is an unknown key"),
        ("[training]\nepoch = 1", "unknown key; did you mean 'epochs'? the keys are epochs, "),
        ('[training]\nepochs = "3"', "'run.toml': `training.epochs` must be an integer of at l"),
        ("[training]\nlr = -1", "'run.toml': `training.lr` must be a finite number of at least 0"),
        ('[training]\nlr = "none"', "'run.toml': `training.lr` must be a finite number"),
        ("[training]\nloss = [1]", "'run.toml': `training.loss` must be one of"),
        ("[training]\ndevice = 1", "'run.toml': `training.device` must be"),
        ("[training]\npolicy = []", "'run.toml': `training.policy` must be"),
        ("[training]\nsurrogate = []", "'run.toml': `training.surrogate` must be"),
        ("[training]\nsurrogate_slope = []", "'run.toml': `training.surrogate_slope` must be"),
        ("[training]\npatience = 2", "`training.keep` must be 'best' with `patience`, got 'last'"),
        ("[training]\ninit_rate = 0", '`training.init_rate` must be a number above 0, or "none"'),
        ("[training]\nseed = 1979-05-27", "'run.toml': `training.seed` must be an integer"),
    ],
)
def test_an_error_names_the_file_and_the_key(cli, files, text, message):
    head = "" if "recipe" in text or "dataset" in text else 'dataset = "digits"\n'
    tail = "" if "recipe" in text else 'recipe = "layered"\n'
    (files.folder / "run.toml").write_text(head + tail + text)
    result = cli("train", "--config", "run.toml")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_configuration_is_an_error(cli, files):
    result = cli("train", "--config", "none.toml")
    assert (result.exit_code, result.stderr) == (
        2, "error: 'none.toml': cannot be read: No such file or directory\n",
    )  # fmt: skip
    (files.folder / "run.toml").write_text('dataset = "digits"')
    assert "requires --recipe NAME" in cli("train", "--config", "run.toml").stderr


def test_a_network_is_trained_further_from_a_bundle(cli, files):
    assert cli(*OWN, *SMALL, "-o", "one.nab").exit_code == 0
    result = cli(
        "train", "--from", "one.nab", "--train", "events.npz", "--recipe", "unlayered-momentum",
        *SMALL, "-o", "two.nab",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    one, two = (read_bundle(files.folder / name) for name in ("one.nab", "two.nab"))
    assert two.meta["fine_tuned_from"] == one.digest.hex()
    assert two.meta["topology"] == one.meta["topology"]
    assert (two.policy.name, two.meta["train.layered_epochs"]) == ("momentum", 0)
    assert two.meta["train.lr"] == one.meta["train.lr"] / 4
    assert run_file(files.folder, "two.toml")["from"] == "one.nab"
    assert cli("train", "--config", "two.toml", "-o", "three.nab").exit_code == 0
    assert (files.folder / "three.nab").read_bytes() == dump_bundle(two)


@pytest.mark.parametrize(("options", "duration_us"), [((), 7000), (("--vote-window", "1ms"), None)])
def test_a_fine_tuning_keeps_the_duration_of_the_bundle(cli, files, trained, options, duration_us):
    model = parse_topology("timestep_us=1000; input 12; hidden d6; output d4")
    write_bundle(Bundle(model, duration_us=7000), files.folder / "start.nab")
    result = cli(
        "train", "--from", "start.nab", "--train", "events.npz", "--recipe", "layered", *options
    )
    assert result.exit_code == 0, result.stderr
    ((_, recipe, _),) = trained
    assert recipe.config.duration_us == duration_us


def test_a_learning_rate_of_0_keeps_the_weights_classes_and_neurons(cli, files):
    model = parse_topology("timestep_us=1000 v_threshold=0.7; input 12; hidden d6; output d4")
    start = Bundle(model, ("a", "b", "c", "d"), meta={"topology": "of another network"})
    write_bundle(start, files.folder / "start.nab")
    result = cli(
        "train", "--from", "start.nab", "--train", "events.npz", "--recipe", "layered", *SMALL,
        "--lr", 0, "-o", "two.nab",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    two = read_bundle(files.folder / "two.nab")
    assert (two.model, two.classes) == (model, start.classes)
    assert "topology" not in two.meta


def test_a_shipped_network_can_be_the_start(cli, files, trained):
    result = cli("train", "digits", "--from", "layered", "--recipe", "unlayered-random")
    assert result.exit_code == 0
    ((_, recipe, options),) = trained
    assert options["start"].meta["recipe"] == "layered"
    assert recipe.config.init_rate is None
    assert run_file(files.folder, "digits-unlayered-random.toml")["from"] == "layered"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--from", "x.nab"), "'x.nab'"),
        (("--from", "layred"), "did you mean 'layered'?"),
        (("--from", "layered", "--topology", "input 3"), "--from cannot be combined with --topol"),
    ],
)
def test_a_wrong_start_is_an_error(cli, files, args, message):
    result = cli("train", "digits", "--recipe", "layered", *args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_start_of_another_size_is_an_error(cli, files):
    result = cli("train", "digits", "--recipe", "layered", "--from", "net.nab", "--epochs", 1)
    assert result.exit_code == 2
    assert "must be" in result.stderr
    assert some_trains().shape == (12,)


def test_new_weights_for_a_start_are_refused(cli, files):
    (files.folder / "run.toml").write_text("[training]\ninit_rate = 0.1\n")
    result = cli(
        "train", "digits", "--recipe", "layered", "--from", "layered", "--config", "run.toml",
    )  # fmt: skip
    assert "`init_rate` must be None to train a network further" in result.stderr


def test_the_best_epoch_and_all_data_are_part_of_the_configuration(cli, files):
    result = cli(
        *OWN, *SMALL, "--keep", "best", "--patience", 1, "--all-data", "--checkpoint", "c.ckpt",
        "-o", "one.nab",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    written = run_file(files.folder, "one.toml")
    assert written["all_data"] is True
    assert (written["training"]["keep"], written["training"]["patience"]) == ("best", 1)
    one = read_bundle(files.folder / "one.nab")
    assert one.calibration == ()
    assert one.meta["trained_on"] == "all samples, after a first training"
    assert one.meta["train.stop_after"] == one.meta["best_epoch"]
    assert {"until", "validation_accuracy"} <= one.meta.keys()
    assert files.listing() >= {"c.ckpt", "c.ckpt.all"}
    again = cli("train", "--config", "one.toml", "--checkpoint", "c.ckpt", "--resume")
    assert again.exit_code == 0, again.stderr
    assert (files.folder / "own-unlayered-random.nab").read_bytes() == dump_bundle(one)
    second = cli("train", "--config", "one.toml", "--no-all-data", "-o", "two.nab")
    assert second.exit_code == 0
    assert "trained_on" not in read_bundle(files.folder / "two.nab").meta


def test_a_warning_of_a_training_is_one_line_on_stderr(cli, files):
    silent = Bundle(parse_topology(TOPOLOGY))
    write_bundle(silent, files.folder / "start.nab")
    result = cli(
        "train", "--from", "start.nab", "--train", "events.npz", "--recipe", "layered", *SMALL,
    )  # fmt: skip
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: the output 'output' never fired in epoch 1, so every sample is undecided; try a "
        "higher `init_rate`, a lower threshold or a lower `penalty`\n"
    )


def test_a_warning_of_a_process_without_stderr_does_not_reach_stdout(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    with one_line_warnings():
        warnings.warn("nothing fires", TrainingWarning, stacklevel=1)
    assert capsys.readouterr().out == ""


def test_own_data_needs_no_topology_and_the_one_used_is_printed_and_explained(cli, files):
    result = cli("train", "--train", "events.npz", "--recipe", "layered", *SMALL, "-o", "one.nab")
    assert result.exit_code == 0, result.stderr
    printed = result.stdout[result.stdout.index("\ntopology") :]
    assert "\ninput 12\nhidden1 d64\nhidden2 d64\nhidden3 d64\n" in printed
    assert (
        "\noutput d4 refractory=false reset=subtract  # added: can vote more than once" in printed
    )
    assert "\nhidden2 -> output  # added: votes without waiting" in printed
    assert cli("train", "--config", "one.toml", "-o", "two.nab").exit_code == 0
    one, two = (files.folder / name for name in ("one.nab", "two.nab"))
    assert one.read_bytes() == two.read_bytes()
    assert run_file(files.folder, "one.toml")["topology"].endswith("hidden3 d64; output d4")


def test_options_cannot_change_a_run_whose_configuration_is_kept(cli, files):
    assert cli(*OWN, *SMALL, "-o", "one.nab").exit_code == 0
    one, before = files.folder / "one.nab", run_file(files.folder, "one.toml")
    first = one.read_bytes()
    for options in (("--seed", 1), ("--all-data",), ("--recipe", "layered")):
        result = cli("train", "--config", "one.toml", *options, "-o", "one.nab")
        assert result.exit_code == 2
        assert "'one.toml' would not repeat this run" in result.stderr
    assert one.read_bytes() == first
    same = ("--train", "events.npz", "--no-all-data", "--seed", 0)
    assert cli("train", "--config", "one.toml", *same, "-o", "one.nab").exit_code == 0
    assert (one.read_bytes(), run_file(files.folder, "one.toml")) == (first, before)


def test_configuration_may_begin_with_a_byte_order_mark(cli, files):
    path = files.folder / "run.toml"
    path.write_text('recipe = "unlayerd"', "utf-8-sig")
    result = cli("train", "--config", path)
    assert "got 'unlayerd'; did you mean 'layered'?" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--train", "events.npz", "-o", "events.npz"),
        ("--train", "events.npz", "-o", "one.nab", "--checkpoint", "events.npz"),
        ("--train", "events.npz", "--validation", "other.npz", "-o", "./other.npz"),
        ("--train", "events.npz", "--from", "net.nab", "-o", "net.nab"),
        ("--config", "run.toml", "-o", "events.npz"),
        ("--train", "run.toml", "-o", "run.nab"),
        ("--train", "c.all", "-o", "one.nab", "--checkpoint", "c", "--all-data"),
    ],
)
def test_a_training_does_not_overwrite_what_it_reads(cli, files, trained, options):
    for name in ("other.npz", "c.all"):
        write_spikes(some_trains(), files.folder / name)
    (files.folder / "run.toml").write_text('train = "events.npz"')
    before = {path: path.read_bytes() for path in files.folder.iterdir()}
    result = cli("train", *options, "--recipe", "unlayered-random")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "the output must not overwrite an input; choose another path" in result.stderr
    assert {path: path.read_bytes() for path in files.folder.iterdir()} == before
    assert not trained


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (".", "it is not a regular file"),
        ("", "it is not a regular file"),
        ("/", "it is not a regular file"),
        ("one.toml", "the name of the bundle must not end in .toml"),
    ],
)
def test_a_bundle_needs_a_name_that_leaves_room_for_its_configuration(cli, files, output, reason):
    result = cli("train", "digits", "--recipe", "layered", "-o", output)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert reason in result.stderr


def test_a_file_name_that_no_configuration_can_hold_is_refused_before_the_training(
    cli, files, trained
):
    result = cli("train", "--train", "da\udcffta.npz", "--recipe", "layered", "-o", "one.nab")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --train must be text that UTF-8 can encode, because")
    assert not trained
