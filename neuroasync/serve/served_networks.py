"""The networks of a server, by name."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from neuroasync.core.formats.bundle import Bundle
from neuroasync.runtime.network import Network
from neuroasync.serve.sample_network import SampleNetwork

__all__ = ["NetworkSource", "ServedNetwork", "ServedNetworks", "UnknownNetworkError"]

NetworkSource: TypeAlias = SampleNetwork | Bundle | str | os.PathLike[str]
"""A network, its bundle, the path of the bundle, or the name of a shipped network."""

_UNNAMED: Final = "network"
"""Name of a network that is served alone and was given as an object."""

_MAX_NAME: Final = 100


class UnknownNetworkError(ValueError):
    """A request names a network that the server does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedNetwork:
    """A network with its name.

    Attributes:
        name: Name by which requests select the network.
        position: Position among the networks of the server.
        network: The network.
    """

    name: str
    position: int
    network: SampleNetwork


class ServedNetworks:
    """The networks of a server in a fixed order. The first one is the default.

    Args:
        sources: The networks by name, or a single network. A single one that is given by its path
            or name is named like the file, without the extension.

    Attributes:
        names: Names of the networks.

    Raises:
        BundleError: A bundle cannot be read.
        ValueError: There is no network, or a name is invalid.
    """

    def __init__(self, sources: NetworkSource | Mapping[str, NetworkSource]) -> None:
        named = sources if isinstance(sources, Mapping) else {_default_name(sources): sources}
        if not named:
            raise ValueError("`networks` must have at least one network, got none")
        for name in named:
            _check_name(name)
        self._served = {
            name: ServedNetwork(name, k, _to_network(source))
            for k, (name, source) in enumerate(named.items())
        }
        self._owned = [
            self._served[name].network
            for name, source in named.items()
            if not isinstance(source, Network)
        ]
        self.names = tuple(self._served)

    def __iter__(self) -> Iterator[ServedNetwork]:
        """Iterate over the networks in their order."""
        return iter(self._served.values())

    def __len__(self) -> int:
        """Return the number of networks."""
        return len(self._served)

    def find(self, name: str | None) -> ServedNetwork:
        """Return the network with this name, or the default network if the name is None.

        Raises:
            UnknownNetworkError: No network has this name. The message lists all names.
        """
        if name is None:
            name = self.names[0]
        if name not in self._served:
            known = ", ".join(self.names)
            raise UnknownNetworkError(f"unknown network {name!r:.80}; known networks are {known}")
        return self._served[name]

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open the networks that were not given as ``Network``, and close them at the end."""
        async with contextlib.AsyncExitStack() as stack:
            for network in self._owned:
                await stack.enter_async_context(network)
            yield


def _default_name(source: NetworkSource) -> str:
    return _UNNAMED if isinstance(source, SampleNetwork | Bundle) else Path(source).stem or _UNNAMED


def _check_name(name: object) -> None:
    is_valid = isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable()
    if not is_valid:
        raise ValueError(
            f"the name of a network must be a printable string of 1 to {_MAX_NAME} characters, "
            f"got {name!r:.80}"
        )


def _to_network(source: NetworkSource) -> SampleNetwork:
    if isinstance(source, SampleNetwork):
        return source
    return Network(source) if isinstance(source, Bundle) else Network.load(source)
