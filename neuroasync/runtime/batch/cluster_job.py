"""Data sets that a cluster decides. The runtime knows a cluster only by its method ``run_job``."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import RunOptions
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import ClosedError
from neuroasync.runtime.batch.decide_all import DataSet

__all__ = ["ClusterJob", "ClusterRuns", "SampleCluster", "check_cluster"]

_Network = TypeVar("_Network")


@dataclass(frozen=True, slots=True)
class ClusterJob(Generic[_Network]):
    """A call of :meth:`neuroasync.Network.decide_all` for a cluster, with checked arguments.

    Attributes:
        network: a copy of the network that is not open.
        data: the data set.
        options: options that differ from the network's.
    """

    network: _Network
    data: DataSet
    options: RunOptions


@runtime_checkable
class SampleCluster(Protocol):
    """A cluster that decides data sets, such as :class:`neuroasync.cluster.Cluster`."""

    async def run_job(
        self, job: ClusterJob[Any], on_decision: Callable[[int], None] | None
    ) -> list[Decision]:
        """Return the decisions on the samples of a job, in their order.

        Cancellation: nothing of the job is left on the cluster.
        """
        ...


def check_cluster(
    cluster: object, workers: int | None, recorder: Recorder | None, is_tapped: bool
) -> None:
    """Check that a cluster can decide a data set.

    Args:
        cluster: the object to check.
        workers: number of threads of the call; must be None.
        recorder: recorder of the call; must be None.
        is_tapped: whether the network has an open tap; it must not.

    Raises:
        TypeError: ``cluster`` is something else.
        ValueError: ``workers`` or ``recorder`` is not None.
        RuntimeError: a tap is open.
    """
    if not isinstance(cluster, SampleCluster):
        raise TypeError(
            f"`cluster` must be a neuroasync.cluster.Cluster, got {type(cluster).__name__}"
        )
    if workers is not None:
        raise ValueError(
            f"`workers` must be None with `cluster`, which uses all its cores, got {workers}"
        )
    if recorder is not None:
        raise ValueError("`recorder` must be None with `cluster`; record on one machine")
    if is_tapped:
        raise RuntimeError("an open tap sees nothing of a cluster; close it before")


class ClusterRuns:
    """The jobs of a network that run on clusters at the moment."""

    def __init__(self) -> None:
        self._ended: dict[asyncio.Timeout, asyncio.Event] = {}

    async def run(self, work: Awaitable[list[Decision]]) -> list[Decision]:
        """Return the decisions of ``work``, unless it is stopped.

        Cancellation: as for ``work``.

        Raises:
            ClosedError: it was stopped.
        """
        ended = asyncio.Event()
        try:
            # A timeout is the cancel scope of asyncio: it cancels what is awaited inside it.
            async with asyncio.timeout(None) as scope:
                self._ended[scope] = ended
                return await work
        except TimeoutError:
            if not scope.expired():
                raise
            raise ClosedError("the network was closed while it was deciding a data set") from None
        finally:
            del self._ended[scope]
            ended.set()

    def stop(self) -> None:
        """Cancel all jobs."""
        for scope in self._ended:
            if not scope.expired():
                scope.reschedule(asyncio.get_running_loop().time())

    async def join(self) -> None:
        """Wait until all jobs have ended. Cancellation: safe."""
        for ended in tuple(self._ended.values()):
            await ended.wait()
