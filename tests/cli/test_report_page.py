"""The report of a training run in a browser: it logs nothing, asks for nothing, and prints."""

from __future__ import annotations

import base64
import re

import pytest
from browsers import MARKS, requests

from wengert.cli.main import main

pytestmark = [*MARKS, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Train on a table, and return the address of the report."""
    place = tmp_path_factory.mktemp("report")
    lines = [f"{(7 * i) % 11},{(3 * i) % 5},{'odd' if i % 2 else 'even'}" for i in range(90)]
    (place / "table.csv").write_text("\n".join(["a,b,kind", *lines]) + "\n", encoding="utf-8")
    arguments = ["--data", place / "table.csv", "--target", "kind", "--out", place / "run",
                 "--epochs", "4", "--hidden", "6", "--batch", "30"]  # fmt: skip
    assert main(["train", *map(str, arguments)]) == 0
    return (place / "run/report.html").as_uri()


@pytest.fixture
def opened(browser, page):
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page)
    return browser


def logged(driver):
    return [e for e in driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


def test_nothing_is_logged_and_nothing_asked_for(opened, page):
    opened.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    opened.execute_script("document.querySelector('iframe').scrollIntoView()")
    opened.switch_to.frame(0)  # the graph, to look through
    assert "Objective" in opened.execute_script("return document.body.textContent")
    opened.switch_to.default_content()
    assert logged(opened) == []
    outside = [url for url in requests(opened) if not url.startswith(("data:", "about:", page))]
    assert outside == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible(opened, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    colours = opened.execute_script(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    ink, paper = (sum(map(float, re.findall(r"[\d.]+", c)[:3])) for c in colours)
    assert abs(ink - paper) > 500
    assert (ink > paper) == (scheme == "dark")
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_drawings_fit_their_page(opened):
    widths = opened.execute_script(
        "const m = document.querySelector('main').getBoundingClientRect();"
        "return [...document.querySelectorAll('figure > svg')].map("
        "s => [s.getBoundingClientRect().right, m.right, s.getBoundingClientRect().height])"
    )
    assert len(widths) >= 6
    for right, limit, height in widths:
        assert right <= limit
        assert height > 40


def test_labels_of_charts_do_not_overlap(opened):
    """Boxes of texts in a chart are apart, those of the legend and of the ticks as well."""
    found = opened.execute_script(
        """
        const bad = [];
        for (const svg of document.querySelectorAll('svg.wg-chart')) {
          const texts = [...svg.querySelectorAll('text')].map(
            t => [t.getBoundingClientRect(), t.textContent]);
          for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) {
            const [a, p] = texts[i], [b, q] = texts[j];
            if (a.width && b.width && a.left < b.right - 1 && b.left < a.right - 1
                && a.top < b.bottom - 2 && b.top < a.bottom - 2) bad.push([p, q]);
          }
        }
        return bad
        """
    )
    assert found == []


def test_the_keyboard_reaches_all(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    named = "e => e.tagName + ' ' + e.textContent.slice(0, 30)"
    reached = []
    for _ in range(40):
        ActionChains(opened).send_keys(Keys.TAB).perform()
        what = opened.execute_script(f"return ({named})(document.activeElement)")
        if what.startswith("BODY"):
            break
        reached.append(what)
    assert reached[0] == "A Skip to the content"
    links = "[...document.querySelectorAll('summary, nav a')]"
    wanted = opened.execute_script(f"return {links}.map({named})")
    assert set(wanted) <= set(reached)


def test_it_prints_on_a4(opened):
    done = opened.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = base64.b64decode(done["data"])
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert boxes
    for width, height in boxes:
        assert float(width) == pytest.approx(595, abs=2)
        assert float(height) == pytest.approx(842, abs=2)
