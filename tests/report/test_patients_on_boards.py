"""Boards, ranks, claims and comparisons: several scans a patient, and very few patients."""

import csv
import io
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from benchmark.cli import cli
from benchmark.errors import UserError
from benchmark.page.main_table import as_latex
from benchmark.report.claims import paper_claims
from benchmark.report.claims_text import as_json as claims_json
from benchmark.report.claims_text import claims_page
from benchmark.report.compare import compare
from benchmark.report.files import as_csv, as_json, as_markdown, per_scan
from benchmark.report.joined import join
from benchmark.report.judging import judge
from benchmark.report.leaderboard import make_board
from benchmark.report.ranks import as_json as ranks_json
from benchmark.report.ranks import closing, make_ranks, rank_rows
from benchmark.report.terminal import footer
from benchmark.runs.finished import FinishedRun, find_run, read_cells
from benchmark.runs.joining import join_runs

MAIN = ("F1", "whole")


def of_patients(run, size, known=True):
    """The run with its plan saying that so many scans in turn are of one patient."""
    ids = run.plan["split"]["test"]
    groups = [ids[i : i + size] for i in range(0, len(ids), size)]
    together = [group for group in groups if len(group) > 1]
    plan = {**run.plan, "patients": {"known": known, "together": together}}
    (run.folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return find_run(str(run.folder), run.folder.parents[1])


def board_of(run):
    return make_board(run.plan, read_cells(run))


def figure(board, name, column=MAIN, line=0):
    return next(row for row in board.rows if row.name == name).lines[line].figures[column]


ROWS = {"unet3d": 0.7, "mmwfanet": 0.9, "all-lad": 0.5}


def test_a_board_says_how_many_scans_of_how_many_patients(write_run):
    run = of_patients(write_run(ROWS), 4)
    board = board_of(run)
    assert "60 test scans of 1 and 15 patients" in dict(board.facts)["split"]
    text = "\n".join(footer(board))
    assert "95 % interval over 60 scans of 15 patients below" in text
    assert "over patients and trainings" in text
    assert figure(board, "unet3d").patients == 15
    rows = list(csv.DictReader(io.StringIO(as_csv(board))))
    assert {row["patients"] for row in rows} == {"15"}
    assert {row["n"] for row in rows} == {"60"}
    assert "60 test scans of 15 patients" in as_latex(board)
    scans = list(csv.DictReader(io.StringIO(per_scan(read_cells(run)))))
    assert [row["patient"] for row in scans[:6]] == ["1", "1", "1", "1", "2", "2"]


def test_intervals_of_a_board_are_of_its_patients(write_run):
    run = write_run(ROWS)
    alone = board_of(of_patients(run, 1))
    for size in (1, 4):
        board = board_of(of_patients(run, size))
        for name in ROWS:
            assert figure(board, name).value == figure(alone, name).value
            same = figure(board, name).low == figure(alone, name).low
            assert same == (size == 1)
    unknown = board_of(run)
    assert figure(unknown, "unet3d").low == figure(alone, "unet3d").low
    assert figure(unknown, "unet3d").patients is None
    assert "patients not kept: each scan is taken for one" in dict(unknown.facts)["split"]
    ids = run.plan["split"]["test"]
    cell = next(c for c in read_cells(of_patients(run, 4)) if c.method == "all-lad")
    rng, whose = np.random.default_rng(0), np.asarray(cell.patients)
    drawn = []
    for _ in range(3000):
        at = np.concatenate([np.flatnonzero(whose == p) for p in rng.integers(0, 15, 15)])
        hit, extra, missed = (part[at, 3].sum() for part in (cell.tp, cell.fp, cell.fn))
        drawn.append(2 * hit / (2 * hit + extra + missed))
    found = figure(board_of(of_patients(run, 4)), "all-lad")
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)
    assert len(ids) == 60


def test_nothing_is_told_of_fewer_than_three_patients(write_run):
    for size in (60, 40):  # one patient, two patients
        board = board_of(of_patients(write_run(ROWS, name=f"few-{size}"), size))
        for row in board.rows:
            for line in row.lines:
                assert not line.marks
                assert line.difference is None
                for one in line.figures.values():
                    assert math.isnan(one.low)
                    assert math.isnan(one.high)
        note = f"60 scans of {-(-60 // size)} patient"
        for text in ("\n".join(footer(board)), as_markdown(board), as_json(board)):
            assert note in text
            assert "no intervals, marks, ranks or verdicts" in text
        assert "no difference is told" in dict(board.facts)["spread"]
        values = json.loads(as_json(board))["methods"][0]["lines"][0]["figures"]["F1 whole"]
        assert values["low"] is None
        assert values["mark"] == ""
        row = next(csv.DictReader(io.StringIO(as_csv(board))))
        assert row["low"] == row["high"] == ""
        assert row["value"]
        assert "fewer than 3 patients" in as_latex(board)
        assert "–" not in as_markdown(board).split("## Scores")[0].split("F1 to best")[1]


def test_one_scan_alone_of_an_old_run_is_one_patient(write_run):
    board = board_of(write_run({"unet3d": 0.7, "fcn3d": 0.4}, n=2))
    assert math.isnan(figure(board, "unet3d").low)
    assert any("2 scans: with fewer than 3 patients" in line for line in footer(board))


