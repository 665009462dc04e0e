"""Division of the chunks of a batch among workers, and what the workers exchange about them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.train.kernels.accumulate import move
from neuroasync.train.parallel.exchange import Exchange

__all__ = ["PassPlace", "add_and_clear", "complete", "shares_of", "sum_in_order"]

PassPlace: TypeAlias = tuple[int, int, int]
"""A sample of a batch, the number of a pass, and the population that fired last in it."""


def shares_of(samples: int, chunks: int, workers: int) -> list[list[slice]]:
    """Divide a batch into chunks of samples, and these among workers.

    The chunks do not depend on the workers. The chunks of a worker follow those of the worker
    before it.

    Args:
        samples: Number of samples of the batch.
        chunks: Number of chunks; a smaller batch has fewer.
        workers: Number of workers.

    Returns:
        For each worker, the samples of its chunks.
    """
    bounds = [samples * k // chunks for k in range(chunks + 1)]
    filled = [slice(start, stop) for start, stop in pairwise(bounds) if start < stop]
    firsts = [len(filled) * k // workers for k in range(workers + 1)]
    return [filled[first:stop] for first, stop in pairwise(firsts)]


def complete(
    exchange: Exchange,
    shares: Sequence[Sequence[slice]],
    results: Sequence[NDArray[Any]],
    endless: PassPlace | None,
) -> PassPlace | None:
    """Fill in the results of the samples that other workers ran.

    Args:
        exchange: Connection to the other workers.
        shares: For each worker, the samples of its chunks.
        results: Arrays with a row for each sample of the batch.
        endless: The pass of this worker that took too many forward steps, if there is one.

    Returns:
        The first such pass of the batch, if there is one.

    Raises:
        ExchangeError: The connection to another worker was lost.
    """
    places = np.full((exchange.workers, 3), -1, np.int64)
    if endless is not None:
        places[exchange.worker] = endless
    for worker, share in enumerate(shares):
        rows = slice(share[0].start, share[-1].stop) if share else slice(0, 0)
        parts = [places[worker], *(result[rows] for result in results)]
        # A message for each part would cost more time than copying them into one.
        message = np.concatenate([part.reshape(-1).view(np.uint8) for part in parts])
        exchange.broadcast(message, worker)
        at = 0
        for part in parts:
            part[...] = message[at : at + part.nbytes].view(part.dtype).reshape(part.shape)
            at += part.nbytes
    for sample, number, owner in places.tolist():
        if sample >= 0:
            return sample, number, owner
    return None


def sum_in_order(
    exchange: Exchange,
    totals: Sequence[NDArray[np.float32]],
    gradients: Sequence[Sequence[NDArray[np.float32]]],
) -> None:
    """Add the gradients of all chunks, in the order of the chunks, on every worker.

    Each worker adds its gradients, which become 0, to the sum of the workers before it. Unlike an
    exchange of all gradients, this takes one message of each worker, however many chunks there are.

    Args:
        exchange: Connection to the other workers.
        totals: Arrays of zeros, which become the sums.
        gradients: Arrays with the shapes of ``totals``, for each chunk of this worker in order.

    Raises:
        ExchangeError: The connection to another worker was lost.
    """
    for worker in range(exchange.workers):
        for of_chunk in gradients if worker == exchange.worker else ():
            add_and_clear(totals, of_chunk)
        for total in totals:
            exchange.broadcast(total, worker)


def add_and_clear(
    totals: Sequence[NDArray[np.float32]], of_chunk: Sequence[NDArray[np.float32]]
) -> None:
    """Add the gradients of a chunk to ``totals``, and set them to 0 for the next chunk."""
    for total, gradient in zip(totals, of_chunk, strict=True):
        if gradient.size:
            move(gradient.reshape(-1), total.reshape(-1))
