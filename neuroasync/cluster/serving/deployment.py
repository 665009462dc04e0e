"""The Ray Serve application: a gateway for the clients, and replicas for the samples."""

import asyncio
import hashlib
import pickle
from collections.abc import Collection, Mapping
from typing import Final, TypedDict

from ray import serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig
from starlette.types import ASGIApp

from neuroasync.cluster.serving.drain_watch import drain_when_stopped
from neuroasync.cluster.serving.receive_limits import ReceiveLimits
from neuroasync.cluster.serving.remote_network import RemoteNetwork
from neuroasync.cluster.serving.replica import Replica
from neuroasync.cluster.serving.replica_calls import ReplicaCalls, ReplicaHandle
from neuroasync.cluster.worker import pickled
from neuroasync.core.model.checks import check_int
from neuroasync.runtime.bounded_queue import WhenFull
from neuroasync.serve import ServerLimits, create_app
from neuroasync.serve.served_networks import NetworkSource, ServedNetworks

__all__ = ["deployment"]

_MAX_REPLICAS: Final = 10_000
_UNLIMITED: Final = 2**31 - 1
_HEALTH_CHECK_PERIOD_S: Final = 2.0
_HEALTH_CHECK_TIMEOUT_S: Final = 10.0
_ROUTER: Final = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"


class _ServerOptions(TypedDict):
    """The options of :func:`neuroasync.serve.create_app`."""

    limits: ServerLimits
    when_full: WhenFull
    token: str | None
    allow_hosts: Collection[str]
    allow_origins: Collection[str]


class _ReplicaDeployment(Replica):
    async def __init__(  # type: ignore[misc]  # Ray Serve awaits it
        self, pickled_networks: bytes, max_samples: int
    ) -> None:
        # Ray Serve pickles the arguments again, which must therefore not hold open networks.
        networks = pickle.loads(pickled_networks)  # noqa: S301  # our own
        super().__init__(networks, max_samples, _digest(pickled_networks))
        await self.open()


class _Gateway:
    """The server of the clients."""

    def __init__(
        self, replicas: ReplicaHandle, pickled_networks: bytes, options: _ServerOptions
    ) -> None:
        self._replicas = replicas
        self._networks = pickle.loads(pickled_networks)  # noqa: S301  # our own
        self._digest = _digest(pickled_networks)
        self._options = options

    def __serve_build_asgi_app__(self) -> ASGIApp:  # the name is Ray Serve's
        """Return the app, which Ray Serve asks for in the event loop of the gateway."""
        limits = self._options["limits"]
        local = Replica(self._networks, limits.max_sessions, self._digest)
        calls = ReplicaCalls(self._replicas, local)
        networks = {
            name: RemoteNetwork(name, self._digest, network, calls)
            for name, network in self._networks.items()
        }
        app = create_app(networks, **self._options)
        app.add_middleware(ReceiveLimits, max_message_bytes=limits.max_message_bytes)
        self._drain = asyncio.create_task(drain_when_stopped(app.state.server_state))
        return app


def _digest(pickled_networks: bytes) -> str:
    """Return a digest of the networks.

    It differs between versions while Ray Serve replaces processes one by one.
    """
    return hashlib.sha256(pickled_networks).hexdigest()


def deployment(
    networks: NetworkSource | Mapping[str, NetworkSource],
    *,
    replicas: int = 2,
    limits: ServerLimits | None = None,
    when_full: WhenFull = "block",
    token: str | None = None,
    allow_hosts: Collection[str] = (),
    allow_origins: Collection[str] = (),
) -> Application:
    """Return a Ray Serve application that serves one or several networks.

    Run it with ``serve.run(app)`` or ``serve deploy``. It speaks the protocol of
    :func:`neuroasync.serve.create_app`, and its decisions are the same, to the bit. The deployment
    ``Gateway`` keeps the connections of the clients, and the deployment ``Replica`` runs their
    samples. If a replica dies, drains or is removed, the others continue its samples.

    Args:
        networks: the networks by name, as for ``create_app``. Networks must not be open.
        replicas: number of replicas, each of which takes one CPU.
        limits: limits for clients. Defaults to ``ServerLimits()``.
        when_full: what to do with a sample when the queue of the gateway is full.
        token: token that clients must present.
        allow_hosts: names under which clients may reach the server, as for ``create_app``.
        allow_origins: origins of other web pages that may use the server.

    Raises:
        BundleError: a bundle cannot be read.
        TypeError: a network is open or cannot be pickled, or an argument has another type.
        ValueError: an argument is invalid.
    """
    replicas = check_int("replicas", replicas, 1, _MAX_REPLICAS, ValueError)
    limits = ServerLimits() if limits is None else limits
    loaded = {served.name: served.network for served in ServedNetworks(networks)}
    options = _ServerOptions(
        limits=limits,
        when_full=when_full,
        token=token,
        allow_hosts=allow_hosts,
        allow_origins=allow_origins,
    )
    # Creating an app checks all arguments here, and not only in the cluster.
    create_app(loaded, **options)
    # Ray pickles the options when it deploys them; the caller may change its lists before that.
    options["allow_hosts"], options["allow_origins"] = tuple(allow_hosts), tuple(allow_origins)
    pickled_networks = pickled("the networks", loaded)
    replica = serve.deployment(_ReplicaDeployment).options(
        name="Replica",
        num_replicas=replicas,
        # The gateway limits what it accepts, so that replicas need not refuse anything.
        max_ongoing_requests=_UNLIMITED,
        request_router_config=RequestRouterConfig(request_router_class=_ROUTER),
        health_check_period_s=_HEALTH_CHECK_PERIOD_S,
        health_check_timeout_s=_HEALTH_CHECK_TIMEOUT_S,
        ray_actor_options={"num_cpus": 1},
    )
    gateway = serve.deployment(serve.ingress()(_Gateway)).options(
        name="Gateway",
        max_ongoing_requests=_UNLIMITED,
        # Like Ray Serve's proxy, it mostly waits.
        ray_actor_options={"num_cpus": 0},
    )
    application: Application = gateway.bind(
        replica.bind(pickled_networks, limits.max_sessions), pickled_networks, options
    )
    return application
