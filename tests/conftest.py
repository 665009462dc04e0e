"""Fixtures and settings for all tests."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping

import pytest_asyncio
from hypothesis import HealthCheck, settings

# A test must not fail because the machine is busy with something else.
settings.register_profile(
    "without a clock", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("without a clock")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every async test on each supported event loop."""
    if sys.platform == "win32":
        return {"asyncio": asyncio.new_event_loop}
    import uvloop

    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def no_leaks() -> AsyncIterator[None]:
    """Check that the test leaves no task behind."""
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()
