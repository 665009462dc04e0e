"""Take a screenshot of the live page: ``python -m tools.page_picture PATH.png``.

Needs the extra ``dev`` and Chromium. Run it at the root of the repository.
"""

import sys
from pathlib import Path

from playwright.sync_api import expect

from neuroasync.shipped import NETWORKS, shipped_bundle
from tests.helpers.live_page import THREE, chromium, decisions, draw, opened, served

ROUND = 21


def main(path: Path) -> None:
    options = {"viewport": {"width": 1280, "height": 680}, "reduced_motion": "reduce"}
    with (
        served(*map(shipped_bundle, NETWORKS), names=NETWORKS) as address,
        chromium() as browser,
        opened(browser, address, **options, device_scale_factor=1.5) as page,
    ):
        draw(page, THREE)
        decisions(page)
        expect(page.locator("#verdict")).to_contain_text("sooner")
        page.locator("#slider").fill(str(ROUND))
        page.locator("#slider").blur()
        page.screenshot(path=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
