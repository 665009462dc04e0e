"""Long tasks with names and progress, on the workers of a cluster."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from neuroasync.cluster.cluster import Cluster
from neuroasync.cluster.tasks import TASKS_PER_CPU, cancel, result_of, submit
from neuroasync.runtime.batch.blocking import close_runner, run_blocking

__all__ = ["ClusterExecutor"]

_OnProgress: TypeAlias = Callable[[str, float, str], None]

_PROGRESS_S: Final = 0.5
"""Time between two reports of a task, and between two looks at them, s."""


class ClusterExecutor:
    """Runs tasks on the workers of a cluster, each on one core.

    Args:
        cluster: the cluster, which must be connected.

    Raises:
        TypeError: ``cluster`` is something else.
        ClosedError: the cluster is not connected.
    """

    is_local = False

    def __init__(self, cluster: Cluster) -> None:
        if not isinstance(cluster, Cluster):
            raise TypeError(f"`cluster` must be a Cluster, got {type(cluster).__name__}")
        _ = cluster.cpus  # raises ClosedError unless the cluster is connected
        self._cluster = cluster
        self._board = _start_board()
        # With a factory, the runner does not replace the event loop of this thread.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._running: dict[asyncio.Task[Any], tuple[str, Any]] = {}

    @property
    def has_room(self) -> bool:
        """Whether another task would keep the workers busy."""
        return len(self._running) < TASKS_PER_CPU * self._cluster.cpus

    def store(self, value: object) -> Any:
        """Put a value into the object store, and return a reference to pass to :meth:`submit`."""
        return ray.put(value)

    def submit(self, name: str, task: Callable[..., Any], *args: Any) -> None:
        """Let a worker call ``task(*args, on_share)``.

        Args:
            name: name of the task, as :meth:`wait` returns it.
            task: a function of a module that the workers can import. Ray repeats it if its worker
                is lost, so it must have no other effect than its result.
            *args: its arguments. A function ``on_share(share, activity)`` follows them; it reports
                the share of the task that is done, 0 to 1, and its current activity.
        """
        reference = submit(_run_task, self._board, name, task, *args)
        result = self._runner.get_loop().create_task(result_of(reference))
        self._running[result] = name, reference

    def wait(self, on_progress: _OnProgress) -> tuple[str, Any]:
        """Wait until a task has ended, and return its name and its result.

        Args:
            on_progress: called with the name of each task and what it has reported, if anything
                has changed. An exception that it raises ends the call.

        Raises:
            ClusterError: Ray could not run a task, even after retries.
            Exception: the exception of a task, unchanged. Results of other tasks come first.
        """
        return run_blocking(self._wait(on_progress), self._runner)

    def close(self) -> None:
        """End all tasks that are still running, together with their worker processes."""
        try:
            run_blocking(self._end(), self._runner)
        finally:
            close_runner(self._runner)

    async def _wait(self, on_progress: _OnProgress) -> tuple[str, Any]:
        while True:
            done, _ = await asyncio.wait(
                self._running, timeout=_PROGRESS_S, return_when=asyncio.FIRST_COMPLETED
            )
            for name, (share, activity) in (await self._reports()).items():
                on_progress(name, share, activity)
            if done:
                ended = min(done, key=lambda result: result.exception() is not None)
                name, _ = self._running.pop(ended)
                return name, ended.result()

    async def _reports(self) -> dict[str, tuple[float, str]]:
        """Return what has changed since the last call."""
        with suppress(RayError):  # Without the board there is no progress to show, but results.
            reports: dict[str, tuple[float, str]] = await asyncio.wrap_future(
                self._board.take.remote().future()
            )
            return reports
        return {}

    async def _end(self) -> None:
        for result in self._running:
            result.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        # A task may be inside a kernel or wait for a thread, where no interrupt reaches it.
        await cancel([reference for _, reference in self._running.values()], force=True)
        ray.kill(self._board)


class _Board:
    """An actor that keeps the latest report of each task until the program takes it."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[float, str]] = {}

    def put(self, name: str, share: float, activity: str) -> None:
        self._latest[name] = share, activity

    def take(self) -> dict[str, tuple[float, str]]:
        taken, self._latest = self._latest, {}
        return taken


def _start_board() -> Any:
    """Start the actor on the machine of this program, where it needs no CPU."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(_Board).remote()


def _run_task(board: Any, name: str, task: Callable[..., Any], *args: Any) -> Any:
    """Call a task in a worker, and send some of its reports to the board."""
    sent_at = 0.0

    def on_share(share: float, activity: str) -> None:
        nonlocal sent_at
        if (now := time.monotonic()) - sent_at >= _PROGRESS_S:
            sent_at = now
            board.put.remote(name, share, activity)

    return task(*args, on_share)
