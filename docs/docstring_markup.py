"""An extension of the API reference: show the markup of docstrings as Markdown.

Docstrings use the roles of reStructuredText, such as ``:class:`Network```, and ``::`` in front of
examples. The site shows them as code and as a plain colon.
"""

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`(?P<prefix>~?)(?P<name>[^`]+)`")
LITERAL = re.compile(r"^(?P<text>.*?)[ ]*::$", re.M)


class DocstringMarkup(griffe.Extension):
    """Rewrites each docstring when its object has been read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Replace the markup in the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(text: str) -> str:
    """Return a docstring with Markdown in place of reStructuredText."""
    return LITERAL.sub(_colon, ROLE.sub(_code, text))


def _code(match: re.Match[str]) -> str:
    # A tilde asks for the last part of a name only.
    name = match["name"].rpartition(".")[2] if match["prefix"] else match["name"]
    return f"`{name}`"


def _colon(match: re.Match[str]) -> str:
    return f"{match['text']}:" if match["text"].strip() else ""
