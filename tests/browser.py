"""Debian's Chromium, headless, and somebody at the page in it: for the tests that look at the page as a reader does."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARTEFACTS = Path(__file__).parents[1] / "test-artefacts"
needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver here (Debian: apt-get install chromium-driver)",
)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1600,960",
)


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Lend a browser with a profile of its own, which is thrown away."""
    with tempfile.TemporaryDirectory(prefix="radloop-chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


class Reader:
    """Somebody at the page."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.address = driver, address

    def visit(self, path: str = "/", name: str = "dr-lovelace") -> "Reader":
        """Open the page under a name."""
        self.driver.get(self.address)
        self.driver.execute_script("localStorage.setItem('radloop.reader', arguments[0])", name)
        self.driver.get(self.address + path)
        self.until(lambda: self.driver.find_element(By.ID, "live-text").text == "live" and self.rows())
        return self

    def until(self, true: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until something is so."""
        WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(lambda _: true())

    def press(self, key: str) -> None:
        """Press one key."""
        ActionChains(self.driver).send_keys(key).perform()

    def rows(self) -> list[str]:
        """Return the cases of the list, top first."""
        return self.driver.execute_script("return [...document.querySelectorAll('#rows .row')].map(row => row.dataset.case)")  # type: ignore[no-any-return]

    def row(self, case: str) -> str:
        """Return what a row says."""
        return self.driver.find_element(By.CSS_SELECTOR, f'#rows [data-case="{case}"]').text

    def text(self, element: str) -> str:
        """Return what an element of this id says."""
        return self.driver.find_element(By.ID, element).text

    def open(self, case: str) -> None:
        """Click a row and wait for its image."""
        self.driver.find_element(By.CSS_SELECTOR, f'#rows [data-case="{case}"]').click()
        self.drawn(case)

    def drawn(self, case: str) -> None:
        """Wait until a case's image is on the canvas."""
        self.until(lambda: self.driver.execute_script("return document.body.dataset.drawn || ''").startswith(f"{case} "))
        self.settle()

    def settle(self) -> None:
        """Let the page paint what it has queued."""
        self.driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")

    def pixels(self) -> tuple[int, float, float]:
        """Return how many grey values the canvas shows, its mean grey, and how much redder than blue it is."""
        greys, mean, warmth = self.driver.execute_script("""
            const canvas = document.getElementById('canvas');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            const greys = new Set(); let sum = 0, warmth = 0;
            for (let at = 0; at < data.length; at += 4) { greys.add(data[at + 1]); sum += data[at + 1]; warmth += data[at] - data[at + 2]; }
            return [greys.size, sum / (data.length / 4), warmth / (data.length / 4)];
        """)
        return greys, mean, warmth

    def complaints(self) -> list[str]:
        """Return what the browser complains about since it was last asked: a refusal (409) is none, nor are our pixel checks."""
        logged = [entry["message"] for entry in self.driver.get_log("browser")]
        return [said for said in logged if "409" not in said and "willReadFrequently" not in said]

    def screenshot(self, name: str) -> None:
        """Keep what the page looks like once nothing slides any more."""
        self.until(lambda: self.driver.execute_script(
            "return document.getAnimations().every(one => one.playState !== 'running' || one.effect.getComputedTiming().endTime > 9e9)",
        ))
        ARTEFACTS.mkdir(exist_ok=True)
        self.driver.save_screenshot(str(ARTEFACTS / f"{name}.png"))
