"""The live page in Chromium: drawing, clearing, samples and seeds."""

import contextlib
import re

import numpy as np
import pytest

pytest.importorskip("playwright", reason="needs playwright")

from playwright.sync_api import expect

from neuroasync.shipped import shipped_bundle
from tests.helpers.live_page import (
    OVER,
    STILL,
    THREE,
    assert_nothing_is_shown,
    count_drawn_pixels,
    decisions,
    draw,
    lane,
    opened,
    opened_with_error,
    served,
)


def test_drawn_three_is_shown_as_events_spikes_and_a_decision(browser, address):
    with opened(browser, address) as page:
        expect(page.locator("#play-text")).to_have_text("Pause")  # the first sample is played
        draw(page, THREE)
        expect(page.locator("#events-text")).to_have_text(
            re.compile(r"^1\d\d events in 10 timesteps")
        )
        frames = page.locator("#frames canvas")
        expect(frames).to_have_count(10)
        assert all(count_drawn_pixels(frame) > 4 for frame in frames.all())
        found = decisions(page)
        assert [digit for digit, _, _ in found] == ["3", "3"]
        for name, (_, rounds, spikes) in zip("AB", found, strict=True):
            label = lane(page, name).locator(".plot").get_attribute("aria-label")
            numbers = [int(n) for n in re.findall(r" (\d+)(?=[,.])", label.partition("Spikes:")[2])]
            assert len(numbers) == 5
            assert sum(numbers[:4]) == spikes > 50
            values = lane(page, name).locator(".votes .value").all_inner_texts()
            assert sum(map(int, values)) == numbers[3]
            assert rounds > 5
            for canvas in (".plot", ".diagram"):
                assert count_drawn_pixels(lane(page, name).locator(canvas)) > 2000
        assert page.locator("input[name=sample]:checked").count() == 0


def test_drawing_works_by_touch(browser, address):
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


def test_unfinished_drawing_is_run_before_the_pen_is_lifted(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        box = page.locator("#pad").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + 20
        page.mouse.move(x, y)
        page.mouse.down()
        for k in range(40):
            page.mouse.move(x, y + 5 * k)
        events = page.locator("#events-text")
        expect(events).not_to_have_text(re.compile("^163 events"))
        expect(lane(page, "A").locator(".outcome")).to_have_class(OVER)
        page.mouse.up()


@pytest.mark.parametrize("control", ["button", "key"])
def test_clear_removes_the_sample_and_all_results(browser, address, control):
    with opened(browser, address) as page:
        draw(page, THREE)
        expect(page.locator("#play-text")).to_have_text("Pause")
        if control == "button":
            page.locator("#clear").click()
        else:
            page.keyboard.press("c")
        assert_nothing_is_shown(page)
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.locator("#seed").fill("7")
        page.locator("#seed").press("Enter")
        page.get_by_label("Order, lane A").select_option("fifo")
        page.locator("#play").click()
        assert_nothing_is_shown(page)
        for line in page.locator(".outcome").all_inner_texts():
            assert line == "No sample yet."
        assert requests == []
        page.emulate_media(reduced_motion="reduce")
        draw(page, THREE)
        assert [digit for digit, _, _ in decisions(page)] == ["3", "3"]


def test_clear_unselects_a_chosen_sample(browser, address):
    with opened(browser, address, **STILL) as page:
        decisions(page)
        page.locator("#clear").click()
        assert_nothing_is_shown(page)
        expect(page.locator("input[name=sample]:checked")).to_have_count(0)


def test_lost_server_is_reported_and_old_results_are_removed(browser):
    with contextlib.ExitStack() as server:
        address = server.enter_context(served(shipped_bundle("unlayered")))
        with opened_with_error(browser, address, **STILL) as page:
            decisions(page)
            server.close()
            page.locator("input[name=sample]").nth(5).check()
            for name in "AB":
                error = lane(page, name).locator(".error")
                expect(error).to_have_text("The server does not respond. Is it still running?")
            assert_nothing_is_shown(page)


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        ("-1", ", got -1"),
        ("2.5", ", got 2.5"),
        ("", ""),
        ("9007199254740992", ", got 90071992547409"),
    ],
)
def test_invalid_seed_is_reported_at_its_field_and_keeps_the_last_run(browser, address, wrong, got):
    with opened(browser, address, **STILL) as page:
        found = decisions(page)
        requests = []
        page.on("request", lambda request: requests.append(request.post_data_json))
        box, error = page.locator("#seed"), page.locator("#seed-error")
        box.fill(wrong)
        box.press("Tab")
        expect(error).to_contain_text(f"Seed must be an integer from 0 to 2**53 - 1{got}")
        expect(box).to_have_attribute("aria-invalid", "true")
        assert decisions(page) == found
        assert requests == []
        box.fill("0")
        box.press("Tab")
        expect(error).to_have_text("")
        box.fill("9007199254740991")
        box.press("Tab")
        page.wait_for_function("document.querySelector('#seed').ariaInvalid === 'false'")
        decisions(page)
        assert {body["seed"] for body in requests} == {2**53 - 1}


def test_drawing_is_converted_to_an_image_like_those_of_the_data_set(browser, address):
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
            "async (of) => { const { imageFromStrokes } = await import('/page/input/strokes.js');"
            "const { drawing } = await (await fetch('/about')).json();"
            "return Object.fromEntries(Object.entries(of).map(([k, s]) => "
            "[k, imageFromStrokes(s, drawing)])); }",
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
        assert columns[0] + columns[-1] == 7  # centred
    assert arrays["wide"][:, [0, 7]].sum() == 0
    assert arrays["dash"][[0, 7]].sum() == 0
    assert arrays["dot"].sum() > 1
    assert not arrays["nothing"].any()
