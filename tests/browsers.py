"""A browser for the tests that need one: Chromium and its driver, and selenium.

`apt-get install chromium chromium-driver` brings the first two.
"""

from __future__ import annotations

import json
import shutil

import pytest

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="chromium or chromedriver is missing: apt-get install chromium chromium-driver",
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of selenium's sockets
]


def started():
    """Return a browser, whose log tells of its pages and of what they ask for."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900",
                   "--disable-dev-shm-usage", "--no-first-run"):  # fmt: skip
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    try:
        return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    except Exception as error:
        pytest.skip(f"chromium does not start here: {error}")


def requests(driver):
    """Return the addresses that were asked for since the log was read last."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [m for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [m["params"]["request"]["url"] for m in sent]
