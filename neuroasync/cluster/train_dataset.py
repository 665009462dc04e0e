"""Trains a network by several Ray actors, and starts them again if one is lost."""

import asyncio
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import RayActorError
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from neuroasync.cluster.tasks import ClusterError, result_of
from neuroasync.cluster.train_worker import TrainWorker
from neuroasync.core.formats.atomic_write import remove_unfinished
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.formats.file_lock import lock_file
from neuroasync.datasets.dataset import Dataset
from neuroasync.train.checkpoint import CheckpointError
from neuroasync.train.loop.results import BatchResult
from neuroasync.train.parallel.exchange import ExchangeError
from neuroasync.train.recipes.recipe import Recipe

__all__ = ["train_dataset"]

_MAX_LOSSES: Final = 10
"""How often a training continues after it has lost workers."""
_MAX_LOCK_S: Final = 10.0
"""How long a killed worker may keep the lock of its checkpoint, s."""

_TrainWorker = ray.remote(num_cpus=1, max_restarts=0, max_concurrency=2)(TrainWorker)


async def train_dataset(
    dataset: Dataset,
    recipe: Recipe,
    workers: int,
    checkpoint: str | os.PathLike[str] | None,
    resume: bool,
    on_batch: Callable[[BatchResult, int], None] | None,
    options: Mapping[str, Any],
) -> Bundle:
    """Train a network; see :meth:`neuroasync.cluster.Cluster.train_dataset`.

    Cancellation: the workers have ended.
    """
    # This reads the data set, because a pickle of one has its encoded parts: the other machines may
    # not have its files.
    stored = await asyncio.to_thread(ray.put, dataset)
    # Without a checkpoint of the caller, there is one for the case that a worker is lost.
    with tempfile.TemporaryDirectory() as folder:
        path = _absolute(Path(folder, "checkpoint") if checkpoint is None else checkpoint)
        losses = 0
        while True:
            attempt = _Attempt(workers, path, on_batch)
            try:
                return await attempt.run(
                    stored, recipe, {**options, "checkpoint": path, "resume": resume}
                )
            except (ClusterError, ExchangeError) as error:
                losses += 1
                if losses > _MAX_LOSSES or not _is_loss(error):
                    raise
            finally:
                await attempt.end()
            resume = resume or attempt.wrote_checkpoint


def _is_loss(error: Exception) -> bool:
    """Return whether an error says that a worker was lost."""
    return isinstance(error, ExchangeError) or isinstance(error.__cause__, RayActorError)


class _Attempt:
    """The workers of a training, until it ends or one of them is lost.

    Args:
        workers: number of workers.
        checkpoint: absolute path of the checkpoint, on this machine.
        on_batch: called with the result of each batch and the number of epochs.

    Attributes:
        wrote_checkpoint: whether the workers have certainly written the checkpoint.
    """

    def __init__(
        self, workers: int, checkpoint: str, on_batch: Callable[[BatchResult, int], None] | None
    ) -> None:
        self._checkpoint, self._on_batch = checkpoint, on_batch
        self.wrote_checkpoint = False
        # The first worker runs on this machine, which has the checkpoint. All workers get their
        # CPUs at the same time, so that two trainings cannot wait for each other.
        here = {"CPU": 1.0, _node_resource(): 0.001}
        self._group = placement_group([here, *({"CPU": 1.0} for _ in range(1, workers))])
        self._actors = [
            _TrainWorker.options(
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    self._group, placement_group_bundle_index=k
                )
            ).remote(k, workers)
            for k in range(workers)
        ]
        self._trainings: list[Any] = []
        self._tasks: list[asyncio.Task[Any]] = []

    async def run(self, dataset: Any, recipe: Recipe, options: dict[str, Any]) -> Bundle:
        """Train, and return the bundle of the first worker.

        Cancellation: the workers still train until :meth:`end`.

        Raises:
            ClusterError, ExchangeError: a worker was lost.
            Exception: the exception of a worker or of ``on_batch``.
        """
        address = await result_of(self._actors[0].listen.remote())
        self._trainings = [
            actor.train.remote(address, dataset, recipe, options) for actor in self._actors
        ]
        results = [asyncio.create_task(result_of(training)) for training in self._trainings]
        reports = asyncio.create_task(self._forward_reports())
        self._tasks = [reports, *results]
        pending: set[asyncio.Task[Any]] = set(self._tasks)
        while not (reports.done() and results[0].done()):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        bundle: Bundle = results[0].result()
        return bundle

    async def end(self) -> None:
        """End the workers, and wait until they have ended.

        Cancellation: the workers have been told to end, and may still run for a moment.
        """
        for actor in self._actors:
            ray.kill(actor)
        remove_placement_group(self._group)
        if self._trainings:
            await asyncio.to_thread(
                ray.wait, self._trainings, num_returns=len(self._trainings), fetch_local=False
            )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if await self._was_killed():
            with suppress(TimeoutError):
                async with asyncio.timeout(_MAX_LOCK_S):
                    # The operating system does not report the end of a lock.
                    while not _remove_remains(self._checkpoint):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)

    async def _was_killed(self) -> bool:
        """Return whether the first worker was killed in its training, by this program or another.

        Cancellation: safe.
        """
        if not self._trainings:
            return False
        try:
            await result_of(self._trainings[0])
        except ClusterError:
            return True
        except Exception:
            return False  # It ended with an error of the training.
        return False

    async def _forward_reports(self) -> None:
        """Forward the reports of the first worker until it has ended."""
        while True:
            for report in await result_of(self._actors[0].reports.remote()):
                if report is None:
                    return
                if isinstance(report, Warning):
                    warnings.warn(report, stacklevel=1)
                    continue
                # A checkpoint follows each epoch.
                self.wrote_checkpoint |= report[0].epoch > 0
                if self._on_batch is not None:
                    self._on_batch(*report)


def _absolute(path: str | os.PathLike[str]) -> str:
    # Workers have other working directories.
    return os.path.abspath(path)


def _remove_remains(checkpoint: str) -> bool:
    """Remove the lock files and the unfinished checkpoints of a killed worker.

    Returns:
        Whether they were removed; False while the worker still holds a lock on one of them.
    """
    try:
        for path in (checkpoint, f"{checkpoint}.all"):
            purpose = "training with this checkpoint"
            with lock_file(f"{path}.lock", path, CheckpointError, purpose):
                if not remove_unfinished(path):
                    return False
    except CheckpointError:
        return False
    return True


def _node_resource() -> str:
    """Return the resource that only this machine has.

    Raises:
        ClusterError: this machine offers no CPU to the cluster.
    """
    node = ray.get_runtime_context().get_node_id()
    (resources,) = (entry["Resources"] for entry in ray.nodes() if entry["NodeID"] == node)
    if resources.get("CPU", 0) < 1:
        raise ClusterError(
            "the first worker of a training runs on the machine of the program, which offers no "
            "CPU to the cluster; start Ray there with --num-cpus=1 or more"
        )
    (name,) = {name for name in resources if name.startswith("node:")} - {"node:__internal_head__"}
    return str(name)