def test_ranks_claims_and_comparisons_of_few_patients_decide_nothing(write_run):
    run = of_patients(write_run({"unet3d": 0.2, "mmwfanet": 0.95}), 30)
    ranks = make_ranks(join([run]))
    assert np.isnan(ranks.segmentation.rank).all()
    assert np.isnan(ranks.joint.ranks).all()
    row = rank_rows(ranks)[0]
    assert row[1]
    assert row[4]
    assert row[8]
    assert not any(row[place] for place in (2, 3, 5, 6, 9, 10, 12, 13))
    assert closing(ranks)[0].startswith("fewer than 3 patients: no ranks (60 scans of 2 patients)")
    assert json.loads(ranks_json(ranks))["methods"][0]["scores"]["rank_low"] is None
    claims = paper_claims()
    judged = judge(claims.claims, join([run]))
    page = json.loads(claims_json(claims_page(judged, claims.left_out, join([run]))))
    found = [one for one in page["claims"] if one["verdict"] != "not judged"]
    assert found
    for one in found:
        assert one["verdict"] == "undecided"
        assert one["low"] is None
        assert one["detectable"] is None
        assert "fewer than 3 patients" in one["note"]
        assert not one["patients_only"]
    other = of_patients(write_run({"unet3d": 0.9, "mmwfanet": 0.3}, name="b"), 30)
    for line in compare(run, other).lines:
        assert line.verdict == "undecided"
        assert "fewer than 3 patients: no interval" in line.note
        assert math.isnan(line.p)
        gap = line.differences[line.judged]
        assert math.isnan(gap.low)
        assert "fewer than 3 patients" in gap.note


def test_every_command_goes_through_with_one_patient(write_run):
    run = of_patients(write_run({"unet3d": 0.2, "mmwfanet": 0.95, "mmwfanet+fusion=sum": 0.4}), 60)
    for command in ("show", "ranks", "claims"):
        for form in ("terminal", "markdown", "json"):
            found = CliRunner().invoke(cli, [command, str(run.folder), "--format", form])
            assert found.exit_code == 0, found.output
            assert "NaN" not in found.output
            assert "nan" not in found.output.split()
    found = CliRunner().invoke(cli, ["compare", str(run.folder), str(run.folder)])
    assert found.exit_code == 0, found.output
    board = board_of(run)
    for one in board.ablations:
        assert one.found == "undecided"
        assert not one.these_networks
        assert math.isnan(one.p)


def test_runs_that_disagree_on_patients_are_not_put_together(write_run):
    a = of_patients(write_run({"unet3d": 0.8}), 4)
    b = of_patients(write_run({"fcn3d": 0.7, "unet3d": 0.6}, name="b"), 5)
    with pytest.raises(UserError, match="the same test scans are of other patients than in"):
        join([a, FinishedRun(b.folder, b.plan)])
    with pytest.raises(UserError, match="of other patients"):
        join_runs([a, b], a.folder.parents[1])
    assert compare(a, b).unpaired == "the same test scans are of other patients in either"
    assert ("test patients", "15", "12") in {
        (one.name, one.a, one.b) for one in compare(a, b).settings
    }


def test_a_run_that_does_not_know_its_patients_takes_them_from_one_that_does(write_run):
    old = write_run({"unet3d": 0.8})
    new = of_patients(write_run({"fcn3d": 0.7}, name="b"), 4)
    joined = join([old, new])
    assert {cell.patients for row in joined.rows.values() for cell in row.cells.values()} == {
        tuple(np.repeat(np.arange(15), 4).tolist())
    }
    board = join_runs([old, new], old.folder.parents[1])
    assert board.plan["patients"] == new.plan["patients"]
    assert figure(board_of(board), "unet3d").patients == 15
    found = compare(old, of_patients(write_run({"unet3d": 0.6}, name="c"), 4))
    assert found.unpaired == ""
    assert found.lines[0].differences[MAIN].patients == 15


def test_a_plan_with_impossible_patients_is_no_plan(write_run):
    run = write_run({"unet3d": 0.8})
    for bad in ([], {"known": 1, "together": []}, {"known": True, "together": [["p1"], ["p1"]]},
                {"known": True, "together": [[7]]}, {"known": True, "together": [[]]}):  # fmt: skip
        (run.folder / "plan.json").write_text(json.dumps({**run.plan, "patients": bad}))
        with pytest.raises(UserError, match="not a plan of a run"):
            find_run(str(run.folder), run.folder.parents[1])


def test_figures_on_too_few_patients_and_without_width_stand_below_the_board(write_run):
    board = board_of(of_patients(write_run({"unet3d": (0.5, 1.0, 0.5), "fcn3d": 0.4}, n=12), 3))
    text = "\n".join(footer(board))
    assert "3D U-Net (mask)" in text
    assert "an interval without width, as all resamples agree" in text


def test_versions_of_pytorch_on_one_board_are_told(write_run):
    runs = [
        write_run({name: 0.8}, name=name, key={"versions": {"torch": version, "numpy": "2"}})
        for name, version in (("unet3d", "2.5.1"), ("fcn3d", "2.6.0"))
    ]
    assert "2 versions of PyTorch on one board: 2.5.1, 2.6.0" in join(runs).notes
    assert not any("PyTorch" in note for note in join(runs[:1]).notes)
