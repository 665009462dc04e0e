"""A worker of a data-parallel training: a Ray actor on one core."""

import warnings
from datetime import timedelta
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

import torch.distributed as dist
from ray.util import get_node_ip_address
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch's stubs lack it

from neuroasync.cluster.tasks import call
from neuroasync.core.formats.bundle import Bundle
from neuroasync.datasets.dataset import Dataset
from neuroasync.train.loop.results import BatchResult
from neuroasync.train.parallel.exchange import Exchange, ExchangeError
from neuroasync.train.parallel.process_group import ProcessGroupExchange
from neuroasync.train.recipes.recipe import Recipe
from neuroasync.train.recipes.training import train_dataset

__all__ = ["Address", "Report", "TrainWorker"]

Address: TypeAlias = tuple[str, int]
"""Host and port at which the workers of a training find each other."""

Report: TypeAlias = tuple[BatchResult, int] | Warning
"""The result of a batch and the number of epochs, or a warning of the training."""

_TIMEOUT: Final = timedelta(days=1)
"""How long a worker waits for another. The program ends the workers when it learns from Ray that
one was lost; a worker that is only slow must not end the training."""


class TrainWorker:
    """One of the workers of a training.

    Args:
        worker: number of the worker.
        workers: number of workers.
    """

    def __init__(self, worker: int, workers: int) -> None:
        self._worker, self._workers = worker, workers
        self._reports: SimpleQueue[Report | None] = SimpleQueue()
        self._store: TCPStore | None = None

    def listen(self) -> Address:
        """Open the address at which the others find this worker, and return it."""
        host = get_node_ip_address()
        self._store = TCPStore(
            host, 0, self._workers, is_master=True, timeout=_TIMEOUT, wait_for_workers=False
        )
        return host, self._store.port

    def train(
        self, address: Address, dataset: Dataset, recipe: Recipe, options: dict[str, Any]
    ) -> Any:
        """Train together with the others.

        Args:
            address: address of worker 0.
            dataset: the data set.
            recipe: the network and its training configuration.
            options: other arguments of ``train_dataset``.

        Returns:
            What :func:`call` returns: the bundle, or an exception.
        """
        try:
            return call(self._train, address, dataset, recipe, options)
        finally:
            self._reports.put(None)

    def reports(self) -> list[Report | None]:
        """Return what was reported since the last call, at least one; None at the end."""
        reports = [self._reports.get()]
        while not self._reports.empty():
            reports.append(self._reports.get())
        return reports

    def _train(
        self, address: Address, dataset: Dataset, recipe: Recipe, options: dict[str, Any]
    ) -> Bundle:
        exchange = self._connect(address)
        with warnings.catch_warnings():
            if self._worker == 0:
                warnings.showwarning = lambda message, *_, **__: self._report(message)
            return train_dataset(
                dataset, recipe, threads=1, exchange=exchange,
                on_batch=lambda batch, epochs: self._reports.put((batch, epochs)), **options,
            )  # fmt: skip

    def _connect(self, address: Address) -> Exchange:
        """Connect to the other workers.

        The connection is left open. If it was closed after an error, the others would lose it, and
        it would depend on chance whose error the program reports.

        Raises:
            ExchangeError: Another worker was lost meanwhile, or cannot be reached.
        """
        try:
            store = self._store or TCPStore(*address, self._workers, timeout=_TIMEOUT)
            dist.init_process_group(
                "gloo", store=store, rank=self._worker, world_size=self._workers, timeout=_TIMEOUT
            )
        except RuntimeError as error:  # gloo raises no class of its own
            raise ExchangeError(
                f"worker {self._worker} of {self._workers} cannot connect to the others: {error}"
            ) from error
        return ProcessGroupExchange()

    def _report(self, message: Warning | str) -> None:
        if isinstance(message, Warning):
            self._reports.put(message)
