"""``benchmark report`` on the command line."""

import subprocess
import sys

import pytest

from benchmark.cli import main


def test_the_page_goes_into_the_runs_folder(copied, capsys):
    run = copied()
    assert main(["report", str(run.folder)]) == 0
    assert str(run.folder / "report.html") in capsys.readouterr().out
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "MMWFAnet" in text


@pytest.mark.parametrize(
    ("form", "begins"), [("latex", b"% needs"), ("png", b"\x89PNG"), ("html", b"<!doctype html>")]
)
def test_every_form_goes_where_it_is_wanted(copied, tmp_path, form, begins):
    run, out = copied(), tmp_path / "new" / "file"
    assert main(["report", str(run.folder), "--format", form, "--out", str(out)]) == 0
    assert out.read_bytes().startswith(begins)


def test_a_run_is_found_by_its_suite(copied, tmp_path):
    run = copied()
    arguments = ["report", "tiny", "--runs", str(run.folder.parents[1])]
    assert main([*arguments, "--out", str(tmp_path / "a.html")]) == 0


def test_what_is_not_there_is_said_in_one_line(tmp_path, capsys):
    assert main(["report", "nothing", "--runs", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no runs in")
    assert error.count("\n") == 1


def test_one_picture_shows_one_run(copied, capsys):
    run = copied()
    assert main(["report", str(run.folder), str(run.folder), "--format", "png"]) == 2
    assert "name one run" in capsys.readouterr().err


def test_scans_of_another_cohort_are_asked_for(copied, capsys):
    run = copied()
    assert main(["report", str(run.folder)]) == 0
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "the scans of cohort fake were not given (--data PATH)" in text
    assert main(["report", str(run.folder), "--no-scans"]) == 0
    assert "left out with --no-scans" in (run.folder / "report.html").read_text(encoding="utf-8")


WITHOUT_TORCH = """
import sys
from benchmark.cli import main
assert main(["show", sys.argv[1]]) == 0 and main(["report", sys.argv[1]]) == 0
assert "torch" not in sys.modules, "torch was imported"
"""


def test_a_finished_run_is_shown_and_reported_without_torch(copied):
    folder = str(copied().folder)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, folder], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
