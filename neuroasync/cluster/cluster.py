"""A connection to a Ray cluster, whose workers decide data sets and train networks."""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Self

import ray

from neuroasync import limits
from neuroasync.cluster.decide_all import decide_all
from neuroasync.cluster.tasks import ClusterError
from neuroasync.core.copies import cannot_copy
from neuroasync.core.engine.decision import Decision
from neuroasync.core.formats.bundle import Bundle, Scalar
from neuroasync.core.model.checks import check_callback, check_int
from neuroasync.errors import ClosedError
from neuroasync.runtime.batch.cluster_job import ClusterJob
from neuroasync.runtime.network import Network

if TYPE_CHECKING:
    from neuroasync.datasets.dataset import Dataset
    from neuroasync.train.recipes.recipe import Recipe
    from neuroasync.train.recipes.training import OnBatch

__all__ = ["Cluster"]

_MAX_CONNECT_S: Final = 10.0
"""How long the machine of a cluster may take to accept a connection, s."""


class Cluster:
    """A Ray cluster, to be used inside ``with``, which blocks for seconds while Ray starts.

    Pass it as ``cluster=`` to :meth:`neuroasync.Network.decide_all` or
    :func:`neuroasync.study.run_study`.

    If the program is connected to a Ray cluster already, that connection is used, and kept.

    Args:
        address: ``"local"`` starts Ray on this machine, and stops it at the end of the block;
            ``"auto"`` or ``"HOST:PORT"`` connects to the cluster that this machine belongs to.
        cpus: number of cores for a local cluster. Defaults to all.

    Raises:
        ValueError: an argument is invalid.
    """

    def __init__(self, address: str = "local", *, cpus: int | None = None) -> None:
        if not isinstance(address, str) or not address:
            raise ValueError(
                f"`address` must be 'local', 'auto' or 'HOST:PORT', got {address!r:.80}"
            )
        if "://" in address:
            raise ValueError(
                f"`address` must be 'local', 'auto' or 'HOST:PORT', got {address!r:.80}; run the "
                "program on a machine of the cluster, for example with `ray job submit`"
            )
        if cpus is not None:
            if address != "local":
                raise ValueError("`cpus` is for a local cluster only; Ray knows those of others")
            cpus = check_int("cpus", cpus, 1, limits.MAX_TIME_US, ValueError)
        self._address, self._cpus = address, cpus
        self._is_open = self._is_owner = False

    def __reduce__(self) -> NoReturn:
        """Refuse a pickle and a copy.

        Raises:
            TypeError: always.
        """
        raise cannot_copy(self, "create another one in the other process")

    def __enter__(self) -> Self:
        """Connect, and return the cluster.

        Raises:
            ClusterError: there is no cluster at this address, or Ray cannot start.
            RuntimeError: the cluster is connected already.
        """
        if self._is_open:
            raise RuntimeError("the cluster is connected already")
        self._is_owner = not ray.is_initialized()
        if self._is_owner:
            try:
                self._connect()
            except (OSError, RuntimeError, ValueError) as error:
                raise ClusterError(
                    f"cannot connect to the Ray cluster {self._address!r}: {error}"
                ) from error
        self._is_open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect, and stop Ray if it was started here."""
        self._is_open = False
        if self._is_owner:
            ray.shutdown()

    def __repr__(self) -> str:
        """Return one line with the address and the state."""
        return f"<Cluster {self._address!r}, {'connected' if self._is_open else 'not connected'}>"

    @property
    def cpus(self) -> int:
        """Number of CPUs that the cluster has at the moment, at least 1.

        Raises:
            ClosedError: the cluster is not connected.
        """
        if not self._is_open:
            raise ClosedError("the cluster is not connected; use it inside `with`")
        return max(1, int(ray.cluster_resources().get("CPU", 1)))

    async def run_job(
        self, job: ClusterJob[Network], on_decision: Callable[[int], None] | None
    ) -> list[Decision]:
        """Do the work of ``network.decide_all(samples, cluster=...)``, which calls this method.

        Cancellation: the tasks are cancelled, and have ended.

        Args:
            job: the network and its data set, with checked arguments.
            on_decision: called by this task with the number of decisions so far, once for each.

        Returns:
            The decisions, in the order of the samples.

        Raises:
            Exception: as for :meth:`neuroasync.Network.decide_all`.
        """
        return await decide_all(job, on_decision, self.cpus)

    async def train_dataset(
        self,
        dataset: "Dataset",
        recipe: "Recipe",
        *,
        name: str,
        workers: int,
        start: Bundle | None = None,
        all_data: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        on_batch: "OnBatch | None" = None,
        meta: Mapping[str, Scalar] | None = None,
    ) -> Bundle:
        """Train a network by a recipe, with several workers that share every batch.

        The bundle is that of :func:`neuroasync.train.recipes.train_dataset` on the CPU, to the
        byte, whatever the number of workers and whichever of them are lost meanwhile. After a
        loss, all of them continue from the last epoch. The training waits until as many CPUs are
        free. It needs the extra ``train``.

        Cancellation: the workers have ended. The checkpoint has the state after the last epoch.

        Args:
            dataset: the data set. All of its parts are read here, also the test part, which the
                training does not use.
            recipe: the network and its training configuration.
            name: name of the recipe, for the bundle's meta.
            workers: number of workers, from 1 to 8, each with one CPU. The first runs on this
                machine.
            start: bundle whose network is trained further, in the place of the recipe's.
            all_data: train a second network at the end, on the training and validation samples.
            checkpoint: file on this machine that stores the state of the training after each
                epoch.
            resume: continue from that file.
            on_batch: called by this task with the result of each batch and the number of epochs.
                After a loss, batches are repeated, and the results of the last ones before it may
                be missing. An exception that it raises ends the call.
            meta: additional entries of the bundle's meta.

        Returns:
            The bundle.

        Raises:
            ValueError: an argument is out of range, or the network does not fit the data.
            DatasetError: a sample cannot be read or is damaged.
            ForwardStepLimitError, LimitError: a sample exceeded a limit.
            CheckpointError: the checkpoint cannot be read or written, or belongs to another
                training.
            FloatingPointError: the loss is no longer finite.
            ClusterError, ExchangeError: workers were lost more than 10 times.
            ClosedError: the cluster is not connected.
        """
        cpus = self.cpus
        if resume and checkpoint is None:
            raise ValueError("`resume=True` needs a `checkpoint` to continue from, got None")
        check_callback("on_batch", on_batch)
        # Deciding a data set needs no torch.
        from neuroasync.cluster.train_dataset import train_dataset
        from neuroasync.train.event_record import CHUNKS

        if check_int("workers", workers, 1, CHUNKS, ValueError) > cpus:
            raise ValueError(
                f"`workers` must be at most {cpus}, the CPUs of the cluster, got {workers}"
            )
        return await train_dataset(
            dataset,
            recipe,
            workers,
            checkpoint,
            resume,
            on_batch,
            {"name": name, "start": start, "all_data": all_data, "meta": meta},
        )

    def _connect(self) -> None:
        if self._address != "local":
            _check_reachable(self._address)
            try:
                ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
            except ConnectionError as error:
                # Ray does not say so itself if a token is missing.
                raise ConnectionError(
                    f"{error}; if the cluster requires a token, set RAY_AUTH_MODE=token"
                ) from error
            return
        # A local cluster is private: it opens no dashboard and sends no usage statistics.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=self._cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


def _check_reachable(address: str) -> None:
    """Raise OSError if nothing answers at ``HOST:PORT``; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _MAX_CONNECT_S).close()
