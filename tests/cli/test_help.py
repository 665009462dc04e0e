"""Help that teaches: every command, every option, what it does and its default."""

import pytest
import typer

from neuroasync.cli.app import app

COMMANDS = (
    "demo", "study", "run", "serve", "train", "calibrate", "encode", "inspect", "verify",
    "replay", "explain",
)  # fmt: skip


def group():
    return typer.main.get_command(app)


def test_the_commands_are_those_of_the_issue():
    assert tuple(group().commands) == COMMANDS


def test_the_help_shows_every_command_and_an_example(cli):
    result = cli("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout
    assert "neuroasync demo" in result.stdout
    assert "..." not in result.stdout.split("Commands:")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_lists_every_option_with_its_default(cli, command):
    result = cli(command, "--help")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert f"neuroasync {command}" in text, "an example"
    for parameter in group().commands[command].params:
        if parameter.name == "help":
            continue
        for name in (*parameter.opts, *parameter.secondary_opts):
            if name.startswith("-"):
                assert name in result.stdout
        first_words = " ".join(parameter.help.split()[:3])
        assert first_words.split()[0] in text
        told = parameter.show_default or "Default:" in parameter.help
        assert told or parameter.required, f"{parameter.name} does not say its default"


def test_run_has_the_options_of_the_issue():
    names = {name for p in group().commands["run"].params for name in p.opts}
    assert names >= {
        "--policy", "--group-size", "--input", "--seed", "--until", "--samples",
        "--max-forward-steps", "--engine", "--record", "--json",
    }  # fmt: skip
