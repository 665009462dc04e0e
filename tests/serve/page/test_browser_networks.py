"""The live page in Chromium, for networks of other data, and with a token."""

import asyncio
import dataclasses
import json
import re
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("playwright", reason="needs playwright")

from playwright.sync_api import expect

import neuroasync as na
from neuroasync.replay import verify
from neuroasync.shipped import shipped_bundle
from tests.helpers.live_page import (
    STILL,
    decisions,
    find_low_contrast,
    opened,
    opened_with_error,
    served,
    settings,
)
from tests.helpers.small_networks import chain, sample


def test_page_sends_the_token_of_its_address(browser):
    def is_authorized(request):
        return request.headers.get("authorization") == "Bearer s3cret"

    with served(shipped_bundle("unlayered"), is_authorized=is_authorized) as address:
        with opened(browser, address, "/?token=s3cret", **STILL) as page:
            assert decisions(page)[0][0] == "4"
        with opened_with_error(browser, address) as page:
            errors = []
            page.on("pageerror", lambda error: errors.append(error))
            page.reload()
            expect(page.locator("#error")).to_contain_text("open the page as /?token=TOKEN")
            expect(page.locator("main")).to_have_attribute("aria-busy", "false")
            assert page.locator("button:visible, input:visible, select:visible").count() == 0
            assert errors == []


def test_network_without_image_input_offers_its_golden_samples(browser):
    bundle = chain()
    golden = (na.GoldenSample(sample()), na.GoldenSample(sample(seed=9)))
    with (
        served(na.Bundle(bundle.model, golden=golden)) as address,
        opened(browser, address, **STILL) as page,
    ):
        expect(page.locator("#pad")).to_be_hidden()
        names = page.locator(".sample span").all_inner_texts()
        assert names == ["golden sample 0", "golden sample 1"]
        decisions(page)
        page.locator("input[name=sample]").nth(0).check()
        expect(page.locator("#events-text")).to_have_text("60 events in 8 timesteps")
        assert "correct" not in page.locator("#lanes").inner_text()


@pytest.mark.parametrize("width", [1280, 320])
def test_network_without_samples_shows_instructions_and_no_controls(browser, width):
    viewport = {"width": width, "height": 900}
    with served(chain()) as address, opened(browser, address, viewport=viewport) as page:
        explanation = page.locator("#empty")
        for text in ("cannot be drawn", "golden sample", "POST /trace", "/stream"):
            expect(explanation).to_contain_text(text)
        assert page.locator("button:visible, input:visible, select:visible").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert find_low_contrast(page) == []
        body = re.search(r"\{\"events.*\}\}", explanation.inner_text())[0]
        answer = page.request.post(f"{address}/trace", data=json.loads(body))
        assert answer.json()["decision"]["input_events"] == 2


def test_networks_of_other_data_are_offered_as_another_group(browser):
    bundles = (shipped_bundle("unlayered"), shipped_bundle("nmnist-unlayered"))
    with (
        served(*bundles, names=("digits", "camera")) as address,
        opened(browser, address, **STILL) as page,
    ):
        assert decisions(page)[0][0] == "4"
        networks = settings(page, "A").get_by_label("Network, lane A").locator("option")
        assert networks.all_inner_texts() == ["digits"]
        page.locator("#group").select_option("camera")
        page.wait_for_url("**/?network=camera")
        decisions(page)
        expect(page.locator("#pad")).to_be_hidden()
        assert networks.all_inner_texts() == ["camera"]
        assert page.locator("input[name=sample]").count() == 4


def test_shown_recipe_creates_a_valid_golden_sample(browser, tmp_path):
    with served(chain()) as address, opened(browser, address, **STILL) as page:
        recipe = textwrap.indent(page.locator("#recipe").inner_text(), "    ")
    names = {"na": na, "dataclasses": dataclasses}
    exec(f"async def make(bundle, events, path):\n{recipe}", names)
    with ThreadPoolExecutor(1) as executor:  # Playwright runs an event loop in this thread
        making = names["make"](chain(), sample(), tmp_path / "golden.nab")
        executor.submit(asyncio.run, making).result()
    bundle = na.read_bundle(tmp_path / "golden.nab")
    assert [result.holds for result in verify(bundle)] == [True]
    with served(bundle) as address, opened(browser, address, **STILL) as page:
        decisions(page)
