"""The live page in Chromium: what a visitor sees in the first seconds, without scrolling."""

import pytest

pytest.importorskip("playwright", reason="needs playwright")

from playwright.sync_api import expect

from tests.helpers.live_page import OVER, SHIFTS, STILL, THREE, draw, lane, opened

SCREENS = [
    pytest.param({"width": 1280, "height": 720}, id="desktop"),
    pytest.param({"width": 390, "height": 664}, id="phone"),
    pytest.param({"width": 390, "height": 844}, id="tall-phone"),
]
PLAYED_MS = 30_000
"""Maximum duration of a playback on a busy machine."""
LARGE = ("#pad", "#verdict", ".lane .outcome", ".lane .diagram", ".lane .plot", "#play")
CAPTIONS = """window.captions = [];
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const text = document.querySelector("#caption").textContent;
  if (captions.at(-1) !== text) captions.push(text);
}).observe(document.querySelector("#caption"), { childList: true }));"""
"""A script that collects the captions of a page from its start."""


def boxes(page):
    """Return the boxes of everything that has to be above the fold."""
    return [box.bounding_box() for part in LARGE for box in page.locator(part).all()]


@pytest.mark.parametrize("viewport", SCREENS)
def test_pad_verdict_and_both_rasters_are_seen_without_scrolling(browser, address, viewport):
    with opened(browser, address, viewport=viewport, **STILL) as page:
        expect(lane(page, "B").locator(".outcome")).to_have_class(OVER)
        found = boxes(page)
        assert len(found) == 9
        for box in found:
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= viewport["width"]
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= viewport["height"]
        for name in "AB":
            plot, diagram = (lane(page, name).locator(part) for part in (".plot", ".diagram"))
            assert diagram.bounding_box()["y"] < plot.bounding_box()["y"]
        size = page.locator("#verdict").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
        assert size >= 22
        assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("viewport", SCREENS)
def test_nothing_moves_while_networks_run_and_settings_change(browser, address, viewport):
    with opened(browser, address, script=SHIFTS, viewport=viewport) as page:
        expect(page.locator("#play-text")).to_have_text("Pause")
        before = boxes(page)
        for name in "BA":
            outcome = lane(page, name).locator(".outcome")
            expect(outcome).to_have_class(OVER, timeout=PLAYED_MS)
            assert boxes(page) == before
        expect(page.locator("#verdict")).to_contain_text("times sooner")
        assert boxes(page) == before
        draw(page, THREE)
        expect(page.locator("#play-text")).to_have_text("Pause")
        lane(page, "A").locator(".preset").select_option(index=1)
        expect(page.locator("#play-text")).to_have_text("Play", timeout=PLAYED_MS)
        assert boxes(page) == before
        page.get_by_label("F, lane A").fill("0")
        page.get_by_label("F, lane A").press("Tab")
        page.get_by_label("Stop, lane B").select_option("custom")
        page.evaluate("scrollTo(0, 0)")
        assert boxes(page) == before
        assert page.evaluate("shift") < 0.01


def test_first_playback_is_slow_and_explains_itself_once(browser, address):
    with opened(browser, address, script=CAPTIONS) as page:
        expect(page.locator("#verdict")).to_contain_text("times sooner", timeout=PLAYED_MS)
        captions = page.evaluate("captions")
        explained = [
            "The same digit enters both networks as spikes.",
            "Blue: a neuron fires. Orange: its spike waits to be delivered.",
            "Each round delivers 8 waiting spikes, as on 8 parallel units.",
            "Layer by layer: the next layer stays idle until all spikes of this one are delivered.",
            "“Layer by layer” still has spikes to deliver.",
        ]
        assert [text for text in captions if text in explained] == explained
        page.evaluate("captions.length = 0")
        page.locator("#play").click()
        expect(page.locator("#play-text")).to_have_text("Pause")
        expect(page.locator("#play-text")).to_have_text("Play", timeout=PLAYED_MS)
        assert not set(explained[:4]) & set(page.evaluate("captions"))
