"""The page as a file: it asks nothing of a network, runs no text of a run, can be read aloud."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from benchmark.errors import UserError
from benchmark.page.content import make_content
from benchmark.page.file import plotly
from benchmark.page.render import render
from benchmark.report.board import number

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
VOID = {"meta", "link", "img", "input", "br", "hr", "base"}


def no_scans(run):
    raise UserError("no scans in this test.")


class Parsed(HTMLParser):
    """Elements with their attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "inside": list(self.open)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1]["tag"] == tag, f"</{tag}> closes <{self.open[-1]['tag']}>"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]

    def by_id(self, id):
        return next(e for e in self.elements if e["attrs"].get("id") == id)


@pytest.fixture(scope="module")
def text(content):
    return render(content)


@pytest.fixture(scope="module")
def page(text):
    return Parsed(text)


def test_nothing_points_outside_of_the_file(page, text):
    for element in page.elements:
        for name in ("src", "href", "data", "poster", "action", "srcset"):
            target = element["attrs"].get(name)
            assert target is None or target.startswith(("#", "data:")), (element["tag"], target)
        assert element["tag"] not in ("link", "iframe", "object", "embed", "base")
        assert not any(name.startswith("on") for name in element["attrs"])
    style = "".join(e["text"] for e in page.all("style"))
    assert "url(" not in style
    assert "@import" not in style
    own = [e["text"] for e in page.all("script") if "type" not in e["attrs"]]
    assert len(own) == 1
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", own[0])
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|importScripts)\b", own[0])
    assert text.count("http-equiv") == 1


def test_the_policy_lets_exactly_the_two_scripts_run(page):
    policy = next(e for e in page.all("meta") if "http-equiv" in e["attrs"])["attrs"]["content"]
    assert "default-src 'none'" in policy
    own = next(e["text"] for e in page.all("script") if "type" not in e["attrs"])
    packed = page.by_id("plotly")["text"].strip()
    library = gzip.decompress(base64.b64decode(packed)).decode()
    assert library == plotly()
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    assert allowed == {
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in (own, library)
    }


def test_texts_of_a_run_stay_texts(copied):
    def edit(plan, cells):
        plan["title"] = plan["methods"][0]["title"] = HOSTILE
        plan["cohort"]["notes"] = [HOSTILE]
        cells["unet3d", 0]["notes"] = [HOSTILE]
        cells["dmtrl", 1] |= {"state": "failed", "reason": HOSTILE}

    run = copied(edit)
    text = render(make_content([run], no_scans))
    assert HOSTILE not in text
    parsed = Parsed(text)
    assert not [e for e in parsed.all("img") if e["attrs"].get("src") == "x"]
    assert all("alert" not in e["text"] for e in parsed.all("script") if "type" not in e["attrs"])
    assert HOSTILE in parsed.by_id("r1-table")["text"]
    assert sum(HOSTILE in e["text"] for e in parsed.all("li")) >= 3  # note, deviation, failure
    data = json.loads(parsed.by_id("data")["text"])
    assert HOSTILE in json.dumps(data, ensure_ascii=False).replace('\\"', '"')


def test_every_line_of_the_board_stands_with_figure_and_interval(content, page):
    board = content.parts[0].run.board
    table = page.by_id("r1-table")
    rows = [e for e in page.all("tr") if any(i is table for i in e["inside"])][1:]
    lines = [(row, line) for row in board.rows for line in row.lines]
    assert len(rows) == len(lines) >= 4
    for element, (row, line) in zip(rows, lines, strict=True):
        assert row.title in element["text"]
        figure = line.figures["kappa", "whole"]
        if figure.defined:
            assert number(figure.value) in element["text"]
            assert number(figure.high) in element["text"]


