"""The live page in a real browser: a server in a thread, Chromium, and what the page shows."""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import uvicorn
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from starlette.applications import Starlette

import neuroasync as na
from neuroasync.serve.page import page_routes

CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
THREE = (
    (0.3, 0.2), (0.45, 0.12), (0.62, 0.16), (0.68, 0.3), (0.58, 0.42), (0.45, 0.47), (0.6, 0.52),
    (0.7, 0.66), (0.62, 0.82), (0.45, 0.88), (0.3, 0.8),
)  # fmt: skip
"""A handwritten 3: the corners of a stroke, from 0 to 1, with y pointing down."""

STILL = {"reduced_motion": "reduce"}
"""Options of a browser context in which the page does not play automatically."""

OVER = re.compile(r"\bis-over\b")
"""The class of the outcome of a lane that has decided."""


@contextlib.contextmanager
def served(*bundles: na.Bundle, names: Sequence[str] = (), **options: object) -> Iterator[str]:
    """Start a server that has only the page, and yield its address."""
    names = names or [f"net{k}" for k in range(len(bundles))]
    networks = dict(zip(names, map(na.Network, bundles), strict=True))

    @contextlib.asynccontextmanager
    async def open_networks(_app):
        async with contextlib.AsyncExitStack() as stack:
            for network in networks.values():
                await stack.enter_async_context(network)
            yield

    app = Starlette(routes=page_routes(networks, **options), lifespan=open_networks)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="on"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            host, port = listener.getsockname()
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Open a headless browser and close it at the end of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(
    browser: Browser, address: str, path: str = "/", script: str = "", **options: object
) -> Iterator[Page]:
    """Open the page in a new context. Check that it logs nothing and contacts no other host.

    A script runs in the page before its own scripts.
    """
    logged: list[str] = []
    urls: list[str] = []
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    with contextlib.closing(browser.new_context(**options)) as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.add_init_script(script)
        page.on("console", lambda message: logged.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: logged.append(f"error: {error}"))
        page.on("request", lambda request: urls.append(request.url))
        page.goto(address + path)
        page.wait_for_selector("main[aria-busy=false]", state="attached")
        yield page
        assert logged == [], logged
        assert [url for url in urls if not url.startswith(address + "/")] == []


@contextlib.contextmanager
def opened_with_error(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    """Open the page where a request fails, which the browser logs on the console."""
    with contextlib.closing(browser.new_context(**options)) as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(address)
        page.wait_for_selector("main[aria-busy=false]", state="attached")
        yield page


def draw(page: Page, *strokes: tuple[tuple[float, float], ...]) -> None:
    """Draw strokes with the mouse."""
    box = page.locator("#pad").bounding_box()
    assert box is not None

    def to(point: tuple[float, float], steps: int = 1) -> None:
        x, y = box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"]
        page.mouse.move(x, y, steps=steps)

    for stroke in strokes:
        to(stroke[0])
        page.mouse.down()
        for point in stroke[1:]:
            to(point, steps=6)
        page.mouse.up()


def lane(page: Page, name: str) -> Locator:
    """Return the lane of the page with the given name."""
    return page.locator(f".lane[data-lane={name}]")


def settings(page: Page, name: str) -> Locator:
    """Return the settings of a lane."""
    return page.get_by_role("group", name=f"Lane {name}", exact=True)


def decisions(page: Page) -> list[tuple[str, int, int]]:
    """Wait until both lanes have decided, and return (class, rounds, spikes) of each."""
    for name in "AB":
        expect(lane(page, name)).to_have_attribute("aria-busy", "false")
        expect(lane(page, name).locator(".outcome")).to_have_class(OVER)
    rows = page.locator("#comparison-body tr")
    cells = {row.locator("th").inner_text(): row.locator("td") for row in rows.all()}
    columns = [cells[name].all_inner_texts() for name in ("decision", "rounds of F", "spikes")]
    return [
        (digit, int(rounds), int(spikes)) for digit, rounds, spikes in zip(*columns, strict=True)
    ]


def count_drawn_pixels(canvas: Locator) -> int:
    """Return how many pixels of a canvas are not transparent."""
    return canvas.evaluate(
        "c => { const copy = new OffscreenCanvas(c.width, c.height).getContext('2d');"
        "copy.drawImage(c, 0, 0);"
        "const d = copy.getImageData(0, 0, c.width, c.height).data;"
        "let n = 0; for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n; }"
    )


def assert_nothing_is_shown(page: Page) -> None:
    """Check that the page looks as before the first sample."""
    expect(page.locator("#events-text")).to_have_text("No input yet.")
    expect(page.locator("#frames canvas")).to_have_count(0)
    expect(page.locator("#position")).to_have_text("0 of 0 rounds")
    expect(page.locator("#play-text")).to_have_text("Play")
    expect(page.locator("#verdict")).to_have_text("Which network decides first?")
    for name in "AB":
        assert count_drawn_pixels(lane(page, name).locator(".plot")) == 0
        expect(lane(page, name).locator(".plot")).to_have_attribute("aria-label", "No run yet")
        values = lane(page, name).locator(".votes .value").all_inner_texts()
        assert set(values) == {"0"}
        expect(lane(page, name).locator(".outcome")).not_to_have_class(OVER)
    cells = page.locator("#comparison-body td").all_inner_texts()
    assert set(cells) == {""}


def find_low_contrast(page: Page) -> list[list[object]]:
    """Return the texts whose contrast is below 4.5, the minimum of WCAG 2.1, level AA."""
    return page.evaluate(_LOW_CONTRAST)


SHIFTS = """window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });"""
"""A script that sums the layout shifts of a page from its start."""

_LOW_CONTRAST = """() => {
  const rgb = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const background = rgb(getComputedStyle(e).backgroundColor);
      if (background.length === 3 || background[3] > 0) return background;
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
  // Texts in front of vote bars and shaded steps.
  const root = getComputedStyle(document.documentElement);
  const probe = document.createElement("i");
  document.body.append(probe);
  const named = (name) => {
    probe.style.color = root.getPropertyValue(name);
    return light(rgb(getComputedStyle(probe).color));
  };
  for (const [front, back] of [
    ["--ink", "--accent-soft"], ["--muted", "--band"], ["--ink", "--cell"],
    ["--wait-text", "--paper"], ["--accent-ink", "--accent"],
  ]) {
    const [a, b] = [named(front), named(back)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push([front, back]);
  }
  probe.remove();
  return low;
}"""
