"""A browser and servers of the live page, for the tests that need them."""

import pytest

from neuroasync.shipped import shipped_bundle


@pytest.fixture(scope="module")
def browser():
    """A headless browser. Skips the test if there is none."""
    # Playwright's event loop occupies the thread while the browser runs, so the browser must not
    # outlive its module: asyncio tests of other modules need the thread.
    live_page = pytest.importorskip("tests.helpers.live_page", reason="needs playwright")
    if live_page.CHROMIUM is None:
        pytest.skip("needs Chromium: `apt-get install chromium`")
    with live_page.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address():
    """The address of a page for the network that was trained without layers."""
    live_page = pytest.importorskip("tests.helpers.live_page", reason="needs playwright")
    with live_page.served(shipped_bundle("unlayered")) as address:
        yield address


@pytest.fixture(scope="module")
def layered_address():
    """The address of a page for the network that was trained layer by layer."""
    live_page = pytest.importorskip("tests.helpers.live_page", reason="needs playwright")
    with live_page.served(shipped_bundle("layered-paper")) as address:
        yield address
