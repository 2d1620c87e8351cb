"""The page in a real browser: it sorts, switches and draws, without an error or a request."""

import json
import shutil

import pytest

from benchmark.page.content import make_content
from benchmark.page.render import render

pytest.importorskip("selenium", reason="selenium is not installed: pip install '.[test]'")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no Chromium with its driver: apt-get install chromium chromium-driver",
)

ALL_DRAWN = """
const done = arguments[0];
const look = () => {
  const plots = [...document.querySelectorAll(".plot")];
  if (window.Plotly) for (const plot of plots) draw(plot);
  if (window.Plotly && plots.every((p) => p.querySelector("svg.main-svg"))) done(plots.length);
  else setTimeout(look, 100);
};
look();
"""


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(120)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, small_run, copied, tmp_path):
    """A page of two runs, one with scans, open and all drawn; how many plots it has."""
    hostile = "</script><img src=x onerror=alert(1)>"

    def edit(plan, cells):
        plan["methods"][0]["title"] = hostile
        plan["title"] = "Numbers alone"

    numbers = copied(edit)
    scans, cohort = small_run_below(small_run, tmp_path)

    def cohort_of(run):
        return cohort if run is scans else no_scans()

    path = tmp_path / "page.html"
    path.write_text(render(make_content([numbers, scans], cohort_of)), encoding="utf-8")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.set_window_size(1440, 900)
    browser.get(path.as_uri())
    return browser.execute_async_script(ALL_DRAWN)


def no_scans():
    from benchmark.errors import UserError

    raise UserError("no scans in this test.")


def small_run_below(small_run, tmp_path):
    import numpy as np

    return small_run(
        {
            "exact": lambda true, place: true,
            "first": lambda true, place: true if place == 0 else np.zeros_like(true),
        }
    )


def column(browser, table, place):
    script = (
        "return [...document.querySelectorAll(arguments[0] + ' tbody tr')]"
        ".map((r) => r.cells[arguments[1]]?.innerText ?? '')"
    )
    return browser.execute_script(script, table, place)


def test_the_page_works_without_errors_and_requests(browser, page):
    assert page >= 6
    # sorting: the better end first, then the other, with aria-sort
    heads = browser.execute_script(
        "return [...document.querySelectorAll('#r1-table thead th')].map((h) => h.innerText)"
    )
    place = next(k for k, text in enumerate(heads) if text.startswith("F1 whole"))
    button = f"#r1-table thead th:nth-child({place + 1}) button"
    for direction in ("descending", "ascending"):
        browser.find_element("css selector", button).click()
        head = browser.find_element("css selector", f"#r1-table thead th:nth-child({place + 1})")
        assert head.get_attribute("aria-sort") == direction
        values = browser.execute_script(
            "return [...document.querySelectorAll('#r1-table tbody tr')]"
            ".map((r) => r.cells[arguments[0]]?.dataset.value).filter((v) => v !== undefined)",
            place,
        )
        numbers = [float(value) for value in values]
        assert len(numbers) >= 3
        assert numbers == sorted(numbers, reverse=direction == "descending")
        rows = column(browser, "#r1-table", place)
        assert all(not text.strip() for text in rows[len(numbers) :])  # no value: last

    # columns
    box = "fieldset[data-for=r1-table] input[data-group='4']"
    shown = (
        "return [...document.querySelectorAll('#r1-table [data-group=\"4\"]')]"
        ".map((e) => e.checkVisibility())"
    )
    assert not any(browser.execute_script(shown))
    browser.find_element("css selector", box).click()
    assert all(browser.execute_script(shown))

    # the switch of colours changes page and plots
    def grounds():
        return browser.execute_script(
            "return [getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('.plot text')).fill]"
        )

    seen = {}
    for theme in ("light", "dark"):
        browser.execute_script(
            "const s = document.getElementById('theme'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('change'))",
            theme,
        )
        seen[theme] = grounds()
    assert seen["light"][0] != seen["dark"][0]
    assert seen["light"][1] != seen["dark"][1]

    # the method of agreement changes plot and table together
    browser.execute_script(
        "const s = document.querySelector('#r1-agreement select.swap'); s.value = '1';"
        "s.dispatchEvent(new Event('change'))"
    )
    visible = browser.execute_script(
        "return [...document.querySelectorAll('#r1-agreement .swapped')].map((e) => !e.hidden)"
    )
    assert visible.index(True) == 1
    assert sum(visible) == 1

    # gallery: both pictures, outlines, and words for what is drawn
    state = browser.execute_script(
        "const g = document.querySelector('#r2-gallery .gallery');"
        "return [g.querySelectorAll('svg image').length, g.querySelectorAll('path.shape').length,"
        " g.querySelector('.found').textContent, g.querySelector('output').textContent]"
    )
    assert state[0] == 2
    assert state[1] >= 2
    assert "found" in state[2]
    slider = browser.find_element("css selector", "#r2-gallery input[type=range]")
    before = state[3]
    from selenium.webdriver.common.keys import Keys

    slider.send_keys(Keys.ARROW_RIGHT if slider.get_property("value") == "0" else Keys.ARROW_LEFT)
    after = browser.find_element("css selector", "#r2-gallery output").text
    assert after != before

    # the table of scans is unpacked and saved
    rows = browser.execute_async_script(
        "const done = arguments[0]; unpack('r1-csv').then((t) => done(t.split('\\n').length))"
    )
    assert rows > 10

    # names of a run never became elements, and nothing complained or asked for anything
    assert not browser.execute_script("return document.querySelectorAll('img').length")
    assert not browser.execute_script("return !document.getElementById('trouble').hidden")
    assert [e for e in browser.get_log("browser") if e["level"] != "INFO"] == []
    assert requests_of(browser) == []


def requests_of(browser):
    """Addresses asked for, but for the page itself and what lies in it."""
    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if not url.startswith(("file:", "data:", "blob:", "about:", "chrome:")):
                found.append(url)
    return found


def test_it_fits_a_narrow_screen(browser, page):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 420, "height": 800, "deviceScaleFactor": 1, "mobile": True},
    )
    try:
        wide = browser.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide[0] <= wide[1]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_axe_finds_nothing_that_bars_a_reader(browser, page):
    """Rules of WCAG 2 A and AA, in both colours, with all parts open; axe-core looks."""
    axe = pytest.importorskip("axe_core_python.selenium", reason="pip install '.[test]'").Axe()
    browser.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    for theme in ("light", "dark"):
        browser.execute_script(
            "const s = document.getElementById('theme'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('change'))",
            theme,
        )
        found = axe.run(browser, options={"resultTypes": ["violations"]})
        told = [(v["id"], n["target"]) for v in found["violations"] for n in v["nodes"]]
        assert told == [], theme


def test_the_page_of_a_comparison_draws_and_asks_for_nothing(browser, copied, tmp_path):
    from benchmark.page.compare_page import render_comparison
    from benchmark.report.compare import compare

    run = copied(lambda plan, cells: None)
    path = tmp_path / "compare.html"
    path.write_text(render_comparison(compare(run, run)), encoding="utf-8")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())
    assert browser.execute_async_script(ALL_DRAWN) == 1
    picks = browser.execute_script(
        "const s = document.querySelector('select.pick'); s.selectedIndex = 1;"
        "s.dispatchEvent(new Event('change'));"
        "const axis = document.querySelector('.plot .xtitle');"
        "return [s.options.length, axis.textContent, s.options[1].text]"
    )
    assert picks[0] >= 2
    assert picks[1].startswith(picks[2])
    assert [e for e in browser.get_log("browser") if e["level"] != "INFO"] == []
    assert requests_of(browser) == []
