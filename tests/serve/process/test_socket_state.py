"""A connection counts as closed once either side has closed it."""

import select
import socket

import pytest

from neuroasync.serve.process.socket_state import is_closed_by_peer


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_open_connection_is_not_closed_even_with_unread_data(pair):
    ours, theirs = pair
    assert not is_closed_by_peer(ours)
    theirs.sendall(b"unread")
    assert not is_closed_by_peer(ours)


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="only Linux tells")
def test_connection_that_the_peer_closed_is_closed_although_data_is_unread(pair):
    ours, theirs = pair
    theirs.sendall(b"unread")
    theirs.close()
    assert is_closed_by_peer(ours)


def test_connection_that_was_aborted_here_is_closed(pair):
    """The transport may be gone before the server has removed the connection."""
    ours, _ = pair
    ours.close()
    assert is_closed_by_peer(ours)
    assert is_closed_by_peer(None)
