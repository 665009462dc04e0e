"""The live page in a real browser: a server in a thread, and Chromium."""

import asyncio
import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
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
"""A 3 as a hand draws it: corners of a stroke, from 0 to 1, y downwards."""


@contextlib.contextmanager
def served(bundle: na.Bundle, **options: object) -> Iterator[str]:
    """The address of a server that has nothing but the page."""
    network = na.Network(bundle)

    @contextlib.asynccontextmanager
    async def open_network(_app):
        async with network:
            yield

    app = Starlette(routes=page_routes(network, **options), lifespan=open_network)
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
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser: Browser, address: str, path: str = "/", **options: object) -> Iterator[Page]:
    """The page, in a fresh context; it may say nothing on the console nor ask another host."""
    said: list[str] = []
    asked: list[str] = []
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    with contextlib.closing(browser.new_context(**options)) as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address + path)
        page.wait_for_selector("main[aria-busy=false]", state="attached")
        yield page
        assert said == [], said
        assert [url for url in asked if not url.startswith(address + "/")] == []


@contextlib.contextmanager
def opened_with_trouble(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    """The page where the server refuses something, which the browser puts on the console."""
    with contextlib.closing(browser.new_context(**options)) as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(address)
        page.wait_for_selector("main[aria-busy=false]", state="attached")
        yield page


def draw(page: Page, *strokes: tuple[tuple[float, float], ...]) -> None:
    """Draw with the mouse."""
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
