"""Replicas in this process, which a test can lose at any call."""

import asyncio
import contextlib
import pickle

from ray.exceptions import ActorDiedError, ActorUnavailableError, RaySystemError

from neuroasync import Network
from neuroasync.cluster.serving.remote_network import RemoteNetwork
from neuroasync.cluster.serving.replica import Replica
from neuroasync.cluster.serving.replica_calls import ReplicaCalls
from tests.helpers.asgi_client import split
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()


class ReplicaPool:
    """A handle of a deployment with replicas that never leave the process.

    Args:
        network: the network, which is not open.
        size: number of replicas.
        faults: what happens to the calls with these numbers: the replica dies ``"before"`` it runs
            the call, or ``"after"`` that, or ``"amid"`` it, once it has begun to wait. Or the
            replica is ``"unavailable"``: it still runs the call, but the caller gets an error. Or
            the result is ``"unreadable"``. Or all replicas are ``"replaced"`` by some
            with other networks.
    """

    def __init__(self, network, size=2, faults=None, max_samples=100):
        self._pickled = pickle.dumps({"net": network})
        self._max_samples = max_samples
        self._faults = faults or {}
        self._lost = []
        self._unanswered = []
        self.replicas = []
        self.size = size
        self.digest = "first"
        self.calls = []

    async def __aenter__(self):
        for _ in range(self.size):
            self.replicas.append(await self._new())
        return self

    async def __aexit__(self, *_):
        for replica in self.replicas + self._lost:
            await replica._networks["net"].close()
        await asyncio.gather(*self._unanswered)

    async def _new(self):
        replica = Replica(pickle.loads(self._pickled), self._max_samples, self.digest)
        await replica.open()
        return replica

    def network(self):
        """Return the network whose samples run on the replicas."""
        networks = pickle.loads(self._pickled)
        self.local = Replica(networks, self._max_samples, "first")
        return RemoteNetwork("net", "first", networks["net"], ReplicaCalls(self, self.local))

    @property
    def samples(self):
        """The number of samples that the replicas hold."""
        return sum(replica.samples for replica in self.replicas)

    async def lose(self, replica):
        """Replace a replica by one that has no samples."""
        if replica in self.replicas:
            self.replicas[self.replicas.index(replica)] = await self._new()
            self._lost.append(replica)
            for session in list(replica._samples):
                replica._forget(session)

    async def replace(self, digest):
        """Replace all replicas by some whose networks have this digest."""
        self.digest = digest
        for replica in list(self.replicas):
            await self.lose(replica)

    def options(self, *, session_id):
        return _Bound(self, session_id)

    async def call(self, session, method, args):
        replica = self.replicas[sum(session.encode()) % len(self.replicas)]
        fault = None
        if method != "release":
            fault = self._faults.get(len(self.calls))
            self.calls.append((method, replica))
        args = pickle.loads(pickle.dumps(args))
        if fault == "replaced":
            await self.replace("second")
            replica = self.replicas[sum(session.encode()) % len(self.replicas)]
        if fault == "before":
            await self.lose(replica)
            raise ActorDiedError
        work = asyncio.create_task(getattr(replica, method)(*args))
        try:
            if fault == "amid":
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await self.lose(replica)
                work.cancel()
                await asyncio.wait((work,))
                raise ActorDiedError
            if fault == "unavailable":
                self._unanswered.append(work)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                raise ActorUnavailableError("10.0.0.1", None)
            result = await work
        except asyncio.CancelledError:
            work.cancel()
            raise
        if fault == "after":
            await self.lose(replica)
            raise ActorDiedError
        if fault == "unreadable":
            raise RaySystemError("10.0.0.1")
        return pickle.loads(pickle.dumps(result))


class _Bound:
    def __init__(self, pool, session):
        self._pool, self._session = pool, session

    def __getattr__(self, method):
        return _Method(self._pool, self._session, method)


class _Method:
    def __init__(self, pool, session, method):
        self._pool, self._session, self._method = pool, session, method

    def remote(self, *args):
        return _Response(self._pool.call(self._session, self._method, args))


class _Response:
    def __init__(self, work):
        self._task = asyncio.ensure_future(work)

    def __await__(self):
        return self._task.__await__()

    def cancel(self):
        self._task.cancel()


def chunks(seed=1):
    """Return a sample in three chunks."""
    return split(sample(seed=seed), (20, 40))


@contextlib.asynccontextmanager
async def serving(**options):
    """Yield replicas, and the network that runs on them."""
    async with ReplicaPool(Network(BUNDLE), **options) as pool, pool.network() as network:
        yield pool, network


async def decision_on(train, number=0):
    """Return the decision of one process."""
    async with Network(BUNDLE) as network:
        return (await network.decide_all([train], seed=0, first=number))[0]


async def arriving(parts):
    """Yield the chunks of a sample."""
    for chunk in parts:
        yield chunk


async def watched(session, parts=None):
    """Return all decisions of a watched sample."""
    async with contextlib.aclosing(session.watch(arriving(parts or chunks()))) as decisions:
        return [decision async for decision in decisions]


async def in_chunks(session):
    """Return the decision of a sample that is sent in chunks."""
    for chunk in chunks()[:2]:
        await session.send(chunk)
    return await session.decide(chunks()[2])
