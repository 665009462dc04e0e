"""The pages of the site contain no untested code, and the navigation contains every page."""

import re
import shlex

import pytest
import typer

from neuroasync.cli.app import app
from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NAMES = [page.relative_to(DOCS).as_posix() for page in PAGES]
TESTED_FOLDERS = ("docs/examples/", "examples/")
SNIPPET = re.compile(r'--8<-- "([^":]+)(?::(\w+))?"')
# Languages of blocks that are not programs: formats, equations, output and configuration.
DESCRIPTIVE = {"text", "json", "nginx", "html"}


def blocks(page):
    """Return language and content of every fenced block of a page."""
    text = page.read_text("utf-8")
    return [
        (match["language"], match["content"])
        for match in re.finditer(
            r"^(?P<indent> *)```(?P<language>\S*).*?\n(?P<content>.*?)^(?P=indent)```$",
            text,
            re.M | re.S,
        )
    ]


def commands(content):
    """Return the commands of a console block, as lists of words."""
    joined = re.sub(r"\\\n(> )?", "", content)
    lines = [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
    parts = [part for line in lines for part in line.split(" && ")]
    return [shlex.split(part, comments=True) for part in parts]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_code_block_is_a_tested_file_or_a_checked_command(page):
    for language, content in blocks(page):
        if language in ("python", "dockerfile", "yaml"):
            for line in content.strip().splitlines():
                match = SNIPPET.fullmatch(line.strip())
                assert match, f"not a snippet: {line}"
                assert match[1].startswith(TESTED_FOLDERS)
                source = (ROOT / match[1]).read_text("utf-8")
                assert match[2] is None or f"[start:{match[2]}]" in source
        elif language == "console":
            assert commands(content)
            for words in commands(content):
                check_command(words)
        else:
            assert language in DESCRIPTIVE, f"unknown kind of block: {language!r}"


def check_command(words):
    """Check that a command of the project exists and that its options parse."""
    program, *arguments = words
    match program.removeprefix(".venv/bin/"):
        case "neuroasync":
            check_neuroasync(arguments)
        case "python" | "python3":
            check_module(arguments)
        case "pip":
            check_extras(arguments)
        case (
            "curl"
            | "docker"
            | "pytest"
            | "mkdocs"
            | "ruff"
            | "mypy"
            | "lint-imports"
            | "git"
            | ".ci/run"
        ):
            pass
        case other:
            pytest.fail(f"unknown program: {other}")


def check_neuroasync(arguments):
    """Check that the command line accepts the arguments."""
    group = typer.main.get_command(app)
    if not arguments[0].startswith("-"):
        name, *rest = arguments
        # Parsing raises an error for an unknown option, a bad value or a missing argument.
        group.commands[name].make_context(name, rest)


def check_module(arguments):
    """Check that the example, or the module run by ``python -m``, exists and has the options."""
    if arguments[0].endswith(".py"):
        assert (DOCS / "examples" / arguments[0]).exists()
        return
    assert arguments[0] == "-m"
    module, options = arguments[1], [word for word in arguments[2:] if word.startswith("--")]
    if module == "venv":
        return
    path = ROOT.joinpath(*module.split("."))
    files = [path.with_suffix(".py"), path / "__main__.py"]
    (source,) = [file.read_text("utf-8") for file in files if file.exists()]
    assert all(f'"{option}"' in source for option in options)


def check_extras(arguments):
    """Check that the package has the extras that a ``pip install`` command names."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    for word in arguments:
        if extras := re.search(r"\[([\w,]+)\]$", word):
            assert all(
                re.search(rf"^{extra} = \[", project, re.M) for extra in extras[1].split(",")
            )


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_output_on_a_page_comes_from_an_example(page):
    for name in re.findall(r"<!-- output: ?(\w+) ?-->", page.read_text("utf-8")):
        assert (DOCS / "examples" / f"{name}.py").exists()


def test_navigation_contains_every_page_exactly_once():
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r"(\S+\.md)$", config.partition("\nnav:")[2], re.M)
    assert sorted(listed) == sorted(NAMES)


def test_every_command_of_the_program_is_in_the_reference():
    page = (DOCS / "reference" / "cli.md").read_text("utf-8")
    shown = set(re.findall(r"<!-- help: ?(\w*) ?-->", page))
    assert shown == {"", *typer.main.get_command(app).commands}


def test_configuration_loads_nothing_from_other_hosts():
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "font: false" in config
    # The theme would ask GitHub for the number of stars if it knew the repository.
    assert "\nrepo_url" not in config
    assert "extra_javascript" not in config
