"""Fixtures for the tests of data sets."""

import pytest


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    """Make tests load the shipped samples unless they name a folder."""
    monkeypatch.delenv("NEUROASYNC_DATA", raising=False)