def test_best_and_tied_are_said_in_words(content, page):
    board = content.parts[0].run.board
    marks = [m for row in board.rows for line in row.lines for m in line.marks.values()]
    hidden = [e["text"].strip() for e in page.all("span") if e["attrs"].get("class") == "vh"]
    assert hidden.count("best") == marks.count("best") > 0
    assert hidden.count("not told apart from the best") == marks.count("tied")


def test_tables_have_captions_scopes_and_sort_buttons(page):
    tables = page.all("table")
    assert len(tables) >= 5
    for table in tables:
        own = [e for e in page.elements if any(i is table for i in e["inside"])]
        captions = [e for e in own if e["tag"] == "caption"]
        assert len(captions) == 1
        assert captions[0]["text"].strip()
        assert all(e["attrs"].get("scope") in ("row", "col") for e in own if e["tag"] == "th")
    heads = [e for e in page.all("th") if "aria-sort" in e["attrs"]]
    assert heads
    for head in heads:
        buttons = [b for b in page.all("button") if any(i is head for i in b["inside"])]
        assert len(buttons) == 1
        assert buttons[0]["text"].strip()


def test_links_labels_and_names_lead_somewhere(page):
    ids = [e["attrs"]["id"] for e in page.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    targets = [e["attrs"]["href"] for e in page.all("a")]
    assert "#r1-configuration" in targets
    assert "#r1-scans" in targets
    for target in targets:
        assert target[1:] in ids
    for element in page.elements:
        labels = element["attrs"].get("aria-labelledby") or ""
        assert set(labels.split()) <= set(ids)
        if element["tag"] in ("select", "input"):
            wrapped = any(i["tag"] == "label" for i in element["inside"])
            named = [e for e in page.all("label") if e["attrs"].get("for") in ids]
            assert wrapped or element["attrs"].get("id") in [e["attrs"]["for"] for e in named]
        if element["attrs"].get("class") == "plot":
            assert element["attrs"]["aria-label"]
    assert page.all("html")[0]["attrs"]["lang"] == "en"
    levels = [int(e["tag"][1]) for e in page.elements if re.fullmatch(r"h[1-6]", e["tag"])]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_table_of_scans_is_in_the_page(content, page):
    packed = page.by_id("r1-csv")["text"].strip()
    table = gzip.decompress(base64.b64decode(packed)).decode().splitlines()
    cells = [cell for cell in content.parts[0].run.cells if cell.state == "finished"]
    assert len(table) == 1 + sum(len(cell.ids) for cell in cells)
    assert table[0].startswith("method,seed,scan,reference_agatston_LAD")


def test_the_same_run_gives_the_same_file(content, text):
    assert render(content) == text


def test_failures_and_missing_predictions_are_listed(copied):
    run = copied(lambda plan, cells: cells["unet3d", 1].update(state="failed", reason="diverged"))
    page = Parsed(render(make_content([run], no_scans)))
    lines = [e["text"] for e in page.all("li")]
    assert any("diverged" in line and "seed 1" in line for line in lines)
    assert any("missing predictions took the worst value" in line for line in lines)


def test_a_section_that_cannot_be_made_says_why(page):
    sections = {e["attrs"].get("id"): e["text"] for e in page.all("section")}
    assert "Not shown: needs the S-model and the Q-model" in sections["r1-gain"]
    assert "Not shown: no scans in this test." in sections["r1-gallery"]


def test_runs_that_do_not_belong_together_are_not_judged_together(content, small_run):
    other, cohort = small_run({"exact": lambda true, place: true})
    page = Parsed(render(make_content([content.parts[0].run.run, other], lambda run: cohort)))
    sections = {e["attrs"].get("id"): e["text"] for e in page.all("section")}
    assert "cannot be judged together" in sections["claims"]
    assert "cannot be judged together" in sections["ranks"]
    assert {"r1-table", "r2-table"} <= {e["attrs"].get("id") for e in page.all("table")}


def test_one_run_twice_is_refused(content):
    run = content.parts[0].run.run
    with pytest.raises(UserError, match="named twice"):
        make_content([run, run], no_scans)
