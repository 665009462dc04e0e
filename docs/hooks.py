"""Hooks of the documentation build: insert help texts and the output of examples.

A marker such as ``<!-- help: run -->`` is replaced by the output of ``neuroasync run --help``, and
``<!-- output: measure -->`` by the output of ``docs/examples/measure.py``. ``<!-- demo: story -->``
is replaced by the table and the verdict of ``neuroasync demo``, ``<!-- demo: verdict -->`` by the
verdict alone, and ``<!-- demo: tables -->`` by the tables of all networks. In this way, the pages
cannot differ from the programs.
"""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MARKER = re.compile(r"<!-- (?P<kind>demo|help|output):(?P<name>[ a-z_]*)-->")
# Every terminal that runs the build gives output of the same width, without colours.
ENVIRONMENT = {
    "COLUMNS": "78",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONPATH": str(ROOT),
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace every marker of a page by a code block."""
    return MARKER.sub(_block, markdown)


def _block(match: re.Match[str]) -> str:
    name = match["name"].strip()
    make = {"demo": demo_output, "help": help_text, "output": example_output}[match["kind"]]
    text = make(name)
    return f"```text\n{text}\n```"


@cache
def help_text(command: str) -> str:
    """Return the help text of a command, or of the program if ``command`` is empty."""
    text = _run("-m", "neuroasync", *command.split(), "--help")
    return text.replace("Usage: python -m neuroasync", "Usage: neuroasync")


@cache
def example_output(name: str) -> str:
    """Return what an example of the documentation prints."""
    return _run(str(ROOT / "docs" / "examples" / f"{name}.py"))


@cache
def demo_output(part: str) -> str:
    """Return the part ``tables``, ``story`` or ``verdict`` of the output of the demo."""
    output = _demo()
    # The first heading of the tables repeats the description of the first network.
    tables = output.index("\nlayered-paper: ")
    story = output.index("\n360 handwritten digits. ")
    verdict, end = output.index("\nVerdict: "), output.index("\npicture ")
    span = {"tables": (tables, story), "story": (story, end), "verdict": (verdict, end)}[part]
    return output[slice(*span)].strip("\n")


@cache
def _demo() -> str:
    return _run("-m", "neuroasync", "demo", "--all")


def _run(*arguments: str) -> str:
    # Examples may write files, which must not end up among the sources.
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())
