"""Take a screenshot of the live page: ``python -m tools.page_picture PATH.png``.

Needs the extra ``dev`` and Chromium. Run it at the root of the repository.
"""

import re
import sys
from pathlib import Path

from playwright.sync_api import expect

from neuroasync.shipped import shipped_bundle
from tests.helpers.live_page import THREE, chromium, draw, opened, served

ROUND = 48


def main(path: Path) -> None:
    options = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
    with (
        served(shipped_bundle("layered-paper")) as address,
        chromium() as browser,
        opened(browser, address, **options, device_scale_factor=1.5) as page,
    ):
        draw(page, THREE)
        for line in page.locator(".decision").all():
            expect(line).to_have_text(re.compile(r"^decided: .* spikes \(.*\)$"))
        page.locator("#slider").fill(str(ROUND))
        page.locator("#slider").blur()
        page.screenshot(path=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
