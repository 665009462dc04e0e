"""The report: complete, the same in both formats, without external resources."""

import re
from html.parser import HTMLParser

import pytest

from neuroasync.study.report.document import (
    Figure,
    Heading,
    Paragraph,
    Table,
    to_html,
    to_markdown,
)

HEADINGS = (
    "# What asynchrony does to trained networks",
    "## task",
    "### The problem: ",
    "### The remedy: ",
    "### Paired comparison: ",
    "### Numbers",
    "### Figures",
    "## Networks",
)
FIGURES = (
    "accuracy-steps", "accuracy-rounds", "accuracy-spikes", "latency-rounds", "latency-ms",
    "density", "group-sizes", "raster-layered-paper", "raster-layered", "raster-unlayered-random",
    "raster-unlayered-momentum", "raster-unlayered-any",
)  # fmt: skip


class Tags(HTMLParser):
    """Collects the links, the number of table cells and the unclosed tags of an HTML page."""

    def __init__(self):
        super().__init__()
        self.sources, self.cells, self.open = [], 0, []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        self.cells += tag in ("td", "th")
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_both_formats_have_every_section_and_figure(finished):
    markdown = (finished.folder / "report.md").read_text()
    page = (finished.folder / "report.html").read_text()
    for heading in HEADINGS:
        assert f"\n{heading}" in f"\n{markdown}"
        assert heading.lstrip("# ") in page
    expected = [f"pictures/task-{name}.png" for name in FIGURES]
    assert re.findall(r"!\[[^]]*\]\(([^)]*)\)", markdown) == expected
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.sources == expected, "the page loads nothing but its figures"
    for path in expected:
        assert (finished.folder / path).read_bytes().startswith(b"\x89PNG")


def test_both_formats_have_the_same_tables(finished):
    markdown = (finished.folder / "report.md").read_text()
    lines = [line for line in markdown.splitlines() if line.startswith("| ")]
    cells = sum(line.count(" | ") + 1 for line in lines if not line.startswith("| ---"))
    tags = Tags()
    tags.feed((finished.folder / "report.html").read_text())
    assert tags.cells == cells > 500


def test_text_is_generated_from_the_numbers(finished):
    markdown = (finished.folder / "report.md").read_text()
    runs = [
        run
        for run in finished.results["runs"]
        if (run["training"], run["policy"], run["group_size"], run["input"], run["until"])
        == ("layered-paper", "layer-sync", 8, "prioritised", "quiet")
    ]
    mean = sum(run["accuracy"] for run in runs) / len(runs)
    assert f"classifies {100 * mean:.1f} ± " in markdown


def test_one_sample_is_recorded_under_each_policy(finished):
    names = {path.name for path in (finished.folder / "recordings").iterdir()}
    for policy in ("layer-sync", "random", "momentum", "fifo"):
        assert f"task-layered-paper-0-{policy}.npz" in names
    assert not any("-1-" in name for name in names), "only the first seed is recorded"


BLOCKS = [
    Heading(2, "a < b"),
    Paragraph("Some & more."),
    Table("t|t", ["a", "b|c"], [["<x>", "1"]]),
    Figure("p.png", 'say "hi"'),
]


def test_markdown_matches_a_hand_written_example():
    assert to_markdown(BLOCKS) == (
        "## a < b\n\nSome & more.\n\n**t|t**\n\n| a | b\\|c |\n| --- | ---: |\n| <x> | 1 |\n\n"
        '![say "hi"](p.png)\n'
    )


@pytest.mark.parametrize(
    "part",
    [
        "<h2>a &lt; b</h2>",
        "<p>Some &amp; more.</p>",
        "<th>b|c</th>",
        "<td>&lt;x&gt;</td>",
        '<img src="p.png" alt="say &quot;hi&quot;">',
        "<title>T &amp; T</title>",
    ],
)
def test_html_matches_a_hand_written_example(part):
    assert part in to_html(BLOCKS, "T & T")
