"""An app that serves a small network, with its counts."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from neuroasync import Bundle, Decision, Network, SpikeTrain
from neuroasync.serve import ServerLimits, create_app
from tests.helpers.server_counts import ServerCounts
from tests.helpers.small_networks import chain, sample


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """A bundle with a small feed-forward network."""
    return chain()


@pytest.fixture
def trains() -> list[SpikeTrain]:
    """Twelve samples for that network."""
    return [sample(seed=k) for k in range(12)]


@pytest_asyncio.fixture
async def network(bundle: Bundle) -> AsyncIterator[Network]:
    """An open network."""
    async with Network(bundle) as network:
        yield network


@pytest.fixture
def make_app(network: Network) -> Callable[..., Any]:
    """Return a function that creates an app with these options and limits."""

    def make(
        when_full: str = "block", token: str | None = None, served: Network = network, **limits: Any
    ):
        app = create_app(served, limits=ServerLimits(**limits), when_full=when_full, token=token)
        app.state.counts = ServerCounts(app.state.server_state)
        return app

    return make


@pytest_asyncio.fixture
async def expected(network: Network, trains: list[SpikeTrain]) -> list[Decision]:
    """Return the decisions of ``neuroasync run`` on the samples, with seed 5."""
    return await network.decide_all(trains, seed=5)
