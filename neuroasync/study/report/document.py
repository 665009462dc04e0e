"""A document of a few kinds of blocks, and its two formats: Markdown and HTML."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["Block", "Figure", "Heading", "Paragraph", "Table", "to_html", "to_markdown"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the title of the report."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of text."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose cells are numbers, except in the first column.

    Attributes:
        title: Caption of the table.
        columns: Headings of the columns.
        rows: Rows of cells, one per column.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure.

    Attributes:
        path: Path of the file, relative to the report.
        text: Caption of the figure.
    """

    path: str
    text: str


Block: TypeAlias = Heading | Paragraph | Table | Figure

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding: .3rem 0 }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ccc; text-align: right }
th:first-child, td:first-child { text-align: left }
figure { margin: 1.5rem 0 }
img { max-width: 100%; height: auto }
figcaption { color: #555; font-size: .9rem }
.wide { overflow-x: auto }
"""


def to_markdown(blocks: Sequence[Block]) -> str:
    """Return the document as Markdown, with tables in GitHub's format."""
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def to_html(blocks: Sequence[Block], title: str) -> str:
    """Return the document as an HTML page without external resources, except its figures."""
    body = "\n".join(map(_html, blocks))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Figure(path, text):
            return f"![{text}]({path})"
        case Table(title, columns, rows):
            lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
            # A bar within a cell would start another column.
            drawn = [
                "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
            ]
            return f"**{title}**\n\n" + "\n".join(drawn)


def _html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{html.escape(text)}</p>"
        case Figure(path, text):
            caption = html.escape(text)
            return (
                f'<figure><img src="{html.escape(path)}" alt="{caption}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        case Table(title, columns, rows):
            head = _row("th", columns)
            body = "\n".join(_row("td", row) for row in rows)
            caption = f"<caption>{html.escape(title)}</caption>"
            return (
                f'<div class="wide"><table>{caption}\n<thead>{head}</thead>\n'
                f"<tbody>\n{body}\n</tbody></table></div>"
            )


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
