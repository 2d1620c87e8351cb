"""Two runs compared, as a page."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmark.cli import cli
from benchmark.errors import UserError
from benchmark.page.compare_page import render_comparison
from benchmark.page.content import make_content
from benchmark.page.render import render
from benchmark.report.compare import compare
from benchmark.runs.finished import find_run

# a conftest cannot be imported by name
_spec = importlib.util.spec_from_file_location(
    "written_runs", Path(__file__).parents[1] / "report" / "conftest.py"
)
_written = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_written)
write_run = _written.write_run


@pytest.fixture
def pair(write_run):
    a = write_run({"mmwfanet": 0.95, "unet3d": 0.8, "fcn3d": 0.8})
    b = write_run({"mmwfanet": 0.6, "unet3d": 0.8}, suite="b", settings={"width": 16})
    return a, b


def data_of(text):
    start = text.index('id="data">') + len('id="data">')
    return json.loads(text[start : text.index("</script>", start)])


def test_configuration_comes_first_then_verdicts_then_every_number(pair):
    found = compare(*pair)
    text = render_comparison(found)
    order = [text.index(f'<section id="{name}"') for name in
             ("configuration", "methods", "differences", "numbers")]  # fmt: skip
    assert order == sorted(order)
    start, stop = order[0], order[1]
    assert "setting width" in text[start:stop]
    assert "In A alone: fcn3d" in text[start:stop]
    assert "lower in B" in text[order[1] : order[2]]
    for line in found.lines:
        for gap in line.differences.values():
            assert f"{gap.value:+.3f}" in text
            assert f"{gap.patients_low:+.3f} to {gap.patients_high:+.3f}" in text


def test_the_forest_plot_draws_the_paired_differences(pair):
    found = compare(*pair)
    panels = data_of(render_comparison(found))["compare"]["forest"]
    assert panels[0]["name"] == "F1 whole"
    rows = {row["label"]: row for row in panels[0]["rows"]}
    line = next(x for x in found.lines if (x.method, x.source) == ("mmwfanet", "mask"))
    gap = line.differences["F1", "whole"]
    row = rows[f"{line.title} (mask)"]
    assert row["value"] == pytest.approx(gap.value, rel=1e-4)
    assert row["patients"] == pytest.approx([gap.patients_low, gap.patients_high], rel=1e-4)
    assert row["both"] == pytest.approx([gap.low, gap.high], rel=1e-4)
    assert row["verdict"] == "lower in B"


def test_runs_that_cannot_be_paired_say_why_and_have_no_plot(write_run):
    a = write_run({"unet3d": 0.8})
    b = write_run({"unet3d": 0.7}, suite="b", n=50)
    text = render_comparison(compare(a, b))
    assert "Not paired: the test scans differ: 60 in A, 50 in B" in text
    assert '<section id="differences"' not in text
    assert 'data-plot="forest"' not in text
    assert "A [95 %, patients]" in text


def test_a_run_beside_itself(write_run):
    run = write_run({"unet3d": 0.8})
    text = render_comparison(compare(run, run))
    assert "no difference in configuration" in text
    assert "the same predictions" in text


def test_the_command_writes_the_page_beside_what_it_prints(pair, tmp_path):
    a, b = (str(run.folder) for run in pair)
    page = tmp_path / "new" / "compared.html"
    found = CliRunner().invoke(cli, ["compare", a, b, "--format", "json", "--html", str(page)])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["lines"]
    assert f"written: {page}" in found.stderr
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "default-src &#39;none&#39;" in text
    assert "connect-src" not in text


def test_a_page_of_two_patients_has_figures_without_intervals(write_run):
    def no_scans(run):
        raise UserError("none here")

    runs = []
    for name, skill in (("a", 0.2), ("b", 0.9)):
        run = write_run({"unet3d": skill, "mmwfanet": 0.9}, name=name)
        ids = run.plan["split"]["test"]
        plan = {**run.plan, "patients": {"known": True, "together": [ids[:30], ids[30:]]}}
        (run.folder / "plan.json").write_text(json.dumps(plan))
        runs.append(find_run(str(run.folder), run.folder.parents[1]))
    text = render(make_content(runs[:1], no_scans))
    assert "60 test scans of 2 patients" in text
    assert "with fewer than 3 patients there are no intervals" in text
    assert "Nothing to compare: fewer than two methods have a figure with an interval" in text
    assert "fewer than 3 patients: no ranks" in text
    assert " interval </span>." not in text
    assert "NaN" not in text.split("<script")[-2]
    both = render_comparison(compare(*runs))
    assert "undecided" in both
    assert not re.search(r"\d \[\]", both), "no brackets without an interval"
    assert "fewer than 3 patients: no interval" in both
    several = find_run(str(runs[0].folder), runs[0].folder.parents[1])
    several.plan["patients"]["together"] = []
    assert " interval </span>." in render(make_content([several], no_scans))
