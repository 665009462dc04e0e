"""The live page in Chromium: the two lanes, their options and the playback."""

import re

import pytest

pytest.importorskip("playwright", reason="needs playwright")

from playwright.sync_api import expect

from tests.helpers.live_page import (
    DECIDED,
    STILL,
    decisions,
    lane,
    opened,
    opened_with_error,
)


def test_two_policies_need_different_numbers_of_rounds_for_one_sample(browser, layered_address):
    with opened(browser, layered_address, **STILL) as page:
        (a, rounds_a, _), (b, rounds_b, _) = decisions(page)
        titles = page.locator("#comparison-head th").all_inner_texts()
        assert titles == ["", "A: layer-sync, F = 8", "B: momentum, F = 8"]
        assert (a, b) == ("3", "3")
        assert rounds_a < rounds_b
        difference = rounds_b - rounds_a
        verdict = f"Layer-sync decides {difference} rounds sooner than momentum; both decide for 3."
        expect(page.locator("#verdict")).to_have_text(verdict)
        cells = page.locator("#comparison-body tr").nth(2).locator("td").all_inner_texts()
        assert cells == [str(rounds_a), str(rounds_b)]


def test_policy_and_group_size_are_set_for_each_lane(browser, address):
    with opened(browser, address, **STILL) as page:
        before = decisions(page)
        lane(page, "B").get_by_label("F, lane B").fill("1")
        lane(page, "B").get_by_label("F, lane B").press("Enter")
        expect(page.locator("#comparison-head")).to_contain_text("B: momentum, F = 1")
        after = decisions(page)
        assert after[0] == before[0]
        assert after[1][1] > 2 * before[1][1]
        lane(page, "A").get_by_label("Order, lane A").select_option("fifo")
        expect(page.locator("#comparison-head")).to_contain_text("A: fifo, F = 8")
        lane(page, "A").get_by_label("Stop, lane A").select_option("first-spike")
        expect(lane(page, "A").locator(".decision")).to_contain_text("(first-spike)")
        assert decisions(page)[0][1] < before[0][1]


def test_playback_steps_both_lanes_together(browser, address):
    with opened(browser, address, **STILL) as page:
        (_, rounds_a, _), (_, rounds_b, _) = decisions(page)
        where = page.locator("#position")
        longest = max(rounds_a, rounds_b)
        expect(where).to_have_text(f"{longest} of {longest} rounds")
        page.locator("#slider").fill("0")
        expect(where).to_have_text(f"0 of {longest} rounds")
        expect(lane(page, "A").locator(".decision")).to_have_text("no vote yet")
        spikes = []
        for k in range(1, longest + 1):
            page.locator("#step").click()
            expect(where).to_have_text(f"{k} of {longest} rounds")
            lines = page.locator(".decision").all_inner_texts()
            spikes.append(int(lane(page, "A").locator(".count").nth(1).inner_text().split()[0]))
            for line, rounds in zip(lines, (rounds_a, rounds_b), strict=True):
                assert line.startswith("decided") == (k >= rounds)
        assert spikes == sorted(spikes)
        assert spikes[0] < spikes[-1]
        page.locator("#back").click()
        expect(where).to_have_text(f"{longest - 1} of {longest} rounds")
        page.locator("#unit").select_option("steps")
        expect(where).to_have_text(re.compile(r"^\d+ of \d+ steps$"))


def test_leading_class_is_written_and_not_only_colored(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        page.locator("#slider").fill("8")
        lead = r"^3 leads with \d+ votes, (\d+ ahead|tied, but first)$"
        line = lane(page, "A").locator(".decision")
        expect(line).to_have_text(re.compile(lead))
        leads = lane(page, "A").locator(".votes li", has_text="leads")
        expect(leads).to_have_count(1)
        assert leads.inner_text().split()[0] == "3:"
        label = lane(page, "A").locator(".plot").get_attribute("aria-label")
        assert re.match(
            r"Spike raster of lane A after 8 rounds\. Input events \d+\. Spikes: ", label
        )
        lane(page, "A").locator("summary").click()
        rows = lane(page, "A").locator(".as-table tbody tr")
        expect(rows).to_have_count(4)


def test_custom_stop_rule_is_used_or_its_error_is_shown_in_its_lane(browser, address):
    with opened_with_error(browser, address, **STILL) as page:
        decisions(page)
        lane(page, "A").get_by_label("Stop, lane A").select_option("custom")
        rule = lane(page, "A").get_by_label("Custom stop rule, lane A")
        rule.fill("margin(2,1)")
        rule.press("Enter")
        expect(lane(page, "A").locator(".decision")).to_contain_text("(margin(2,1))")
        rule.fill("soon")
        rule.press("Enter")
        error = lane(page, "A").locator(".error")
        expect(error).to_contain_text("soon")
        assert error.get_attribute("role") == "alert"
        expect(lane(page, "B").locator(".decision")).to_have_text(DECIDED)


@pytest.mark.parametrize(("wrong", "named"), [("0", "0"), ("2.5", "2.5"), ("", "''")])
def test_invalid_group_size_shows_the_error_of_the_library(browser, address, wrong, named):
    with opened_with_error(browser, address, **STILL) as page:
        decisions(page)
        box = lane(page, "A").get_by_label("F, lane A")
        box.fill(wrong)
        box.press("Tab")
        expect(lane(page, "A").locator(".error")).to_have_text(
            re.compile(f"group_size.*{re.escape(named)}")
        )


def test_long_raster_scrolls_with_playback(browser, layered_address):
    with opened(browser, layered_address, **STILL) as page:
        decisions(page)
        windows = page.evaluate(
            "async () => { const { visibleRange } = await import('/page/raster.js');"
            "return [[300, 20, 7], [300, 1000, 0], [300, 1000, 500], [300, 1000, 1000]]"
            ".map((of) => visibleRange(...of)); }"
        )
        assert windows == [
            {"from": -0.5, "to": 20.5},
            {"from": -0.5, "to": 100.5},
            {"from": 414.5, "to": 515.5},
            {"from": 899.5, "to": 1000.5},
        ]
