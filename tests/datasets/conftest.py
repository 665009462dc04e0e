import pytest


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    """What a test loads is what ships, unless it names a folder."""
    monkeypatch.delenv("NEUROASYNC_DATA", raising=False)
