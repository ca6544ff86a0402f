"""The example page in a real browser: a filtered chat, a plan that fills in, and an answer that is blocked."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
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
from web_serving import WAIT, serving

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
SIZES = {"wide": (1280, 860), "narrow": (400, 860)}
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


@pytest.mark.parametrize("size", SIZES)
def test_the_example_page(browser: Any, size: str) -> None:
    """Text and values come bit by bit, what was taken out never shows, a blocked answer says so; nothing is fetched from elsewhere."""
    app = example()
    with serving(app.create_app(pace=0.004)) as (host, port):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": SIZES[size][0], "height": SIZES[size][1], "deviceScaleFactor": 1, "mobile": size == "narrow"},
        )
        browser.get(f"http://{host}:{port}/")
        page = Page(browser, size)
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

        width = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], "the page is wider than the window"
        fetched = browser.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
        assert all(name.startswith((f"http://{host}:{port}/", "data:")) for name in fetched)
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
