"""A real browser: the example page (a filtered chat, a plan that fills in, an answer that is blocked), and `EventSource` that resumes."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from web_serving import WAIT, serving

import streamfilter as sf
from streamfilter.resumable import MemoryStore, ResumableStream
from streamfilter.web import resumable_response

BROWSER, DRIVER = which("chromium"), which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="chromium and its driver are not there")

EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "app.py"
FLAGS = [
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "disable-dev-shm-usage",
    "hide-scrollbars",
]
LOOKS = {
    "wide": (1280, 860, "light"),
    "narrow": (400, 860, "dark"),
    "wide-dark": (1280, 860, "dark"),
    "narrow-light": (400, 860, "light"),
}
SHOTS = os.environ.get("STREAMFILTER_SCREENSHOTS")
"""A directory for pictures of the page, for people to look at."""


def example() -> Any:
    """The application of the documentation."""
    spec = importlib.util.spec_from_file_location("example_app", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["example_app"] = module  # pydantic looks for its names there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for flag in [*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


class Page:
    """The page, and what is on it."""

    def __init__(self, driver: Any, name: str) -> None:
        self.driver = driver
        self.name = name
        self._wait = WebDriverWait(driver, WAIT, poll_frequency=0.02)

    def click(self, css: str) -> None:
        button = self.driver.find_element(By.CSS_SELECTOR, css)
        self._wait.until(lambda _: button.is_enabled())
        button.click()

    def text(self, css: str) -> str:
        # In one step: what is drawn anew between two of them would be gone.
        return str(
            self.driver.execute_script(
                "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText).join('\\n')", css
            )
        )

    def until(self, css: str, text: str) -> None:
        self._wait.until(lambda _: text in self.text(css), f"{css} never showed {text!r}")

    def shot(self, what: str) -> None:
        if SHOTS:
            self.driver.save_screenshot(f"{SHOTS}/{self.name}-{what}.png")


@pytest.mark.parametrize("look", LOOKS)
def test_the_example_page(browser: Any, look: str) -> None:
    """Text and values come bit by bit, what was taken out never shows, a blocked answer says so; nothing is fetched from elsewhere."""
    app = example()
    width, height, scheme = LOOKS[look]
    with serving(app.create_app(pace=0.004)) as (host, port):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        scheme_is = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme_is)
        browser.get(f"http://{host}:{port}/")
        page = Page(browser, look)
        page.shot("start")

        page.click('[data-ask^="Who"]')
        page.until(".said.theirs", "boat house")
        assert "row." not in page.text(".said.theirs")  # it is still arriving
        page.shot("chat-live")
        page.until("#chat-state", "done")
        said = page.text(".said.theirs")
        assert said == app.CONTACT.replace("lena.marsh@riverhouse.example", "email").replace("4111 1111 1111 1111", "credit card")
        assert "lena.marsh@" not in browser.page_source and "4111" not in browser.page_source

        page.click('[data-ask^="Show"]')
        page.until("#chat-state", "stopped")
        assert page.text(".notice") == "Stopped\nThe answer was stopped by a content rule."
        assert app.CANARY not in browser.page_source and page.text(".said.theirs").rstrip().endswith("My instructions begin:")

        page.click("#make")
        page.until("#plan h3", "A slow")
        page.until("#plan li", "09:00")
        assert browser.find_elements(By.CSS_SELECTOR, "#plan .bone") and "Terrace" not in page.text("#plan")
        page.shot("plan-live")
        page.until("#plan-state", "done")
        assert page.text("#plan li time").split() == [stop["time"] for stop in app.PLAN["stops"]]
        assert not browser.find_elements(By.CSS_SELECTOR, "#plan .bone")
        page.shot("end")

        widths = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert widths[0] <= widths[1], "the page is wider than the window"
        fetched = browser.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
        assert all(name.startswith((f"http://{host}:{port}/", "data:")) for name in fetched)
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


class Lost:
    """An application whose answers lose their connection behind a word of them, when they are told to."""

    def __init__(self, app: Any, word: bytes) -> None:
        self.app = app
        self.word = word
        self.cut = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def until_a_word(message: Any) -> None:
            await send(message)
            if self.word in message.get("body", b""):
                await asyncio.to_thread(self.cut.wait, WAIT)
                raise OSError("cut off")

        await self.app(scope, receive, until_a_word if scope.get("method") == "POST" else send)


def test_the_example_page_says_when_a_connection_is_lost(browser: Any) -> None:
    """In both parts: what came stays, nothing is said to go on, and one can try again."""
    app = Lost(example().create_app(pace=0.001), b"boat")
    with serving(app) as (host, port):
        browser.get(f"http://{host}:{port}/")
        page = Page(browser, "lost")
        for button, state, part in (('[data-ask^="Who"]', "#chat-state", "#talk"), ("#make", "#plan-state", "#plan")):
            app.cut.clear()
            page.click(button)
            page.until(part, "boat")
            app.cut.set()
            page.until(state, "broken off")
            assert page.text(state) == "broken off"
            assert page.text(f"{part} .notice") == "Broken off\nThe connection was lost."
            assert not browser.find_elements(By.CSS_SELECTOR, f"{part} .live, {part} .bone")
            assert all(each.is_enabled() for each in browser.find_elements(By.TAG_NAME, "button"))
        assert "boat" in page.text(".said.theirs")
        assert "Kayaks" in page.text("#plan li")
        page.shot("end")
        browser.get_log("browser")  # a lost connection is an error there


def test_the_parts_of_the_example_page_do_not_wait_for_each_other(browser: Any) -> None:
    """A plan can be made while a chat goes on."""
    with serving(example().create_app(pace=0.04)) as (host, port):
        browser.get(f"http://{host}:{port}/")
        page = Page(browser, "both")
        page.click('[data-ask^="Who"]')
        page.until(".said.theirs", "boat house")
        assert not browser.find_element(By.CSS_SELECTOR, "#ask button").is_enabled()
        assert browser.find_element(By.ID, "make").is_enabled()
        page.click("#make")
        page.until("#plan-state", "filling in")
        assert page.text("#chat-state") == "writing…"
        page.until("#chat-state", "done")
        assert browser.find_element(By.CSS_SELECTOR, "#ask button").is_enabled()
        page.until("#plan-state", "done")


# ---------------------------------------------------------------------- a reader of the browser's own, which comes back by itself

LISTENING = """<!doctype html><link rel="icon" href="data:,"><script>
const got = {text: [], ids: [], opened: 0, ended: "", isClosed: false};
const source = new EventSource("/answer");
source.onopen = () => { got.opened++; };
source.onmessage = (event) => { got.text.push(event.data); got.ids.push(event.lastEventId); };
for (const name of ["done", "error"])
  source.addEventListener(name, (event) => {
    if (event.data) got.ended = name + " " + event.data;
    got.isClosed = source.readyState === EventSource.CLOSED;
  });
