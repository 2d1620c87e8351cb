"""References beside the ranked masks, and the mean of the arteries' F1 on a board."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from benchmark.metrics.verdict import contrast, pooled_noise
from benchmark.report.claims import paper_claims
from benchmark.report.claims_text import as_json as claims_json
from benchmark.report.claims_text import as_markdown as claims_markdown
from benchmark.report.claims_text import claims_page
from benchmark.report.files import as_csv, as_json, as_markdown
from benchmark.report.joined import join
from benchmark.report.judging import judge
from benchmark.report.leaderboard import make_board
from benchmark.report.measure import measure
from benchmark.report.terminal import footer, print_board
from benchmark.runs.finished import read_cells

WHOLE, MEAN = ("F1", "whole"), ("F1", "mean")
ROWS = {
    "mmwfanet": 0.95,
    "unet3d": 0.8,
    "fcn3d": 0.6,
    "two-convolutions": 0.8,
    "nearest-25": 0.5,
    "ceiling": 0.99,
}


def board_of(run):
    return make_board(run.plan, read_cells(run))


@pytest.fixture
def run(write_run):
    return write_run(ROWS)


@pytest.fixture
def board(run):
    return board_of(run)


def beside(board, name, column):
    return next(one for one in board.against if (one.name, one.column) == (name, column))


def row_of(board, name):
    return next(row for row in board.rows if row.name == name)


def printed(board, width=200):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    print_board(board, console)
    return console.file.getvalue()


@pytest.mark.parametrize("column", [WHOLE, MEAN])
def test_networks_are_above_level_with_or_below_a_reference(board, column):
    two = beside(board, "two-convolutions", column)
    assert (two.above, two.level, two.below) == (("MMWFAnet",), ("3D U-Net",), ("3D FCN",))
    assert two.best == "MMWFAnet"
    best, own = (row_of(board, n).lines[0].figures[column] for n in ("mmwfanet", two.name))
    assert two.gap.value == pytest.approx(best.value - own.value)
    assert two.gap.low > 0
    assert len(beside(board, "nearest-25", column).above) == 3
    assert beside(board, "ceiling", column).below == ("MMWFAnet", "3D U-Net", "3D FCN")


def test_the_board_says_who_is_not_told_apart_from_two_convolutions(board, write_run):
    wanted = "not told apart from two convolutions in mean artery F1: 1 of 3 networks (3D U-Net)"
    assert wanted in footer(board)
    assert "References: what a network is more than" in printed(board)
    assert "## References: what a network is more than" in as_markdown(board)
    clear = board_of(write_run({**ROWS, "unet3d": 0.9}, name="clear"))
    assert "every network is told apart from two convolutions in mean artery F1" in footer(clear)
    none = board_of(write_run({"mmwfanet": 0.9, "unet3d": 0.8}, name="none"))
    assert none.against == ()
    assert not any("References" in line for line in footer(none))


def test_trained_references_are_neither_best_nor_tied_nor_last(write_run):
    board = board_of(write_run({"unet3d": 0.7, "fcn3d": 0.6, "two-convolutions": 0.95}))
    two = row_of(board, "two-convolutions")
    assert two.reference
    assert two.lines[0].marks == {}
    assert row_of(board, "unet3d").lines[0].marks[MEAN] == "best"
    assert two.lines[0].difference_arteries.value > 0
    assert beside(board, "two-convolutions", MEAN).below == ("3D U-Net", "3D FCN")
    assert "two convolutions" not in dict(board.facts)["spread, arteries"]


def test_the_training_of_a_trained_reference_counts(run, board):
    """Its seeds differ as a network's do, so that the interval is wider than patients alone."""
    two = beside(board, "two-convolutions", MEAN)
    assert two.gap.seed_se > beside(board, "ceiling", MEAN).gap.seed_se > 0
    cells = read_cells(run)
    own = {
        name: measure([c for c in cells if c.method == name], "mask", cells[0])[0][MEAN]
        for name in ("mmwfanet", "two-convolutions", "unet3d", "fcn3d")
    }
    noise = pooled_noise(own.values())
    again = contrast([(1, own["mmwfanet"], noise), (-1, own["two-convolutions"], noise)])
    assert (two.gap.low, two.gap.high) == pytest.approx((again.low, again.high))


