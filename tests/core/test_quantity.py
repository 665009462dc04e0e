"""Numbers of things are written with the right form of the noun."""

import pytest

from neuroasync.core.quantity import quantity


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 events"), (1, "1 event"), (2, "2 events"), (2000, "2,000 events")],
)
def test_one_is_singular_and_thousands_are_separated(count, text):
    assert quantity(count, "event") == text
