"""The Dockerfile of the examples copies files that exist and runs commands that parse."""

import json
import re

import pytest
import typer

from neuroasync.cli.app import app
from tests.helpers.paths import ROOT

TEXT = (ROOT / "examples" / "Dockerfile").read_text("utf-8")
STEPS = [line.split(maxsplit=1) for line in TEXT.splitlines() if re.match("[A-Z]+ ", line)]


def arguments(name):
    """Return what follows each instruction of that name."""
    return [rest for instruction, rest in STEPS if instruction == name]


def test_copied_files_exist():
    copied = [rest for rest in arguments("COPY") if not rest.startswith("--from=")]
    names = [name for rest in copied for name in rest.split()[:-1]]
    assert names
    assert all((ROOT / name).exists() for name in names)


@pytest.mark.parametrize("words", [
    *(rest.split() for rest in arguments("RUN") if "bin/neuroasync " in rest),
    *map(json.loads, arguments("CMD")),
])  # fmt: skip
def test_commands_of_the_program_parse(words):
    program, name, *rest = words
    assert program.split("/")[-1] == "neuroasync"
    typer.main.get_command(app).commands[name].make_context(name, rest)


def test_kernels_are_compiled_for_any_processor_before_the_user_changes():
    steps = [" ".join(step) for step in STEPS]
    (warm,) = [k for k, step in enumerate(steps) if "neuroasync warm --target portable" in step]
    (copy,) = [k for k, step in enumerate(steps) if "--from=build" in step]
    (user,) = [k for k, step in enumerate(steps) if step.startswith("USER ")]
    assert warm < copy < user
    assert f"useradd --system --no-create-home {steps[user].split()[1]}" in TEXT


def test_compiled_code_of_the_clone_is_not_copied():
    ignored = (ROOT / "examples" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert "**/__pycache__" in ignored
