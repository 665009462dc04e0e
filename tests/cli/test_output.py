"""Numbers and durations in tables."""

import pytest

from neuroasync.cli.output import format_duration, format_number


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "-"),
        (0.0, "0.0 µs"),
        (0.0064, "6.4 µs"),
        (0.00996, "10 µs"),
        (0.0226, "23 µs"),
        (0.9994, "999 µs"),
        (0.9996, "1.0 ms"),
        (12.4, "12 ms"),
        (999.6, "1.0 s"),
        (2_345_678.0, "2,345.7 s"),
    ],
)
def test_duration_has_the_unit_that_fits(ms, text):
    assert format_duration(ms) == text


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [
        (None, "%", 1, "-"),
        (0.9722, "%", 1, "97.2 %"),
        (1234, "", 1, "1,234"),
        (2.5, "ms", 0, "2 ms"),
    ],
)
def test_number_has_its_unit(value, unit, digits, text):
    assert format_number(value, unit, digits) == text
