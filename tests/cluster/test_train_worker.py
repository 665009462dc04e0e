"""A worker that cannot connect to the others reports that one of them was lost."""

import socket
from datetime import timedelta

import pytest

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")
pytest.importorskip("torch", reason="needs torch: pip install 'neuroasync[train]'")

from neuroasync.cluster import train_worker
from neuroasync.cluster.train_worker import TrainWorker
from neuroasync.train import ExchangeError


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch):
    """Workers hardly wait for each other."""
    monkeypatch.setattr(train_worker, "_TIMEOUT", timedelta(milliseconds=50))


def error_of(worker, address):
    """Return the exception that ends a training before it begins."""
    failure = worker.train(address, None, None, {})
    assert worker.reports() == [None]
    return failure.exception()


def test_a_first_worker_that_no_longer_listens_is_lost(capfd):
    with socket.socket() as closed:  # nothing listens at its port
        closed.bind(("127.0.0.1", 0))
        error = error_of(TrainWorker(1, 2), closed.getsockname())
    assert isinstance(error, ExchangeError)
    assert str(error).startswith("worker 1 of 2 cannot connect to the others: The client socket")


def test_a_worker_that_does_not_arrive_is_lost(capfd):
    first = TrainWorker(0, 2)
    error = error_of(first, first.listen())
    assert isinstance(error, ExchangeError)
    assert str(error).startswith("worker 0 of 2 cannot connect to the others: wait timeout")
