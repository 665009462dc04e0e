"""The connection between workers that train one network together."""

import hashlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroasync.errors import NeuroasyncError

__all__ = ["Exchange", "ExchangeError", "broadcast_bytes", "check_equal"]


class ExchangeError(NeuroasyncError, RuntimeError):
    """The connection to another worker of a training was lost."""


class Exchange(Protocol):
    """The connection of a worker to the others that train the same network.

    All workers must call it in the same order, with arrays of the same shapes and types.
    """

    @property
    def worker(self) -> int:
        """Number of this worker, from 0."""

    @property
    def workers(self) -> int:
        """Number of workers."""

    def broadcast(self, array: NDArray[Any], source: int) -> None:
        """Give all workers the array of one of them; returns when this worker has it.

        Args:
            array: Contiguous array, which is overwritten unless this worker is the source.
            source: Number of the worker whose array all get.

        Raises:
            ExchangeError: The connection to another worker was lost.
        """


def broadcast_bytes(exchange: Exchange, data: bytes) -> bytes:
    """Return the data of worker 0, on every worker.

    Raises:
        ExchangeError: The connection to another worker was lost.
    """
    size = np.array([len(data)], np.int64)
    exchange.broadcast(size, 0)
    array = np.zeros(int(size[0]), np.uint8)
    if exchange.worker == 0:
        array[:] = np.frombuffer(data, np.uint8)
    exchange.broadcast(array, 0)
    return array.tobytes()


def check_equal(exchange: Exchange, data: bytes, message: str) -> None:
    """Check that all workers have the same data.

    Args:
        exchange: Connection to the other workers.
        data: Data of this worker.
        message: Message of the error.

    Raises:
        ValueError: They have not. It is raised on every worker, so that none waits for another.
        ExchangeError: The connection to another worker was lost.
    """
    digests = np.zeros((exchange.workers, hashlib.sha256().digest_size), np.uint8)
    digests[exchange.worker] = np.frombuffer(hashlib.sha256(data).digest(), np.uint8)
    for worker, digest in enumerate(digests):
        exchange.broadcast(digest, worker)
    if (digests != digests[0]).any():
        raise ValueError(message)
