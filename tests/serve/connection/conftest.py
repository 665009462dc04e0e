"""Fixtures of the tests of one connection."""

import pytest

from neuroasync.runtime.session import Session


@pytest.fixture
def nowait_decisions(monkeypatch):
    """The return values of ``decide_nowait``."""
    decisions, decide_nowait = [], Session.decide_nowait

    def recorded(session, events):
        decisions.append(decide_nowait(session, events))
        return decisions[-1]

    monkeypatch.setattr(Session, "decide_nowait", recorded)
    return decisions
