"""A network whose samples run on the replicas of a deployment."""

from typing import Self, Unpack

from neuroasync.cluster.serving.remote_session import RemoteSession
from neuroasync.cluster.serving.replica_calls import ReplicaCalls
from neuroasync.cluster.serving.steps import SampleOptions
from neuroasync.cluster.tasks import ClusterError
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import RunOptions, RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import ClosedError
from neuroasync.runtime.network import Network

__all__ = ["RemoteNetwork"]


class RemoteNetwork:
    """A network for a server; it is a ``SampleNetwork``.

    Args:
        name: name of the network in the deployment.
        digest: digest of all networks of the deployment.
        network: a copy of it, which checks options and makes recordings here.
        calls: calls of the replicas.

    Attributes:
        bundle: the network.
        seed: default seed of the order keys.
    """

    def __init__(self, name: str, digest: str, network: Network, calls: ReplicaCalls) -> None:
        self.bundle = network.bundle
        self.seed = network.seed
        self._name = name
        self._digest = digest
        self._network = network
        self._calls = calls
        self._requests = 0

    @property
    def settings(self) -> RunSettings:
        """The settings of a call without options."""
        return self._network.settings

    async def __aenter__(self) -> Self:
        """Open the copy of the network.

        Cancellation: safe; the network is not open.
        """
        await self._network.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End calls that nothing waits for, and close the copy of the network.

        Cancellation: the network is closed nevertheless.
        """
        try:
            await self._calls.close()
        finally:
            await self._network.close()

    async def decide(
        self,
        events: SpikeTrain,
        *,
        seed: int | None = None,
        recorder: Recorder | None = None,
        max_cpu_s: float | None = None,
        **options: Unpack[RunOptions],
    ) -> Decision:
        """Decide one sample on a replica; with a recorder, decide it in this process.

        Cancellation: safe; the sample is abandoned.

        Raises:
            EventsError, LimitError, ValueError: as for :meth:`neuroasync.Network.decide`.
            ClosedError: no replica could decide the sample.
        """
        seed = self.seed if seed is None else seed
        if recorder is not None:
            return await self._network.decide(
                events, seed=seed, recorder=recorder, max_cpu_s=max_cpu_s, **options
            )
        self._requests += 1
        sample = SampleOptions(self._digest, self._name, seed, max_cpu_s, options)
        try:
            # The number only distributes requests over the replicas.
            return await self._calls.decide(f"request-{self._requests}", sample, seed, events)
        except ClusterError as error:
            raise ClosedError(str(error)) from error

    def session(
        self,
        *,
        seed: int | None = None,
        max_cpu_s: float | None = None,
        **options: Unpack[RunOptions],
    ) -> RemoteSession:
        """Open a session whose samples run on a replica.

        Raises:
            PolicyError, StopRuleError, ValueError: an option is invalid.
            ClosedError: the network is not open.
        """
        # A session here makes the same checks, with the same errors.
        self._network.session(seed=seed, max_cpu_s=max_cpu_s, **options).close()
        seed = self.seed if seed is None else seed
        sample = SampleOptions(self._digest, self._name, seed, max_cpu_s, options)
        return RemoteSession(self._calls, sample)

    def recorder(self, **options: Unpack[RunOptions]) -> Recorder:
        """Return a recorder for decisions that run with the same options."""
        return self._network.recorder(**options)
