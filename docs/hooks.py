"""Hooks of the documentation build: insert the help texts of the command line.

The page ``reference/cli.md`` contains markers such as ``<!-- help: run -->``. Each is replaced by
the output of ``neuroasync run --help``, so that the page cannot differ from the program.
"""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MARKER = re.compile(r"<!-- help:(?P<command>[ a-z]*)-->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace every help marker of a page by a code block."""
    return MARKER.sub(lambda match: _block(match["command"].strip()), markdown)


def _block(command: str) -> str:
    return f"```text\n{help_text(command)}\n```"


@cache
def help_text(command: str) -> str:
    """Return the help text of a command, or of the program if ``command`` is empty."""
    # A fixed width and no colours, whatever terminal runs the build.
    plain = {"COLUMNS": "78", "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "neuroasync", *command.split(), "--help"],
        cwd=ROOT,
        env=os.environ | plain,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    text = done.stdout.replace("Usage: python -m neuroasync", "Usage: neuroasync")
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
