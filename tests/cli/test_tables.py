"""Tables never fold a number, and fall back to ASCII where the encoding requires it."""

import io
import sys

import pytest

from neuroasync.cli.output import displayable
from neuroasync.cli.tables import echo, key_value_table, table

COLUMNS = ("order", "rounds", "delay µs")
ROWS = [("random, F = 8, prioritised input", "1,234,567.8", "50"), ("fifo", "9.5", "1,000")]


@pytest.fixture
def page(monkeypatch):
    """Return a function that lays blocks out for a width and an encoding."""

    def lay_out(width, *blocks, encoding="utf-8"):
        monkeypatch.setenv("COLUMNS", str(width))
        stream = io.TextIOWrapper(io.BytesIO(), encoding, write_through=True)
        monkeypatch.setattr(sys, "stdout", stream)
        built = [block() if callable(block) else block for block in blocks]
        echo(*built)
        return stream.buffer.getvalue().decode(encoding).splitlines()

    return lay_out


def numbers_table():
    return table(COLUMNS, ROWS, numbers=(1, 2))


@pytest.mark.parametrize("width", range(20, 101, 5))
def test_numbers_are_never_folded_and_lines_fit(page, width):
    lines = page(width, numbers_table)
    assert max(map(len, lines)) <= width
    words = {word for line in lines for word in line.split()}
    assert {"1,234,567.8", "9.5", "50", "1,000", "prioritised"} <= words


def test_text_columns_are_folded_between_words_before_anything_else(page):
    assert any(line.startswith("random, F = 8,") for line in page(44, numbers_table))


def test_row_that_does_not_fit_becomes_a_list(page):
    lines = page(28, numbers_table)
    assert lines[-3:] == ["order     fifo", "rounds    9.5", "delay µs  1,000"]


def test_value_that_does_not_fit_beside_its_name_begins_on_the_next_line(page):
    pairs = [("a", "1"), ("sha256", "f" * 64), ("longer", "2")]
    assert page(72, lambda: key_value_table(pairs))[1] == "sha256  " + "f" * 64
    narrow = page(70, lambda: key_value_table(pairs))
    assert narrow == ["a       1", "sha256", "  " + "f" * 64, "longer  2"]


def test_encoding_without_unicode_gets_ascii_in_aligned_columns(page):
    rows = [("hidden → output", "3"), ("a", "4")]
    lines = page(
        60, lambda: table(("connection", "delay µs"), rows, numbers=(1,)), encoding="ascii"
    )
    assert lines == [
        "connection        delay us",
        "--------------------------",
        "hidden -> output         3",
        "a                        4",
    ]


def test_only_what_the_encoding_lacks_is_replaced(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    assert displayable("5 µs → ü 数") == "5 µs -> ü ?"
