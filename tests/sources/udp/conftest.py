"""Fixtures of the tests of UDP sources."""

import socket

import pytest


@pytest.fixture
def sender():
    """A UDP socket to send packets from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        yield made
