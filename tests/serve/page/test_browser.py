"""The live page in Chromium, as a person uses it."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import re
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

live = pytest.importorskip("live_page", reason="needs playwright and the extra 'serve'")
if live.CHROMIUM is None:
    pytest.skip("no Chromium here: `apt-get install chromium`", allow_module_level=True)

from playwright.sync_api import expect  # noqa: E402

import neuroasync as na  # noqa: E402
from neuroasync.replay import verify  # noqa: E402
from neuroasync.shipped import shipped_bundle  # noqa: E402
from tests.helpers.live_page import THREE, draw, opened, opened_with_trouble, served  # noqa: E402
from tests.helpers.small_networks import chain, sample  # noqa: E402

STILL = {"reduced_motion": "reduce"}
DECIDED = re.compile(r"^decided: (\S+) after (\d+) rounds?, (\d+) spikes? \((.+?)\)(, .*)?$")


@pytest.fixture(scope="module")
def browser():
    with live.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address():
    with served(shipped_bundle("unlayered")) as address:
        yield address


@pytest.fixture(scope="module")
def layered():
    with served(shipped_bundle("layered-paper")) as address:
        yield address


def lane(page, name):
    return page.locator(f".lane[data-lane={name}]")


def decisions(page):
    """(class, rounds, spikes) of both lanes, once both have decided."""
    found = []
    for name in "AB":
        line = lane(page, name).locator(".decision")
        expect(line).to_have_text(DECIDED)
        match = DECIDED.match(line.inner_text())
        found.append((match[1], int(match[2]), int(match[3])))
    return found


def ink_of(canvas):
    """How many pixels of a canvas are drawn on."""
    return canvas.evaluate(
        "c => { const copy = new OffscreenCanvas(c.width, c.height).getContext('2d');"
        "copy.drawImage(c, 0, 0);"
        "const d = copy.getImageData(0, 0, c.width, c.height).data;"
        "let n = 0; for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n; }"
    )


def test_a_drawn_three_is_shown_as_events_spikes_and_a_decision(browser, address):
    with opened(browser, address) as page:
        expect(page.locator("#play-text")).to_have_text("Play")  # the first sample has played
        draw(page, THREE)
        expect(page.locator("#seen-text")).to_have_text(
            re.compile(r"^1\d\d events in 10 timesteps")
        )
        frames = page.locator("#frames canvas")
        expect(frames).to_have_count(10)
        assert all(ink_of(frame) > 4 for frame in frames.all())
        found = decisions(page)
        assert [digit for digit, _, _ in found] == ["3", "3"]
        for name, (_, rounds, spikes) in zip("AB", found, strict=True):
            counts = lane(page, name).locator(".count").all_inner_texts()
            numbers = [int(text.split()[0]) for text in counts]
            assert all(number > 3 for number in numbers)
            values = lane(page, name).locator(".votes .value").all_inner_texts()
            assert sum(numbers[1:]) + sum(map(int, values)) == spikes > 50
            assert rounds > 5
            assert ink_of(lane(page, name).locator(".plot")) > 2000
        assert page.locator("input[name=sample]:checked").count() == 0
        glance = page.locator("#glance dd").all_inner_texts()
        assert glance == ["3", "3"]


def test_a_finger_draws_too(browser, address):
    with opened(browser, address, has_touch=True, **STILL) as page:
        box = page.locator("#pad").bounding_box()
        touch = page.context.new_cdp_session(page)

        def send(kind, *points):
            at = [
                {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
                for x, y in points
            ]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

        send("touchStart", THREE[0])
        for k in range(1, len(THREE)):
            (ax, ay), (bx, by) = THREE[k - 1 : k + 1]
            for t in (0.25, 0.5, 0.75, 1):
                send("touchMove", (ax + t * (bx - ax), ay + t * (by - ay)))
        send("touchEnd")
        expect(page.locator("input[name=sample]:checked")).to_have_count(0)
        assert [digit for digit, _, _ in decisions(page)] == ["3", "3"]
        assert page.evaluate("scrollY") == 0


def test_a_growing_drawing_is_looked_at_before_the_pen_is_up(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        box = page.locator("#pad").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + 20
        page.mouse.move(x, y)
        page.mouse.down()
        for k in range(40):
            page.mouse.move(x, y + 5 * k)
        events = page.locator("#seen-text")
        expect(events).not_to_have_text(re.compile("^205 events"))
        expect(lane(page, "A").locator(".decision")).to_have_text(DECIDED)
        page.mouse.up()


def nothing_is_shown(page):
    """The page is as before the first sample."""
    expect(page.locator("#seen-text")).to_have_text("Nothing yet.")
    expect(page.locator("#frames canvas")).to_have_count(0)
    expect(page.locator("#where")).to_have_text("0 of 0 rounds")
    expect(page.locator("#play-text")).to_have_text("Play")
    expect(page.locator("#glance")).to_be_hidden()
    expect(page.locator("#verdict")).to_have_text("")
    for name in "AB":
        assert ink_of(lane(page, name).locator(".plot")) == 0
        expect(lane(page, name).locator(".plot")).to_have_attribute("aria-label", "No run yet")
        values = lane(page, name).locator(".votes .value").all_inner_texts()
        assert set(values) == {"0"}
        counts = lane(page, name).locator(".count").all_inner_texts()
        assert {text.split()[0] for text in counts} == {"0"}
    cells = page.locator("#totals-body td").all_inner_texts()
    assert set(cells) == {""}


@pytest.mark.parametrize("way", ["button", "key"])
def test_clear_leaves_nothing_that_could_go_on(browser, address, way):
    with opened(browser, address) as page:
        draw(page, THREE)
        expect(page.locator("#play-text")).to_have_text("Pause")
        if way == "button":
            page.locator("#clear").click()
        else:
            page.keyboard.press("c")
        nothing_is_shown(page)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.locator("#seed").fill("7")
        page.locator("#seed").press("Enter")
        lane(page, "A").get_by_label("Order, lane A").select_option("fifo")
        page.locator("#play").click()
        nothing_is_shown(page)
        for line in page.locator(".decision").all_inner_texts():
            assert line == "No sample yet."
        assert asked == []
        page.emulate_media(reduced_motion="reduce")
        draw(page, THREE)
        assert [digit for digit, _, _ in decisions(page)] == ["3", "3"]


def test_clear_lets_go_of_a_chosen_sample_too(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        page.locator("#clear").click()
        nothing_is_shown(page)
        expect(page.locator("input[name=sample]:checked")).to_have_count(0)


def test_nothing_of_the_last_sample_is_left_once_the_server_is_gone(browser):
    with contextlib.ExitStack() as server:
        address = server.enter_context(served(shipped_bundle("unlayered")))
        with opened_with_trouble(browser, address, **STILL) as page:
            decisions(page)
            server.close()
            page.locator("input[name=sample]").nth(5).check()
            for name in "AB":
                trouble = lane(page, name).locator(".trouble")
                expect(trouble).to_have_text("The server does not answer. Is it still running?")
            nothing_is_shown(page)


def test_two_orders_differ_in_rounds_on_the_same_sample(browser, layered):
    with opened(browser, layered, **STILL) as page:
        (a, rounds_a, _), (b, rounds_b, _) = decisions(page)
        titles = page.locator("#totals-head th").all_inner_texts()
        assert titles == ["", "A: layer-sync, F = 8", "B: momentum, F = 8"]
        assert (a, b) == ("3", "3")
        assert rounds_a < rounds_b
        difference = rounds_b - rounds_a
        said = f"Layer-sync decides {difference} rounds sooner than momentum; both decide for 3."
        expect(page.locator("#verdict")).to_have_text(said)
        cells = page.locator("#totals-body tr").nth(2).locator("td").all_inner_texts()
        assert cells == [str(rounds_a), str(rounds_b)]


def test_order_and_group_size_are_switched_lane_by_lane(browser, address):
    with opened(browser, address, **STILL) as page:
        before = decisions(page)
        lane(page, "B").get_by_label("F, lane B").fill("1")
        lane(page, "B").get_by_label("F, lane B").press("Enter")
        expect(page.locator("#totals-head")).to_contain_text("B: momentum, F = 1")
        after = decisions(page)
        assert after[0] == before[0]
        assert after[1][1] > 2 * before[1][1]
        lane(page, "A").get_by_label("Order, lane A").select_option("fifo")
        expect(page.locator("#totals-head")).to_contain_text("A: fifo, F = 8")
        lane(page, "A").get_by_label("Stop, lane A").select_option("first-spike")
        expect(lane(page, "A").locator(".decision")).to_contain_text("(first-spike)")
        assert decisions(page)[0][1] < before[0][1]


def test_time_goes_step_by_step_in_both_lanes(browser, address):
    with opened(browser, address, **STILL) as page:
        (_, rounds_a, _), (_, rounds_b, _) = decisions(page)
        where = page.locator("#where")
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


def test_who_leads_is_written_and_not_only_coloured(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        page.locator("#slider").fill("8")
        lead = r"^3 leads with \d+ votes, (\d+ ahead|level, but first)$"
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


def test_the_decision_is_said_aloud_once(browser, address):
    with opened(browser, address, **STILL) as page:
        found = decisions(page)
        said = page.locator("#announce")
        assert said.get_attribute("aria-live") == "polite"
        expect(said).to_contain_text(f"lane A: decided: 3 after {found[0][1]} rounds")
        expect(said).to_contain_text(f"lane B: decided: 3 after {found[1][1]} rounds")


def test_everything_works_without_a_mouse(browser, address):
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
        expect(page.locator("#glance dd").first).to_have_text("1")
        tab_to("input[name=sample]")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        expect(page.locator("input[name=sample]:checked")).to_have_attribute(
            "aria-label", re.compile(r"^test digit \d+, a 1$")
        )
        right = re.compile(r"^decided: 1 .*, which is right$")
        for name in "AB":
            expect(lane(page, name).locator(".decision")).to_have_text(right)
        page.keyboard.press("0")
        expect(page.locator("#where")).to_have_text(re.compile(r"^0 of "))
        page.keyboard.press("l")
        expect(page.locator("#where")).to_have_text(re.compile(r"^1 of "))
        page.keyboard.press("j")
        expect(page.locator("#where")).to_have_text(re.compile(r"^0 of "))
        page.keyboard.press("k")
        expect(page.locator("#play-text")).to_have_text("Pause")
        expect(page.locator("#play-text")).to_have_text("Play")  # at the end
        page.keyboard.press("c")
        assert page.locator("#pad-hint").is_visible()
        nothing_is_shown(page)
        page.keyboard.press("Space")  # the sample that was cleared
        tab_to("[data-option=policy]")
        page.keyboard.press("ArrowDown")
        expect(page.locator("#totals-head")).to_contain_text("A: random")
        tab_to("#shortcuts")
        page.keyboard.press("Space")
        page.keyboard.press("0")
        expect(page.locator("#where")).not_to_have_text(re.compile(r"^0 of "))


def test_every_control_has_a_name_and_can_be_reached(browser, address):
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
def test_a_narrow_screen_does_not_scroll_sideways(browser, address, width):
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


def test_on_a_wide_screen_the_lanes_stand_side_by_side(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        a, b = (lane(page, name).locator(".plot").bounding_box() for name in "AB")
        assert a["y"] == b["y"]
        assert a["x"] + a["width"] < b["x"]


def test_the_lanes_stay_level_whatever_one_of_them_says(browser, address):
    def tops():
        return [
            {lane(page, name).locator(part).bounding_box()["y"] for name in "AB"}
            for part in (".lane-title", ".decision", ".plot", ".as-table")
        ]

    options = {"viewport": {"width": 1280, "height": 900}, **STILL}
    with opened_with_trouble(browser, address, **options) as page:
        decisions(page)
        assert [len(top) for top in tops()] == [1, 1, 1, 1]
        lane(page, "A").get_by_label("Stop, lane A").select_option("own")
        rule = lane(page, "A").get_by_label("Own stop rule, lane A")
        expect(rule).to_be_visible()
        assert [len(top) for top in tops()] == [1, 1, 1, 1]
        rule.fill("soon")
        rule.press("Enter")
        expect(lane(page, "A").locator(".trouble")).to_be_visible()
        assert [len(top) for top in tops()] == [1, 1, 1, 1]
        lane(page, "B").locator("summary").click()
        assert [len(top) for top in tops()] == [1, 1, 1, 1]


@pytest.mark.parametrize("width", [1280, 320])
def test_names_and_sizes_of_small_populations_have_room(browser, width):
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
        expect(page.locator("#totals-body td")).to_have_count(12)
        for name in "AB":
            texts = lane(page, name).locator(".raster > .axis, .pop, .names").all()
            boxes = sorted((text.bounding_box() for text in texts), key=lambda box: box["y"])
            assert len(boxes) == 7
            for above, below in itertools.pairwise(boxes):
                assert above["y"] + above["height"] <= below["y"]


def test_nothing_moves_by_itself_where_motion_is_not_wanted(browser, address):
    with opened(browser, address, **STILL) as page:
        page.evaluate(
            "window.seen = new Set(); new MutationObserver(() => "
            "seen.add(document.querySelector('#play-text').textContent))"
            ".observe(document.querySelector('#where'), {childList: true})"
        )
        page.locator("input[name=sample]").nth(5).check()
        expect(lane(page, "A").locator(".decision")).to_contain_text("which is right")
        assert "Pause" not in page.evaluate("[...seen]")
    with opened(browser, address) as page:
        expect(page.locator("#play-text")).to_have_text("Pause")


def test_a_rule_of_ones_own_is_taken_or_explained_in_its_lane(browser, address):
    with opened_with_trouble(browser, address, **STILL) as page:
        decisions(page)
        lane(page, "A").get_by_label("Stop, lane A").select_option("own")
        rule = lane(page, "A").get_by_label("Own stop rule, lane A")
        rule.fill("margin(2,1)")
        rule.press("Enter")
        expect(lane(page, "A").locator(".decision")).to_contain_text("(margin(2,1))")
        rule.fill("soon")
        rule.press("Enter")
        trouble = lane(page, "A").locator(".trouble")
        expect(trouble).to_contain_text("until: 'soon', expected quiet, first-spike, votes(k)")
        assert trouble.get_attribute("role") == "alert"
        expect(lane(page, "B").locator(".decision")).to_have_text(DECIDED)


@pytest.mark.parametrize("wrong", ["-1", "2.5", "", "9007199254740992"])
def test_what_is_no_seed_is_refused_beside_its_box_and_not_run(browser, address, wrong):
    with opened(browser, address, **STILL) as page:
        found = decisions(page)
        asked = []
        page.on("request", lambda request: asked.append(request.post_data_json))
        box, trouble = page.locator("#seed"), page.locator("#seed-trouble")
        box.fill(wrong)
        box.press("Tab")
        expect(trouble).to_have_text(f"seed: '{wrong}', expected an integer from 0 to 2**53 - 1")
        expect(box).to_have_attribute("aria-invalid", "true")
        nothing_is_shown(page)
        draw(page, THREE)
        lane(page, "B").get_by_label("Order, lane B").select_option("fifo")
        nothing_is_shown(page)
        page.locator("input[name=sample]").nth(3).check()
        nothing_is_shown(page)
        assert asked == []
        lane(page, "B").get_by_label("Order, lane B").select_option("momentum")
        box.fill("0")
        box.press("Tab")
        expect(trouble).to_be_hidden()
        assert decisions(page) == found
        box.fill("9007199254740991")
        box.press("Tab")
        expect(page.locator("main")).to_have_attribute("aria-busy", "false")
        decisions(page)
        assert {body["seed"] for body in asked} == {0, 2**53 - 1}


@pytest.mark.parametrize(("wrong", "named"), [("0", "0"), ("2.5", "2.5"), ("", "''")])
def test_what_is_no_group_size_is_refused_as_the_library_does(browser, address, wrong, named):
    with opened_with_trouble(browser, address, **STILL) as page:
        decisions(page)
        box = lane(page, "A").get_by_label("F, lane A")
        box.fill(wrong)
        box.press("Tab")
        expect(lane(page, "A").locator(".trouble")).to_have_text(
            f"group_size: {named}, expected an integer from 1 to {2**62}"
        )


def test_the_token_that_the_page_was_opened_with_is_shown(browser):
    def is_authorized(request):
        return request.headers.get("authorization") == "Bearer s3cret"

    with served(shipped_bundle("unlayered"), is_authorized=is_authorized) as address:
        with opened(browser, address, "/?token=s3cret", **STILL) as page:
            assert decisions(page)[0][0] == "3"
        with opened_with_trouble(browser, address) as page:
            errors = []
            page.on("pageerror", lambda error: errors.append(error))
            page.reload()
            expect(page.locator("#trouble")).to_contain_text("opened as /?token=TOKEN")
            expect(page.locator("main")).to_have_attribute("aria-busy", "false")
            assert page.locator("button:visible, input:visible, select:visible").count() == 0
            assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_easy_to_read_in_light_and_dark(browser, address, scheme):
    with opened(browser, address, color_scheme=scheme, **STILL) as page:
        decisions(page)
        low = page.evaluate(CONTRAST)
        assert low == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = int(re.findall(r"\d+", background)[0])
        assert brightness > 240 if scheme == "light" else brightness < 40


def test_a_drawing_is_made_like_the_images_of_the_data_set(browser, address):
    strokes = {
        "three": [THREE],
        "small": [[(0.1 * x, 0.1 * y) for x, y in THREE]],
        "one": [[(0.5, 0.1), (0.5, 0.9)]],
        "wide": [[(0.0, 0.3), (1.0, 0.3), (0.0, 0.9), (1.0, 0.9)]],
        "dash": [[(0.1, 0.5), (0.9, 0.5)]],
        "dot": [[(0.5, 0.5)]],
        "nothing": [],
    }
    with opened(browser, address, **STILL) as page:
        images = page.evaluate(
            "async (of) => { const { imageOf } = await import('/page/strokes.js');"
            "const { drawing } = await (await fetch('/about')).json();"
            "return Object.fromEntries(Object.entries(of).map(([k, s]) => "
            "[k, imageOf(s, drawing)])); }",
            strokes,
        )
    arrays = {name: np.array(image) for name, image in images.items()}
    assert all(a.shape == (8, 8) and 0 <= a.min() <= a.max() <= 1 for a in arrays.values())
    assert np.array_equal(arrays["three"], arrays["small"])
    for name in ("three", "one", "wide"):
        rows = arrays[name].sum(axis=1)
        assert (rows > 0.3).all()
        assert abs(arrays[name].mean() - 20 / 64) < 0.03
        columns = np.flatnonzero(arrays[name].sum(axis=0) > 0.3)
        assert columns[0] + columns[-1] == 7  # in the middle
    assert arrays["wide"][:, [0, 7]].sum() == 0
    assert arrays["dash"][[0, 7]].sum() == 0
    assert arrays["dot"].sum() > 1
    assert not arrays["nothing"].any()


def test_a_network_whose_input_is_no_image_shows_its_golden_samples(browser):
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
        expect(page.locator("#seen-text")).to_have_text("60 events in 8 timesteps")
        assert "which is right" not in page.locator("#lanes").inner_text()


@pytest.mark.parametrize("width", [1280, 320])
def test_a_network_with_nothing_to_show_says_what_to_do_and_has_no_dead_controls(browser, width):
    viewport = {"width": width, "height": 900}
    with served(chain()) as address, opened(browser, address, viewport=viewport) as page:
        said = page.locator("#empty")
        for what in ("cannot be drawn", "golden sample", "POST /trace", "/stream"):
            expect(said).to_contain_text(what)
        assert page.locator("button:visible, input:visible, select:visible").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(CONTRAST) == []
        body = re.search(r"\{\"events.*\}\}", said.inner_text())[0]
        answer = page.request.post(f"{address}/trace", data=json.loads(body))
        assert answer.json()["decision"]["input_events"] == 2


def test_the_recipe_for_a_golden_sample_gives_one_that_holds_and_is_shown(browser, tmp_path):
    with served(chain()) as address, opened(browser, address, **STILL) as page:
        recipe = textwrap.indent(page.locator("#recipe").inner_text(), "    ")
    names = {"na": na, "dataclasses": dataclasses}
    exec(f"async def make(bundle, events, path):\n{recipe}", names)
    with ThreadPoolExecutor(1) as other:  # playwright has a loop in this thread
        making = names["make"](chain(), sample(), tmp_path / "golden.nab")
        other.submit(asyncio.run, making).result()
    bundle = na.read_bundle(tmp_path / "golden.nab")
    assert [result.holds for result in verify(bundle)] == [True]
    with served(bundle) as address, opened(browser, address, **STILL) as page:
        decisions(page)


def test_a_raster_that_is_too_long_scrolls_with_time(browser, layered):
    with opened(browser, layered, **STILL) as page:
        decisions(page)
        windows = page.evaluate(
            "async () => { const { windowOf } = await import('/page/raster.js');"
            "return [[300, 20, 7], [300, 1000, 0], [300, 1000, 500], [300, 1000, 1000]]"
            ".map((of) => windowOf(...of)); }"
        )
        assert windows == [
            {"from": -0.5, "to": 20.5},
            {"from": -0.5, "to": 100.5},
            {"from": 414.5, "to": 515.5},
            {"from": 899.5, "to": 1000.5},
        ]


CONTRAST = """() => {
  const rgb = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const found = rgb(getComputedStyle(e).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3 && n.data.trim());
    const isControl = element.matches("select, input");
    if ((!text.length && !isControl) || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(rgb(style.color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push([element.className || element.tagName, text[0]?.data, ratio]);
  }
  // What the bars of votes lie behind of.
  const root = getComputedStyle(document.documentElement);
  const probe = document.createElement("i");
  document.body.append(probe);
  const named = (name) => {
    probe.style.color = root.getPropertyValue(name);
    return light(rgb(getComputedStyle(probe).color));
  };
  for (const [front, back] of [["--ink", "--accent-soft"], ["--muted", "--band"]]) {
    const [a, b] = [named(front), named(back)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push([front, back]);
  }
  probe.remove();
  return low;
}"""
