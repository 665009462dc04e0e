"""The help explains every command and every option with its default."""

import pytest
import typer

from neuroasync.cli.app import app
from neuroasync.cli.command_table import COMMANDS
from neuroasync.cli.data_options import DatasetName
from neuroasync.datasets import DATASETS

NAMES = [entry.name for entry in COMMANDS]


def command(name):
    """Return the loaded command of that name."""
    return typer.main.get_command(app).commands[name].load()


def test_commands_are_listed_in_the_order_of_the_table():
    assert list(typer.main.get_command(app).commands) == NAMES


@pytest.mark.parametrize("entry", COMMANDS, ids=NAMES)
def test_summary_in_the_table_is_the_first_line_of_the_commands_help(entry):
    assert entry.summary == command(entry.name).help.splitlines()[0]


def test_data_sets_that_can_be_named_are_those_that_can_be_loaded():
    assert tuple(name.value for name in DatasetName) == DATASETS


def test_help_lists_every_command_and_shows_an_example(cli):
    result = cli("--help")
    assert result.exit_code == 0
    for name in NAMES:
        assert f"\n  {name} " in result.stdout
    assert "neuroasync demo" in result.stdout
    assert "..." not in result.stdout.split("Commands:")[1]


@pytest.mark.parametrize("name", NAMES)
def test_commands_help_lists_every_option_with_its_default(cli, name):
    result = cli(name, "--help")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert f"neuroasync {name}" in text, "an example"
    for parameter in command(name).params:
        if parameter.name == "help":
            continue
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("-"):
                assert option in result.stdout
        assert parameter.help.split()[0] in text
        has_default = parameter.show_default or "Default:" in parameter.help
        assert has_default or parameter.required, f"{parameter.name} does not state its default"


@pytest.mark.parametrize("args", [("help", "help"), ("help",), ()])
def test_help_on_help_is_the_help(cli, args):
    assert cli(*args).stdout == cli("--help").stdout


def test_run_has_its_documented_options():
    names = {name for parameter in command("run").params for name in parameter.opts}
    assert names >= {
        "--policy", "--group-size", "--input", "--seed", "--until", "--samples",
        "--max-forward-steps", "--engine", "--record", "--json",
    }  # fmt: skip
