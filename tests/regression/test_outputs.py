"""JUnit XML, annotations and the summary: whole, whatever the words in them."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from benchmark.regression.checking import Checked
from benchmark.regression.judging import FELL, GAINED, OK, OPEN, Finding
from benchmark.regression.lines import print_checked, verdict_line
from benchmark.regression.outputs import ANNOTATIONS, as_annotations, as_junit, as_markdown
from benchmark.regression.table import TRAINED, Name

NASTY = 'x, 50 %: a|b <script>\nsecond\r \x00\x1b[31m \ud800 ]]> & "q"'


@pytest.fixture
def checked(made_up):
    def make(*findings):
        path = Path("results/baselines/smoke.json")
        return Checked("smoke", path, made_up, (0, 1), findings, {})

    return make


def finding(verdict, message="", target="whole", method="net"):
    name = Name(method, "mask", "F1", target)
    return Finding(name, verdict, 0.7, 0.5, 0.6, message, TRAINED)


def test_junit_has_a_case_for_each_finding(checked):
    found = checked(finding(OK), finding(FELL, NASTY, "LAD"), finding(OPEN, "why", "LCX"))
    root = ElementTree.fromstring(as_junit(found))
    suite = root.find("testsuite")
    assert suite.attrib | {"name": ""} == {
        "name": "",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    cases = suite.findall("testcase")
    assert cases[0].attrib == {"classname": "smoke.net.mask", "name": "F1 whole"}
    assert len(cases[0]) == 0
    assert cases[1].find("failure").get("type") == FELL
    assert "second" in cases[1].find("failure").text
    assert cases[2].find("skipped").get("message") == "why"


def test_annotations_are_single_lines_with_githubs_escapes(checked):
    (line,) = as_annotations(checked(finding(FELL, NASTY)))
    head, _, message = line[2:].partition("::")
    assert head == "error title=benchmark check smoke%2C fell"
    assert message.startswith("x, 50 %25: a|b <script>%0Asecond%0D")
    assert "\n" not in line
    assert "\r" not in line


def test_github_shows_ten_errors_so_the_rest_is_counted(checked):
    many = [finding(FELL, f"fault {i}", method=f"n{i}") for i in range(15)]
    lines = as_annotations(checked(*many))
    assert len(lines) == ANNOTATIONS
    assert "and 6 more" in lines[-1]


def test_gains_are_one_notice_and_no_error(checked):
    lines = as_annotations(checked(finding(GAINED, "up"), finding(GAINED, "up too", "LAD")))
    assert len(lines) == 1
    assert lines[0].startswith("::notice ")


def test_the_summary_has_verdict_faults_table_and_reason(checked):
    summary = as_markdown(checked(finding(FELL, NASTY), finding(OK, "", "LAD")))
    assert "**failed: 1 fell" in summary
    assert "- x, 50 %: a\\|b &lt;script> second" in summary
    assert "| net | mask | 0.500 (≥0.600) |" in summary
    assert "first" in summary
    tables = [line for line in summary.splitlines() if line.startswith("| ")]
    assert len(tables) == 3 + 4


def test_the_terminal_names_every_fault(checked):
    console = Console(width=160, record=True, force_terminal=False, file=open("/dev/null", "w"))
    print_checked(checked(finding(FELL, "net fell [bold]far[/]"), finding(GAINED, "up")), console)
    text = console.export_text()
    assert "FAILED     net fell [bold]far[/]" in text
    assert "better     up" in text
    assert "failed: 1 fell" in text


def test_the_verdict_in_one_line(checked):
    assert verdict_line(checked(finding(OK))).startswith("passed: 1 figures with noise, 0 without")
    assert "1 better than the noise explains" in verdict_line(checked(finding(GAINED)))