</script>"""

NUMBERS = [f"{n}, " for n in range(40)]


class Cut:
    """An application whose connections break off after so many frames; the next one gets some more."""

    def __init__(self, app: Any, frames: int) -> None:
        self.app = app
        self.frames = frames
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/answer":
            await self.app(scope, receive, send)
            return
        self.asked.append(dict(scope["headers"]).get(b"last-event-id", b"").decode())
        left = self.frames

        async def some(message: Any) -> None:
            nonlocal left
            left -= message["type"] == "http.response.body"
            if left < 0:
                raise OSError("cut off")
            await send({**message, "body": b"retry: 20\n" + message["body"]} if message.get("body") else message)

        await self.app(scope, receive, some)


@pytest.mark.parametrize("error", [None, ValueError("of the model")], ids=["whole", "failing"])
def test_an_event_source_that_is_cut_off_comes_back_and_misses_nothing(browser: Any, error: Exception | None) -> None:
    """It sends `Last-Event-ID` by itself: each event is there once, the model is asked once, and behind the end it is told to stop."""
    begun = []

    async def model() -> AsyncIterator[str]:
        begun.append(1)
        for text in NUMBERS:
            await asyncio.sleep(0.005)
            yield text
        if error is not None:
            raise error

    store = MemoryStore()

    async def answer(request: Request) -> Response:
        stream = ResumableStream(store, "one")
        safe = sf.Redact(sf.Rule("seven", r"\b7\b"))
        return resumable_response(stream, lambda: safe(model()), "text", last_event_id=request.headers.get("last-event-id"))

    async def page(_: Request) -> Response:
        return HTMLResponse(LISTENING)

    app = Cut(Starlette(routes=[Route("/", page), Route("/answer", answer)]), frames=9)
    with serving(app) as (host, port):
        browser.get(f"http://{host}:{port}/")
        WebDriverWait(browser, WAIT, poll_frequency=0.02).until(lambda _: browser.execute_script("return got.isClosed"))
        got = browser.execute_script("return got")
        browser.get("about:blank")
    assert "".join(got["text"]) == "".join(NUMBERS).replace(" 7,", " [seven],")
    assert len(set(got["ids"])) == len(got["ids"])
    assert got["ended"].startswith("done" if error is None else 'error {"type":"error","code":"failed"')
    assert got["opened"] > 3
    assert begun == [1]
    assert app.asked[0] == ""
    assert set(app.asked[1:-1]) < set(got["ids"])