def test_of_two_patients_no_difference_to_a_reference_is_told(write_run):
    board = board_of(write_run({"unet3d": 0.8, "two-convolutions": 0.4}, n=2))
    two = beside(board, "two-convolutions", MEAN)
    assert math.isfinite(two.figure.value)
    assert (two.gap, two.above, two.level, two.below) == (None, (), (), ())


def test_the_mean_over_arteries_stands_on_every_form_of_the_board(board):
    line = row_of(board, "unet3d").lines[0]
    arteries = [line.figures["F1", t].value for t in ("LAD", "LCX", "RCA")]
    figure = line.figures[MEAN]
    assert figure.value == pytest.approx(np.mean(arteries))
    assert figure.low < figure.value < figure.high
    best = row_of(board, "mmwfanet").lines[0]
    assert best.marks[MEAN] == best.marks[WHOLE] == "best"
    assert line.difference_arteries.value == pytest.approx(figure.value - best.figures[MEAN].value)
    assert "| mean artery F1 |" in as_markdown(board)
    assert "unet3d,mask,F1,mean," in as_csv(board)
    values = json.loads(as_json(board))
    own = next(m for m in values["methods"] if m["name"] == "unet3d")
    assert not own["reference"]
    assert own["lines"][0]["figures"]["F1 mean"]["value"] == pytest.approx(figure.value)
    assert own["lines"][0]["difference_F1_mean"]["value"] < 0
    two = next(r for r in values["references"] if r["name"] == "two-convolutions")
    assert two["not_told_apart"] == ["3D U-Net"]
    assert two["best_less_it"]["low"] > 0
    for width in (60, 80, 100, 120, 160, 200):
        assert "…" not in printed(board, width)


def test_a_board_of_an_artery_without_calcium_says_why_it_has_no_mean(write_run):
    run = write_run({"unet3d": 0.8, "fcn3d": 0.6})
    cells = read_cells(run)
    for cell in cells:
        for part in (cell.tp, cell.fp, cell.fn):
            part[:, 2] = 0
    board = make_board(run.plan, cells)
    figure = row_of(board, "unet3d").lines[0].figures[MEAN]
    assert math.isnan(figure.value)
    assert row_of(board, "unet3d").lines[0].marks.get(MEAN) is None
    why = "F1 of RCA is undefined: no reference calcium and nothing predicted"
    assert any(line.endswith(f"(mask), F1 mean: {why}") for line in footer(board))
    assert "spread, arteries" not in dict(board.facts)


def test_claims_on_whole_are_judged_by_the_arteries_too_and_stay_what_they_were(write_run):
    rows = {"mmwfanet": 0.95, "avl": 0.8, "mvl": 0.949}
    joined = join([write_run(rows)])
    claims = paper_claims()
    judged = {one.claim.name: one for one in judge(claims.claims, joined)}
    own = judged["mwfa-above-axial-masks"]
    assert own.verdict == own.arteries.verdict == "supported"
    assert own.arteries.contrast.value != own.contrast.value
    # the paper prints the arteries and no mean: .961, .942, .939 less .949, .921, .915
    assert own.arteries.paper == pytest.approx(0.019)
    assert judged["mwfa-above-axial-scores"].arteries is None
    # families of their own: neither makes the other's p larger
    (alone,) = judge([own.claim], joined)
    assert alone.p == alone.contrast.p
    assert alone.arteries.p == alone.arteries.contrast.p
    page = claims_page(list(judged.values()), claims.left_out, joined)
    found = {one["name"]: one for one in json.loads(claims_json(page))["claims"]}
    assert found["mwfa-above-axial-masks"]["by_mean_artery_f1"]["verdict"] == "supported"
    assert found["mwfa-above-axial-scores"]["by_mean_artery_f1"] is None
    assert "supported, +" in claims_markdown(page)
