"""Take the picture of the live page in the README: ``python -m tools.page_picture docs/page.png``.

Needs the extra 'dev' and Chromium; run it at the root of the repository.
"""

import re
import sys
from pathlib import Path

from playwright.sync_api import expect
from tests.serve.live_page import THREE, chromium, draw, opened, served

from neuroasync.shipped import shipped_bundle

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
