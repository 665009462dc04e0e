"""A browser and servers of the live page, for the tests that need them."""

import pytest

from neuroasync.shipped import NETWORKS, shipped_bundle


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
    """The address of a page for the networks for digits."""
    live_page = pytest.importorskip("tests.helpers.live_page", reason="needs playwright")
    with live_page.served(*map(shipped_bundle, NETWORKS), names=NETWORKS) as address:
        yield address
