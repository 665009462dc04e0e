"""The live page in Chromium: the two lanes, their presets and settings, and the playback."""

import re

import pytest

pytest.importorskip("playwright", reason="needs playwright")

from playwright.sync_api import expect

from tests.helpers.live_page import (
    OVER,
    STILL,
    decisions,
    lane,
    opened,
    opened_with_error,
    settings,
)

PRESETS = [
    "Layer by layer",
    "Without layers, untrained for it",
    "Without layers, trained for it",
    "Custom",
]


def choose(page, name, preset):
    lane(page, name).locator(".preset").select_option(label=preset)


def change(page, label, value):
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Tab")


def test_page_opens_with_a_clear_contrast_between_two_networks(browser, address):
    with opened(browser, address, **STILL) as page:
        (a, rounds_a, spikes_a), (b, rounds_b, spikes_b) = decisions(page)
        assert (a, b) == ("4", "4")
        assert rounds_a > 2 * rounds_b
        factor = f"{rounds_a / rounds_b:.1f}"
        expect(page.locator("#verdict")).to_have_text(f"Without layers: {factor} times sooner")
        costs = [
            f"{rounds_b} rounds and {spikes_b} spikes",
            f"{rounds_a} rounds and {spikes_a} spikes",
        ]
        detail = f"4 after {costs[0]}, instead of {costs[1]}."
        expect(page.locator("#caption")).to_have_text(detail)
        expect(page.locator("#average")).to_have_text(
            "Validation digits on average: 10.6 rounds instead of 30.2, "
            "97.9 % correct instead of 97.1 %."
        )
        networks = page.locator("#comparison-body tr").first.locator("td").all_inner_texts()
        assert networks == ["layered-paper", "unlayered"]
        for name in "AB":
            expect(lane(page, name).locator(".mark")).to_have_text("correct")


def test_presets_run_other_networks_and_name_themselves_in_the_verdict(browser, address):
    with opened(browser, address, **STILL) as page:
        before = decisions(page)
        assert lane(page, "A").locator(".preset option").all_inner_texts() == PRESETS
        choose(page, "A", PRESETS[1])
        expect(page.locator("#verdict")).to_have_text(re.compile(r"^Trained for it: \d\.\d times"))
        after = decisions(page)
        assert after[1] == before[1]
        assert after[0][1] > before[0][1]
        expect(page.locator("#average")).to_have_text("")  # no training measured this run
        expect(page.get_by_label("Network, lane A")).to_have_value("layered-paper")
        expect(page.get_by_label("Order, lane A")).to_have_value("random")
        choose(page, "A", PRESETS[0])
        expect(page.locator("#verdict")).to_contain_text("Without layers:")
        assert decisions(page) == before


