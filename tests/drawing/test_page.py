"""The page of a drawing, in a browser: what it shows, and that hands and keyboard can use it.

Chromium and its driver are needed (`apt-get install chromium chromium-driver`), and selenium.
"""

from __future__ import annotations

import base64
import json
import re
import time

import numpy as np
import optree
import pytest
from browsers import MARKS
from examples import ALL, ARGUMENTS, drawn, stepped, straight

import wengert as wg
from wengert.drawing.model import Section
from wengert.drawing.scene import scene

pytestmark = MARKS


class Page:
    """A page that is open, and what a person does there."""

    def __init__(self, browser, drawing, folder, **options):
        self.browser, self.drawing = browser, drawing
        self.path = drawing.save(folder / "graph.html", **options)
        self.numbers = {n.id: k for k, n in enumerate(drawing.nodes)}
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(self.path.as_uri())

    def js(self, text, *args):
        return self.browser.execute_script(f"return {text}", *args)

    def text(self, selector):
        return self.js("document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def keys(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def find(self, text):
        from selenium.webdriver.common.keys import Keys

        self.js("document.getElementById('graph').focus()")
        self.keys("/")
        self.keys(text, Keys.ENTER)

    def click(self, selector):
        """Click on what is there, which something else must not cover."""
        from selenium.webdriver.common.by import By

        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def click_node(self, label):
        (n,) = [n for n in self.drawing.nodes if n.label == label]
        self.click(f'rect[data-n="{self.numbers[n.id]}"]')
        return n

    def shown(self):
        return set(self.js("Object.keys(wengert.at())"))

    def check_quiet(self):
        """No error, and nothing asked from the network."""
        logs = [e for e in self.browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
        assert not logs
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                assert message["params"]["request"]["url"].startswith(("file:", "data:"))


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    def open_(name, **options):
        return Page(browser, drawn(name), tmp_path_factory.mktemp(name), **options)

    return open_


@pytest.mark.parametrize("name", ALL)
def test_the_page_shows_what_the_picture_shows(opened, name):
    """Every node is where the SVG has it, and the page is small and quiet."""
    page = opened(name)
    boxes = scene(page.drawing).placing.boxes
    at = page.js("wengert.at()")
    want = {str(page.numbers[k]): b for k, b in boxes.items() if k in page.numbers}
    assert set(at) == set(want)
    for k, box in want.items():
        assert at[k] == pytest.approx(list(box), abs=0.3)
    assert page.path.stat().st_size < 1_000_000
    page.check_quiet()


def test_a_node_says_its_formula_derivative_cost_and_source(opened):
    page = opened("weight_decay")
    page.click_node("tanh")
    assert page.text("#formula") == "tanh(z)"
    assert page.text("#derivative") == "∂y/∂x = 1 − y²"
    assert page.text("#cost").startswith("4 operations")
    assert "h = np.tanh(z)" in page.text("#source")
    assert "examples.py" in page.text("#source")
    page.click_node("∂J/∂W1")
    assert page.text("#formula") == "∂J/∂W1 = 0.1 W1 + ∂J/∂z xᵀ"
    assert re.search(r"min .*mean .*max ", page.text('[data-shot="backward"]'))
    page.check_quiet()


def test_search_finds_and_opens(opened):
    page = opened("mlp")
    hidden = [n for n in page.drawing.nodes if n.label == "h₅"]
    assert str(page.numbers[hidden[0].id]) not in page.shown()
    page.find("h₅")
    assert str(page.numbers[hidden[0].id]) in page.shown()
    assert page.text("#panel-node h2") == "h₅"
    page.find("no such thing")
    assert page.text("#found") == "nothing found"
    page.check_quiet()


def test_steps_show_the_numbers_of_both_passes(opened):
    f, args, nums = ARGUMENTS["two_nodes"]
    page = opened("two_nodes")
    value, grads = wg.value_and_grad(f, nums)(*args)
    d = page.drawing
    steps = sorted(n.step for n in d.nodes if n.kind == "operator")
    seen = {}
    page.js("document.getElementById('graph').focus()")
    for _ in steps:
        page.keys("n")
        said = page.text("#said")
        found = re.match(r"\d+/\d+ (forward|backward): (.*?) = (.*)$", said)
        seen[found[2]] = found[1], found[3]
    assert seen["L"] == ("forward", f"{float(value):.6g}")
    w, b = (np.asarray(g) for g in optree.tree_leaves(grads))
    for name, g in (("∂L/∂w", w), ("∂L/∂b", b)):
        stage, text = seen[name]
        low, high = text.split(" … ")
        assert stage == "backward"
        assert float(low) == pytest.approx(g.min(), rel=1e-5)
        assert float(high) == pytest.approx(g.max(), rel=1e-5)
    page.keys("p")
    assert page.text("#said").startswith(f"{len(steps) - 1}/{len(steps)}")
    page.check_quiet()


def test_trips_of_a_loop_are_stepped_through(opened):
    from selenium.webdriver.common.keys import Keys

    page = opened("scan")
    d = page.drawing
    (body,) = [g for g in d.groups if g.kind == "body" and g.trips[0] == 1]
    (n,) = [n for n in d.nodes if n.group == body.id and n.op == "tanh"]
    page.click(f'rect[data-n="{page.numbers[n.id]}"]')
    shown = []
    for k, trip in enumerate(body.trips):
        assert page.text(".trip").startswith(f"trip {trip} of 30")
        shown.append(float(page.text('[data-shot="forward"]').removeprefix("value ")))
        page.js("document.getElementById('graph').focus()") if k % 2 else page.js(
            "document.getElementById('trip').blur()"
        )
        page.keys("]")
    assert shown == pytest.approx([s.mean for s in n.trips], rel=1e-5)
    page.js("document.getElementById('trip').focus()")
    page.keys(Keys.HOME)
    assert page.text(".trip").startswith("trip 1 of 30")
    said = []
    for step in range(1, 5):
        page.js("wengert.go(arguments[0])", step)
        said.append(page.text("#said"))
    assert re.match(r"1/\d+ forward, trip 1 of 30: × = 0.25$", said[0])
    assert re.match(r"4/\d+ forward, trip 2 of 30: × = ", said[3])
    page.check_quiet()


def test_values_and_cotangents_have_heat_maps(opened):
    page = opened("attention")
    n = page.click_node("Q")
    rows = page.js("[...document.querySelectorAll('.shot')].map(e => e.dataset.shot)")
    assert rows == ["forward", "backward"]
    wide = page.js("document.querySelector('.shot canvas').width")
    high = page.js("document.querySelector('.shot canvas').height")
    assert (high, wide) == n.shape
    text = page.text('[data-shot="backward"]')
    assert f"min {n.cotangent.low:.6g}" in text


def test_groups_open_and_close(opened):
    page = opened("mlp")
    before = page.shown()
    page.click("#close")
    closed = page.shown()
    assert len(closed) < len(before)
    (loop,) = [k for k, g in enumerate(page.drawing.groups, 1) if g.kind == "loop"]
    page.click(f'rect[data-g="{loop}"]')
    assert page.js("Object.keys(wengert.groups()).length") > 1
    page.click("#open")
    assert len(page.shown()) == len(page.drawing.nodes)
    page.check_quiet()


def test_the_keyboard_alone(opened):
    """From nothing chosen to a value, along an edge, into a group, through the steps."""
    from selenium.webdriver.common.keys import Keys

    page = opened("mlp")
    for _ in range(15):
        page.keys(Keys.TAB)
        if page.js("document.activeElement.id") == "graph":
            break
    else:
        pytest.fail("the tabulator does not reach the graph")
    page.find("params[0][0]")
    assert page.text("#panel-node h2") == "params[0][0]"
    page.keys(Keys.ARROW_RIGHT)
    assert page.text("#panel-node h2") == "@"
    page.keys(Keys.ARROW_RIGHT)
    first = page.text("#panel-node h2")
    page.keys(Keys.ARROW_LEFT)
    assert page.text("#panel-node h2") == "@"
    assert first != "@"
    many = len(page.shown())
    page.keys("g")
    assert "trip 1" in page.text("#panel-node h2")
    page.keys(Keys.ENTER)
    assert len(page.shown()) < many
    page.keys(Keys.ENTER)
    assert len(page.shown()) == many
    k = page.js("wengert.view().k")
    page.keys("+")
    assert page.js("wengert.view().k") > k
    page.keys("0")
    page.keys("t")
    assert page.js("document.documentElement.dataset.theme") in ("light", "dark")
    page.keys("?")
    assert page.js("document.activeElement.id") == "tab-help"
    page.keys(Keys.ARROW_LEFT)
    assert page.js("document.activeElement.id") == "tab-equations"
    named = page.js(
        "[...document.querySelectorAll('button,select,input,[tabindex]')]"
        ".filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length"
        " || e.getAttribute('aria-labelledby'))).length"
    )
    assert named == 0
    page.check_quiet()


def test_equations_lead_to_their_nodes(opened):
    page = opened("with_bias")
    page.click("#tab-equations")
    lines = page.js("[...document.querySelectorAll('.equation')].map(e => e.textContent)")
    assert "∂J/∂z = ∂J/∂h ⊙ tanh′(z)" in lines
    assert r"\frac{\partial J}{\partial W_{1}}" in page.text("#panel-equations pre")


def test_more_sections_are_tabs(opened):
    more = Section("Cost", "<table><tr><td>9</td></tr></table>")
    page = opened("sin_of_product", sections=[more], title="a <title>")
    assert page.js("document.title") == "a <title>"
    tabs = page.js("[...document.querySelectorAll('[role=tab]')].map(e => e.textContent)")
    assert tabs == ["Node", "Equations", "Cost", "Help"]
    page.check_quiet()


def test_pan_and_zoom_with_the_mouse(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.common.by import By

    page = opened("weight_decay")
    graph = page.browser.find_element(By.ID, "graph")
    before = page.js("wengert.view()")
    origin = ScrollOrigin.from_element(graph)
    ActionChains(page.browser).scroll_from_origin(origin, 0, -200).perform()
    zoomed = page.js("wengert.view()")
    assert zoomed["k"] > before["k"]
    mouse = ActionChains(page.browser).move_to_element_with_offset(graph, -300, 250)
    mouse.click_and_hold().move_by_offset(80, -30).release().perform()
    moved = page.js("wengert.view()")
    assert moved["x"] == pytest.approx(zoomed["x"] + 80, abs=2)
    assert moved["k"] == zoomed["k"]
    page.check_quiet()


def printed(page):
    """Print a page; return the sizes of its sheets, in points."""
    options = {"preferCSSPageSize": True, "printBackground": True}
    data = base64.b64decode(page.browser.execute_cdp_cmd("Page.printToPDF", options)["data"])
    sheets = len(re.findall(rb"/Type ?/Page\b", data))
    (box,) = set(re.findall(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", data))
    return sheets, [float(x) / 72 * 25.4 for x in box]


@pytest.mark.parametrize(
    ("name", "sheets", "size"),
    [("weight_decay", 1, (297, 210)), ("mlp", 2, (297, 210)), ("lstm", 2, (210, 297))],
)
def test_it_is_printed_on_a4_with_names_of_six_points(opened, name, sheets, size):
    page = opened(name)
    found, dimensions = printed(page)
    assert found == sheets
    assert dimensions == pytest.approx(size, abs=0.5)
    assert 12 * 72 / 96 * page.js("wengert.sheets().scale") >= 6
    assert page.js("document.getElementById('papers')") is None
    page.check_quiet()


def test_what_is_printed_is_all_that_is_open(opened):
    page = opened("attention")
    page.js("dispatchEvent(new Event('beforeprint'))")
    counted = page.js(
        "[...document.querySelectorAll('#papers section > svg')].map(s => {"
        " const [x, y, w, h] = s.getAttribute('viewBox').split(' ').map(Number);"
        " return Object.values(wengert.at()).filter(([a, b]) => x <= a && a <= x + w"
        " && y <= b && b <= y + h).length; })"
    )
    assert sum(counted) >= len(page.shown())
    numbers = page.js(
        "[...document.querySelectorAll('#papers text[font-size=\"8.5\"]')].map(e => e.textContent)"
    )
    assert numbers
    assert all(numbers.count(n) == 2 for n in numbers)
    page.js("dispatchEvent(new Event('afterprint'))")
    page.check_quiet()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["loops", "straight"])
def test_ten_thousand_nodes(browser, tmp_path, kind):
    """First paint, search and a step, in 5 MB: under 3 seconds each on two quiet cores."""
    patience = 20.0  # seconds: the machine may be busy
    if kind == "loops":
        drawing = wg.draw(stepped, 0.3, n=1_150)
    else:
        drawing = wg.draw(straight(17_000), np.ones(3), argnums=())
    assert len(drawing.nodes) >= 10_000
    start = time.perf_counter()
    page = Page(browser, drawing, tmp_path)
    page.js("document.querySelector('#graph rect').tagName")
    assert page.path.stat().st_size < 5_000_000
    paint = page.js("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 1e3 * patience
    start = time.perf_counter()
    last = max((n for n in drawing.nodes if n.kind == "operator"), key=lambda n: n.step)
    page.find(last.source.split("=")[0].strip() or last.label)
    page.js("wengert.choose(arguments[0])", page.numbers[last.id])
    assert str(page.numbers[last.id]) in page.shown()
    assert time.perf_counter() - start < patience
    page.check_quiet()
