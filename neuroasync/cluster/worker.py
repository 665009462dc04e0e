"""The work of a worker: it decides a chunk of samples with a network that it keeps."""

import asyncio
import functools
import gc
import hashlib
import pickle
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import ray
from ray import cloudpickle

from neuroasync.cluster.packed_samples import PackedSamples
from neuroasync.core.engine.decision import Decision, PackedDecisions
from neuroasync.core.engine.run_settings import RunOptions
from neuroasync.runtime.network import Network

__all__ = ["DecidedChunk", "StoredNetwork", "decide_chunk", "pickled"]

_MAX_NETWORKS: Final = 4
"""Number of networks that a worker keeps; those used least recently are dropped."""

_INTERRUPT_CHECK_S: Final = 0.05
"""Time after which a waiting event loop notices that its task was cancelled, s."""

_networks: OrderedDict[bytes, Network] = OrderedDict()


def pickled(name: str, value: object) -> bytes:
    """Return the pickle of a value that workers need.

    Raises:
        TypeError: the value cannot be pickled.
    """
    try:
        content: bytes = cloudpickle.dumps(value)
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise TypeError(f"{name} cannot be sent to the workers of the cluster: {reason}") from error
    return content


@dataclass(frozen=True, slots=True)
class StoredNetwork:
    """A network in the object store of the cluster.

    Attributes:
        digest: SHA-256 digest of the pickled network.
        reference: reference to the pickled network. Ray replaces references among the arguments of
            a task by their objects, but not those inside an object, so that a worker reads the
            network only if it does not have it yet.
    """

    digest: bytes
    reference: Any

    @classmethod
    def put(cls, network: Network) -> Self:
        """Put a network into the object store.

        Raises:
            TypeError: the network is open, or cannot be pickled.
        """
        content = pickled("the network", network)
        return cls(hashlib.sha256(content).digest(), ray.put(content))

    def load(self) -> Network:
        """Return the network that this worker keeps, read when it is first needed."""
        network = _networks.pop(self.digest, None)
        if network is None:
            network = pickle.loads(ray.get(self.reference))  # noqa: S301  # the caller's own
        _networks[self.digest] = network
        if len(_networks) > _MAX_NETWORKS:
            _networks.popitem(last=False)
        return network


@dataclass(frozen=True, slots=True)
class DecidedChunk:
    """The decisions on the samples of a chunk, in order, and how long they took, s."""

    decisions: PackedDecisions
    seconds: float


def decide_chunk(
    stored: StoredNetwork,
    samples: PackedSamples,
    seed: int,
    first: int,
    duration_us: int | None,
    options: RunOptions,
) -> DecidedChunk:
    """Decide samples in this worker, on one core.

    Args:
        stored: the network.
        samples: the samples of the chunk.
        seed: seed of the data set.
        first: number of the chunk's first sample.
        duration_us: length of each sample, µs, or None.
        options: options of the call.

    Raises:
        Exception: as for :meth:`neuroasync.Network.decide_all`.
    """
    _freeze_objects()
    network = stored.load()
    trains = samples.unpack(network.bundle.model.input_shape)

    def decide() -> Awaitable[list[Decision]]:
        return network.decide_all(
            trains, seed=seed, first=first, workers=1, duration_us=duration_us, **options
        )

    return asyncio.run(_timed(network, decide))


@functools.cache
def _freeze_objects() -> None:
    """Exempt all objects of this worker that exist now from garbage collection, once."""
    # Most of them belong to Ray and to imported modules, and stay until the end. A network is
    # loaded afterwards: if it were frozen, it would never be freed.
    gc.collect()
    gc.freeze()


async def _timed(network: Network, decide: Callable[[], Awaitable[list[Decision]]]) -> DecidedChunk:
    """Open the network for ``decide``, and measure how long it takes."""
    async with network:
        began = time.perf_counter()
        ticks = asyncio.create_task(_wake_up_often())
        try:
            decisions = await decide()
        finally:
            ticks.cancel()
        seconds = time.perf_counter() - began
        return DecidedChunk(PackedDecisions.of(decisions), seconds)


async def _wake_up_often() -> None:
    # Ray cancels a task by an interrupt, which does not wake up a waiting event loop.
    while True:  # noqa: ASYNC110  # it waits for no condition
        await asyncio.sleep(_INTERRUPT_CHECK_S)