def test_wrong_answer_is_named_in_the_verdict_and_in_its_lane(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        page.get_by_label("Stop, lane A").select_option("first-spike")
        choose(page, "B", PRESETS[2])
        for digit in range(10):
            page.locator("input[name=sample]").nth(digit).check()
            decisions(page)
            if lane(page, "A").locator(".is-wrong").count():
                break
        expect(lane(page, "A").locator(".mark")).to_have_text(re.compile(r"^wrong, it is \d$"))
        expect(page.locator("#verdict")).to_have_text(re.compile(r"^Only “.*” is right$"))


def test_networks_and_orders_are_set_for_each_lane(browser, address):
    with opened(browser, address, **STILL) as page:
        before = decisions(page)
        change(page, "F, lane B", "1")
        expect(page.locator("#comparison-head")).to_contain_text("B: random, F = 1")
        after = decisions(page)
        assert after[0] == before[0]
        assert after[1][1] > 2 * before[1][1]
        assert lane(page, "B").locator(".preset").input_value() == "custom"
        page.get_by_label("Network, lane A").select_option("queued")
        page.get_by_label("Order, lane A").select_option("fifo")
        page.get_by_label("Input, lane A").select_option("queued")
        expect(page.locator("#comparison-head")).to_contain_text("A: fifo, F = 8")
        expect(page.locator("#comparison-body tr").first).to_contain_text("queued")
        page.get_by_label("Stop, lane A").select_option("first-spike")
        expect(page.locator("#comparison-body")).to_contain_text("first-spike")
        expect(lane(page, "A").locator(".run")).to_have_text("queued, fifo, F = 8, first-spike")


def test_playback_steps_both_lanes_together(browser, address):
    with opened(browser, address, **STILL) as page:
        (_, rounds_a, _), (_, rounds_b, _) = decisions(page)
        where = page.locator("#position")
        longest = max(rounds_a, rounds_b)
        expect(where).to_have_text(f"{longest} of {longest} rounds")
        page.locator("#slider").fill("0")
        expect(where).to_have_text(f"0 of {longest} rounds")
        expect(lane(page, "A").locator(".outcome")).to_have_text("no vote yet")
        expect(page.locator("#verdict")).to_have_text("Which network decides first?")
        for k in range(1, longest + 1):
            page.locator("#step").click()
            expect(where).to_have_text(f"{k} of {longest} rounds")
            for name, rounds in (("A", rounds_a), ("B", rounds_b)):
                classes = lane(page, name).locator(".outcome").get_attribute("class")
                assert bool(OVER.search(classes)) == (k >= rounds)
            if rounds_b <= k < rounds_a:
                expect(page.locator("#verdict")).to_have_text(
                    f"Without layers: 4 after {rounds_b} rounds"
                )
        page.locator("#back").click()
        expect(where).to_have_text(f"{longest - 1} of {longest} rounds")
        page.locator("#unit").select_option("steps")
        expect(where).to_have_text(re.compile(r"^\d+ of \d+ steps$"))


def test_pending_spikes_are_those_that_fired_and_were_not_delivered(browser, address):
    """The queue of layer-sync empties by F spikes a round, and nothing overtakes it."""
    with opened(browser, address, **STILL) as page:
        decisions(page)
        counts = page.evaluate(
            """async () => {
              const { Trace } = await import('/page/run/trace.js');
              const about = await (await fetch('/about?network=layered-paper')).json();
              const { events, number } = about.samples[4];
              const body = JSON.stringify({ events, number, policy: 'layer-sync', group_size: 8 });
              const headers = { 'Content-Type': 'application/json' };
              const options = { method: 'POST', headers, body };
              const answer = await fetch('/trace?network=layered-paper', options);
              const trace = new Trace(await answer.json(), about);
              return Array.from({ length: 13 }, (_, round) => {
                const waiting = trace.activity.waitingAt('rounds', round);
                return [0, 1, 2].map((p) => waiting.filter((w) => w.population === p).length);
              });
            }"""
        )
    first, second, third = zip(*counts, strict=True)
    fired = first[0]
    assert fired > 16
    assert list(first[:4]) == [max(0, fired - 8 * k) for k in range(4)]
    assert set(second[:3]) == {0}
    assert second[3] == 27
    assert set(third[:7]) == {0}


def test_leading_class_is_written_and_not_only_colored(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        page.locator("#slider").fill("8")
        outcome = lane(page, "B").locator(".outcome")
        expect(outcome).to_have_text(re.compile(r"^4leads by \d votes$"))
        leads = lane(page, "B").locator(".votes li.leads")
        expect(leads).to_have_count(1)
        assert leads.inner_text().split()[0] == "4:"
        label = lane(page, "B").locator(".plot").get_attribute("aria-label")
        counts = r"Input events \d+\. Spikes: .* Pending: \d+\.$"
        assert re.match(rf"Spike raster of lane B after 8 rounds\. {counts}", label)
        settings(page, "B").locator("summary").click()
        expect(settings(page, "B").locator(".as-table tbody tr")).to_have_count(4)


def test_custom_stop_rule_is_used_or_its_error_is_shown_at_its_field(browser, address):
    with opened_with_error(browser, address, **STILL) as page:
        decisions(page)
        page.get_by_label("Stop, lane A").select_option("custom")
        error = settings(page, "A").locator(".field-error")
        expect(error).to_have_text("Write a stop rule, such as margin(4,4,3)")
        rule = page.get_by_label("Custom stop rule, lane A")
        rule.fill("margin(2,1)")
        rule.press("Enter")
        expect(page.locator("#comparison-body")).to_contain_text("margin(2,1)")
        found = decisions(page)
        rule.fill("soon")
        rule.press("Enter")
        expect(error).to_contain_text("soon")
        assert error.get_attribute("role") == "alert"
        expect(rule).to_have_attribute("aria-invalid", "true")
        assert decisions(page) == found  # the last good run stays
        shown = "layered-paper, layer-sync, F = 8, margin(2,1)"
        expect(lane(page, "A").locator(".run")).to_have_text(shown)


@pytest.mark.parametrize(
    ("wrong", "got"), [("0", ", got 0"), ("2.5", ", got 2.5"), ("", ""), ("4097", ", got 4097")]
)
def test_invalid_group_size_is_told_at_its_field_and_keeps_the_last_run(
    browser, address, wrong, got
):
    with opened(browser, address, **STILL) as page:
        found, verdict = decisions(page), page.locator("#verdict").inner_text()
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        change(page, "F, lane A", wrong)
        error = settings(page, "A").locator(".field-error")
        expect(error).to_have_text(f"F must be an integer from 1 to 4096{got}")
        field = page.get_by_label("F, lane A")
        expect(field).to_have_attribute("aria-invalid", "true")
        assert field.get_attribute("aria-describedby") == error.get_attribute("id")
        page.locator("#slider").fill("3")
        page.locator("#slider").fill("99")
        assert decisions(page) == found
        expect(page.locator("#verdict")).to_have_text(verdict)
        assert requests == []
        change(page, "F, lane A", "16")
        expect(error).to_have_text("")
        expect(page.locator("#comparison-head")).to_contain_text("F = 16")


def test_long_raster_scrolls_with_playback(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        windows = page.evaluate(
            "async () => { const { visibleRange } = await import('/page/lanes/raster.js');"
            "return [[300, 20, 7], [300, 1000, 0], [300, 1000, 500], [300, 1000, 1000]]"
            ".map((of) => visibleRange(...of)); }"
        )
        assert windows == [
            {"from": -0.5, "to": 20.5},
            {"from": -0.5, "to": 100.5},
            {"from": 414.5, "to": 515.5},
            {"from": 899.5, "to": 1000.5},
        ]
