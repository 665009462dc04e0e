"""The live page in Chromium: layout, contrast, keyboard, screen readers and reduced motion."""

import itertools
import re

import numpy as np
import pytest

pytest.importorskip("playwright", reason="needs playwright")

from playwright.sync_api import expect

import neuroasync as na
from tests.helpers.live_page import (
    STILL,
    THREE,
    assert_nothing_is_shown,
    decisions,
    draw,
    find_low_contrast,
    lane,
    opened,
    served,
)


def test_decision_is_announced_to_screen_readers(browser, address):
    with opened(browser, address, **STILL) as page:
        found = decisions(page)
        announcement = page.locator("#announce")
        assert announcement.get_attribute("aria-live") == "polite"
        for name, title, (_, rounds, spikes) in zip(
            "AB", ("Layer by layer", "Without layers, trained for it"), found, strict=True
        ):
            decided = f"lane {name}, {title}: decided: 4 after {rounds} rounds, {spikes} spikes"
            expect(announcement).to_contain_text(decided)


def test_page_can_be_used_with_the_keyboard_alone(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)

        def tab_to(selector):
            for _ in range(40):
                page.keyboard.press("Tab")
                if page.evaluate("s => document.activeElement.matches(s)", selector):
                    return
            raise AssertionError(f"{selector} cannot be reached")

        tab_to("#pad")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Space")
        for _ in range(14):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        expect(lane(page, "B").locator(".outcome strong")).to_have_text("1")
        tab_to("input[name=sample]")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        expect(page.locator("input[name=sample]:checked")).to_have_attribute(
            "aria-label", re.compile(r"^test digit \d+, a 1$")
        )
        for name in "AB":
            expect(lane(page, name).locator(".outcome strong")).to_have_text("1")
            expect(lane(page, name).locator(".mark")).to_have_text("correct")
        page.keyboard.press("0")
        expect(page.locator("#position")).to_have_text(re.compile(r"^0 of "))
        page.keyboard.press("l")
        expect(page.locator("#position")).to_have_text(re.compile(r"^1 of "))
        page.keyboard.press("j")
        expect(page.locator("#position")).to_have_text(re.compile(r"^0 of "))
        page.keyboard.press("k")
        expect(page.locator("#play-text")).to_have_text("Pause")
        expect(page.locator("#play-text")).to_have_text("Play")  # at the end
        page.keyboard.press("c")
        assert page.locator("#pad-hint").is_visible()
        assert_nothing_is_shown(page)
        page.keyboard.press("Space")  # selects the sample again
        tab_to("[data-option=policy]")
        page.keyboard.press("ArrowDown")
        expect(page.locator("#comparison-head")).to_contain_text("A: random")
        tab_to("#shortcuts")
        page.keyboard.press("Space")
        page.keyboard.press("0")
        expect(page.locator("#position")).not_to_have_text(re.compile(r"^0 of "))


def test_every_control_has_a_name_and_can_be_focused(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        controls = page.locator("button:visible, select:visible, input:visible, summary:visible")
        for control in controls.all():
            name = control.evaluate(
                "e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent"
            )
            assert name.strip()
            assert control.evaluate("e => e.tabIndex") == 0


@pytest.mark.parametrize("width", [400, 320])
def test_narrow_screen_does_not_scroll_sideways(browser, address, width):
    with opened(browser, address, viewport={"width": width, "height": 800}, **STILL) as page:
        draw(page, THREE)
        assert [digit for digit, _, _ in decisions(page)] == ["3", "3"]
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for name in "AB":
            box = lane(page, name).locator(".plot").bounding_box()
            assert box["width"] > width / 4
        a, b = (lane(page, name).bounding_box() for name in "AB")
        assert b["y"] > a["y"] + a["height"]


def test_wide_screen_shows_the_lanes_side_by_side(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        for part in (".preset", ".outcome", ".diagram", ".plot"):
            a, b = (lane(page, name).locator(part).bounding_box() for name in "AB")
            assert a["y"] == b["y"]
            assert a["x"] + a["width"] <= b["x"]


@pytest.mark.parametrize("width", [1280, 320])
def test_labels_of_small_populations_do_not_overlap(browser, width):
    names = ("hidden", "a_population_with_a_rather_long_name", "small", "output")
    sizes = (2, 2, 40, 1000, 2)
    populations = tuple(map(na.Population, names, ((size,) for size in sizes[1:])))
    connections = tuple(
        na.Dense(source, target, np.ones((sizes[k + 1], sizes[k]), np.float32))
        for k, (source, target) in enumerate(zip(("input", *names), names, strict=False))
    )
    bundle = na.Bundle(
        na.Model(1000, (2,), populations, connections, "output"),
        golden=(na.GoldenSample(na.SpikeTrain([0], [0])),),
        classes=("left", "right"),
    )
    viewport = {"width": width, "height": 800}
    with (
        served(bundle) as address,
        opened(browser, address, viewport=viewport, **STILL) as page,
    ):
        expect(page.locator("#comparison-body td")).to_have_count(14)
        for name in "AB":
            texts = lane(page, name).locator(".raster > .label").all()
            boxes = sorted((text.bounding_box() for text in texts), key=lambda box: box["y"])
            assert len(boxes) == 6
            for above, below in itertools.pairwise(boxes):
                assert above["y"] + above["height"] <= below["y"]


def test_nothing_plays_automatically_with_reduced_motion(browser, address):
    with opened(browser, address, **STILL) as page:
        page.evaluate(
            "window.seen = new Set(); new MutationObserver(() => "
            "seen.add(document.querySelector('#play-text').textContent))"
            ".observe(document.querySelector('#position'), {childList: true})"
        )
        page.locator("input[name=sample]").nth(5).check()
        expect(lane(page, "A").locator(".mark")).to_have_text("correct")
        assert "Pause" not in page.evaluate("[...seen]")
    with opened(browser, address) as page:
        expect(page.locator("#play-text")).to_have_text("Pause")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_in_light_and_dark_mode(browser, address, scheme):
    with opened(browser, address, color_scheme=scheme, **STILL) as page:
        decisions(page)
        low = find_low_contrast(page)
        assert low == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = int(re.findall(r"\d+", background)[0])
        assert brightness > 240 if scheme == "light" else brightness < 40
