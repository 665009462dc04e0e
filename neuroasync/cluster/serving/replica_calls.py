"""Calls of the replicas, which are repeated when a replica is lost."""

import asyncio
import contextvars
import logging
from typing import Any, Final, Protocol

from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)
from ray.serve.exceptions import RayServeException

from neuroasync.cluster.serving.replica import Replica
from neuroasync.cluster.serving.steps import OtherNetworks, Reply, SampleOptions, SampleStep
from neuroasync.cluster.tasks import ClusterError, Failure
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrain

__all__ = ["ReplicaCalls", "ReplicaHandle"]

log: Final = logging.getLogger("neuroasync.serve")

_LOSSES: Final = (RayActorError, NodeDiedError, OutOfMemoryError, ObjectLostError)
"""Errors after which a call is sent again: the replica was lost, or its result."""

_MAX_ATTEMPTS: Final = 10
"""How often a call is sent. A sample that ends its replica each time must not end all of them for
ever."""

_PAUSE_S: Final = 0.05
"""Time before the second repetition, s. It doubles each time; the first one follows at once."""

_MAX_RELEASES: Final = 10_000
"""Maximum number of releases that wait for a replica."""


class ReplicaHandle(Protocol):
    """The part of Ray Serve's ``DeploymentHandle`` that is used here."""

    def options(self, *, session_id: str) -> Any:
        """Return a handle that sends the calls of a session to one replica, while it lives."""


class ReplicaCalls:
    """Calls of the replicas of a deployment.

    Args:
        handle: handle of the deployment.
        local: a replica in this process, for samples whose networks the replicas do not have. That
            happens while Ray Serve replaces the processes of an application one by one.
    """

    def __init__(self, handle: ReplicaHandle, local: Replica) -> None:
        self._handle = handle
        self._local = local
        self._releases: set[asyncio.Task[None]] = set()

    async def decide(
        self, session: str, options: SampleOptions, seed: int, events: SpikeTrain
    ) -> Decision:
        """Decide a complete sample, on any replica.

        Cancellation: safe; the replica abandons the sample.

        Raises:
            ClusterError: replicas were lost too often, or one failed in another way.
            Exception: as for :meth:`neuroasync.Network.decide`.
        """
        decision: Decision = await self._call(session, "decide", options, seed, events)
        return decision

    async def run(self, step: SampleStep) -> Reply | None:
        """Run a step of a sample.

        Cancellation: safe; the replica abandons the sample.

        Returns:
            The reply. None if the replica does not have the sample, or not in this state.

        Raises:
            ClusterError: replicas were lost too often, or one failed in another way.
            Exception: as for :class:`neuroasync.Session`.
        """
        if step.start is not None:
            # The sample may have begun here, while the replicas had other networks.
            await self._local.release(step.session, step.sample)
        reply: Reply | None = await self._call(step.session, "run", step)
        return reply

    def release(self, session: str, sample: int) -> None:
        """Tell the replica of a session to forget a sample, without waiting for that."""
        if len(self._releases) == _MAX_RELEASES:
            return  # a replica forgets the sample by itself if it does not get this call
        task = asyncio.create_task(self._release(session, sample))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def close(self) -> None:
        """End what :meth:`release` has begun.

        Cancellation: it has been told to end.
        """
        for task in self._releases:
            task.cancel()
        await asyncio.gather(*self._releases, return_exceptions=True)

    async def _release(self, session: str, sample: int) -> None:
        await self._local.release(session, sample)
        try:
            await _send(self._handle.options(session_id=session), "release", session, sample)
        except (RayError, RayServeException):
            pass  # a replica that lives forgets the sample by itself
        except Exception:
            log.exception("a replica cannot be told to forget a sample")

    async def _call(self, session: str, method: str, *args: Any) -> Any:
        replica = self._handle.options(session_id=session)
        for attempt in range(_MAX_ATTEMPTS):
            if attempt > 1:
                await asyncio.sleep(_PAUSE_S * 2 ** (attempt - 2))
            response = _send(replica, method, *args)
            try:
                result = await response
            except asyncio.CancelledError:
                response.cancel()
                raise
            except (RayError, RayServeException) as error:
                # An error in the code of a replica is a RayTaskError, and may be any other as well.
                if not isinstance(error, _LOSSES) or isinstance(error, RayTaskError):
                    log.exception("a replica cannot be used")
                    raise ClusterError("a replica failed; see the log of the server") from error
                lost = error
                continue
            if isinstance(result, OtherNetworks):
                result = await getattr(self._local, method)(*args)
            if isinstance(result, Failure):
                raise result.exception()
            return result
        log.error("a replica was lost in each of %d attempts", _MAX_ATTEMPTS, exc_info=lost)
        raise ClusterError(
            f"the replica of the sample was lost in each of {_MAX_ATTEMPTS} attempts"
        ) from lost


def _send(replica: Any, method: str, *args: Any) -> Any:
    """Send a call, and return its response."""
    # In the context of a request, Ray Serve gives all calls the identifier of the request. Its
    # router then confuses those that wait at the same time, and never sends one of them.
    return contextvars.Context().run(getattr(replica, method).remote, *args)
