"""The leaderboard: figures, marks, failures, and the refusal to compare what is not comparable."""

import csv
import io
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from benchmark.errors import UserError
from benchmark.metrics import summarise
from benchmark.report.board import Figure, interval, number, with_paper
from benchmark.report.files import as_csv, as_json, as_markdown, per_scan, write_files
from benchmark.report.leaderboard import make_board
from benchmark.report.paper import figures
from benchmark.report.terminal import print_board
from benchmark.runs.finished import read_cells
from benchmark.training.loop import CellFailed

WHOLE = ("F1", "whole")


def board_of(outcome):
    return make_board(outcome.plan, outcome.cells)


def printed(board, width=160, more=False):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    print_board(board, console, more)
    return console.file.getvalue()


def row_of(board, name):
    return next(row for row in board.rows if row.name == name)


@pytest.fixture
def outcome(tiny_outcome):
    return tiny_outcome


@pytest.fixture(scope="module")
def board(tiny_outcome):
    return board_of(tiny_outcome)


def test_figures_are_those_of_the_metrics(make_run):
    outcome, _ = make_run(methods=("mmwfanet",))
    cell = outcome.cells[0]
    expected = summarise(cell.reference, cell.mask, (cell.tp, cell.fp, cell.fn))
    line = board_of(outcome).rows[0].lines[0]
    for column in (WHOLE, ("ICC_AS", "LAD"), ("MAE_MS", "RCA"), ("kappa", "whole")):
        found, wanted = line.figures[column], expected[column]
        assert (found.value, found.low, found.high) == (wanted.value, wanted.low, wanted.high)


def test_rows_follow_the_suite_and_sources_the_method(board):
    assert [row.name for row in board.rows] == ["unet3d", "dmtrl", "mmwfanet", "all-lad"]
    sources = {row.name: [line.source for line in row.lines] for row in board.rows}
    assert sources["mmwfanet"] == ["mask", "head"]
    assert sources["dmtrl"] == ["head"]
    assert WHOLE not in row_of(board, "dmtrl").lines[0].figures, "a head segments nothing"


def test_seeds_are_averaged_and_their_spread_is_told(board, outcome):
    figure = row_of(board, "unet3d").lines[0].figures[WHOLE]
    single = [
        board_of(
            replace(
                outcome,
                plan={**outcome.plan, "seeds": [seed]},
                cells=tuple(cell for cell in outcome.cells if cell.seed == seed),
            )
        )
        for seed in (0, 1)
    ]
    values = [row_of(board, "unet3d").lines[0].figures[WHOLE].value for board in single]
    assert figure.value == pytest.approx(np.mean(values))
    assert figure.seed_sd == pytest.approx(np.std(values, ddof=1))


def test_the_best_trained_method_is_marked_and_others_have_their_difference(board):
    best = row_of(board, "mmwfanet").lines[0]
    assert best.marks[WHOLE] == "best"
    assert best.difference is None
    worse = row_of(board, "unet3d").lines[0]
    gap = worse.difference
    assert gap.value == pytest.approx(worse.figures[WHOLE].value - best.figures[WHOLE].value)
    assert gap.low <= gap.value <= gap.high < 0
    assert WHOLE not in worse.marks
    assert row_of(board, "all-lad").lines[0].marks == {}, "references take no part in the ranking"
    assert dict(board.facts)["spread"].startswith("F1 whole from ")


def test_what_cannot_be_told_apart_is_marked_tied(make_run, trainer):
    trainer.skill["unet3d"] = trainer.skill["mmwfanet"]
    board = board_of(make_run()[0])
    marked = {row.name: row.lines[0].marks.get(WHOLE) for row in board.rows if row.trained}
    assert sorted(filter(None, (marked["unet3d"], marked["mmwfanet"]))) == ["best", "tied"]


def test_missing_predictions_are_counted_and_never_help(make_run, trainer):
    before = row_of(board_of(make_run()[0]), "unet3d").lines[0]
    trainer.blind = {"unet3d": 3}
    after = board_of(make_run(first_seed=1)[0])
    line = row_of(after, "unet3d").lines[0]
    assert line.filled == 3
    assert line.figures[WHOLE].value < before.figures[WHOLE].value
    assert line.figures["MAE_AS", "whole"].value > before.figures["MAE_AS", "whole"].value
    assert "3D U-Net: 3 missing predictions took the worst value" in printed(after)


def test_a_failed_method_stays_on_every_form_of_the_board(make_run, trainer):
    trainer.faults = {"dmtrl": CellFailed("loss became nan | at step 3")}
    board = board_of(make_run()[0])
    assert row_of(board, "dmtrl").lines == ()
    for text in (printed(board), as_csv(board), as_json(board)):
        assert "loss became nan | at step 3" in text
    assert "failed: loss became nan \\| at step 3" in as_markdown(board)


def test_a_failed_seed_counts_as_missing_every_scan(make_run, trainer):
    good = row_of(board_of(make_run()[0]), "unet3d").lines[0].figures[WHOLE].value
    trainer.faults = {"unet3d": CellFailed("diverged")}
    row = row_of(board_of(make_run(seeds=2)[0]), "unet3d")
    assert row.lines[0].figures[WHOLE].value == pytest.approx(good / 2)
    assert row.lines[0].filled == 12
    assert row.failed == "seed 1 (counted as missing every scan): diverged"


def test_a_board_on_which_all_failed_can_be_printed(make_run, trainer):
    trainer.faults = dict.fromkeys(("unet3d", "dmtrl", "mmwfanet", "all-lad"), CellFailed("no"))
    board = board_of(make_run()[0])
    assert printed(board).count("failed: ") == 4
    json.loads(as_json(board))


@pytest.mark.parametrize(
    ("key", "value"),
    [("split", "other"), ("cohort", "other"), ("threads", 7), ("device", "cuda")],
)
def test_a_board_refuses_what_was_made_otherwise(outcome, key, value):
    cells = list(outcome.cells)
    cells[1] = replace(cells[1], key={**cells[1].key, key: value})
    with pytest.raises(UserError, match=key):
        make_board(outcome.plan, cells)


@pytest.mark.parametrize(("key", "value"), [("budget", "9 steps"), ("width", 99)])
def test_a_board_refuses_another_budget_or_recipe(outcome, key, value):
    cells = list(outcome.cells)
    settings = {**cells[1].key["settings"], key: value}
    cells[1] = replace(cells[1], key={**cells[1].key, "settings": settings})
    with pytest.raises(UserError, match=key):
        make_board(outcome.plan, cells)


def test_a_board_refuses_other_test_scans(outcome):
    cells = list(outcome.cells)
    cells[1] = replace(cells[1], reference=cells[1].reference + 1)
    with pytest.raises(UserError, match="other test scans"):
        make_board(outcome.plan, cells)


def test_the_papers_figures_stand_beside_ours():
    assert figures("MMWFAnet")["F1", "whole"] == 0.953
    assert figures("3D U-Net", "table1")["ICC_AS", "LAD"] == 0.946
    assert figures("DMTRL")["ICC_MS", "whole"] == 0.938
    assert ("F1", "whole") not in figures("DMTRL"), "the paper prints none"
    assert figures("ARM-MTL")["F1", "LAD"] == 0.955
    assert figures(None) == {}


def test_csv_and_json_hold_every_figure(board):
    rows = list(csv.DictReader(io.StringIO(as_csv(board))))
    found = {(r["method"], r["source"], r["metric"], r["target"]): r for r in rows}
    assert len(found) == len(rows)
    entry = found["mmwfanet", "mask", "F1", "whole"]
    figure = row_of(board, "mmwfanet").lines[0].figures[WHOLE]
    assert float(entry["value"]) == pytest.approx(figure.value, rel=1e-5)
    assert float(entry["paper"]) == 0.953
    assert found["dmtrl", "head", "ICC_VS", "RCA"]["paper"] == "0.932"
    values = json.loads(as_json(board))
    method = next(m for m in values["methods"] if m["name"] == "mmwfanet")
    assert method["lines"][0]["figures"]["F1 whole"]["value"] == pytest.approx(figure.value)
    assert method["spent"]["steps"] == 5
    assert method["spent"]["stages"][0]["learning_rate_multiple"] == 0.5


def test_per_scan_holds_every_method_seed_and_scan(outcome):
    rows = list(csv.DictReader(io.StringIO(per_scan(outcome.cells))))
    assert len(rows) == 4 * 2 * 12
    head = next(r for r in rows if r["method"] == "dmtrl")
    assert head["mask_agatston_LAD"] == "" != head["head_agatston_LAD"]
    cell = outcome.cells[0]
    first = rows[0]
    assert float(first["reference_mass_whole"]) == pytest.approx(cell.reference[0, 2, 3], rel=1e-5)
    assert float(first["tp_mm3_RCA"]) == pytest.approx(cell.tp[0, 2], rel=1e-5, abs=1e-9)


def test_markdown_tables_are_whole(board):
    lines = as_markdown(board).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert tables
    for first, second in pairwise(lines):
        if first.startswith("|") and second.startswith("|"):
            assert first.replace("\\|", "").count("|") == second.replace("\\|", "").count("|")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 140, 160])
def test_no_figure_is_cut_off_on_any_terminal(board, width):
    text = printed(board, width, more=True)
    assert "…" not in text
    if width >= 80:
        assert all(len(line.rstrip()) <= width for line in text.splitlines() if " mask " in line)


def test_what_a_reader_must_know_stands_under_the_table(board):
    text = printed(board)
    for words in (
        "20 training and 12 test scans",
        "5 steps of learning from whole scans for each method",
        "seeds",
        "a fake machine",
        "torch 9.9",
        "These patients do not exist.",
        "1 of MMWFAnet",
        "its figures rank nothing",
        "x0.5",
        "1,234",
    ):
        assert words in text


def test_files_are_written_into_the_runs_folder(board, outcome):
    written = write_files(board, outcome.plan, outcome.cells, outcome.folder)
    assert [path.name for path in written] == [
        "leaderboard.md",
        "leaderboard.csv",
        "leaderboard.json",
        "per_scan.csv",
    ]
    assert all(path.stat().st_size > 500 for path in written)


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.9234, "F1", ".923"),
        (1.0, "F1", "1.000"),
        (-0.0123, "ICC_AS", "-.012"),
        (0.0, "F1", ".000"),
        (-0.0001, "F1", ".000"),
        (0.99996, "F1", "1.000"),
        (12.345, "MAE_AS", "12.3"),
        (0.5, "MAE_AS", "0.5"),
        (float("nan"), "F1", "–"),
        (None, "F1", "–"),
    ],
)
def test_numbers_are_short(value, metric, text):
    assert number(value, metric) == text


def test_a_figure_in_words():
    figure = Figure(0.9234, 0.9011, 0.9456, 100, paper=0.961)
    assert with_paper(figure) == ".923 (.961)"
    assert interval(figure) == ".901–.946"
    undefined = Figure(float("nan"), note="nothing predicted")
    assert with_paper(undefined) == "undefined"
    assert interval(undefined) == ""
    assert interval(Figure(0.1, -0.2, 0.4)) == "-.200 to .400"


def test_seeds_that_scatter_tell_nobody_apart(write_run):
    """Marks count the noise of training, as every verdict does; with one seed, scans alone."""

    def lines(**more):
        run = write_run({"unet3d": 0.8, "fcn3d": 0.78, "resnet3d": 0.6}, **more)
        return [row.lines[0] for row in make_board(run.plan, read_cells(run)).rows]

    for seeds in ((0,), (0, 1)):
        still = lines(seed_sd=0.001, seeds=seeds, suite=f"still{len(seeds)}")
        assert [line.marks.get(WHOLE, "") for line in still] == ["best", "", ""]
    wild = lines(seed_sd=0.15, suite="wild")
    assert sorted(line.marks[WHOLE] for line in wild) == ["best", "tied", "tied"]
    # although these trained networks, on other scans, would keep their order
    assert all(line.difference is None or line.difference.high < 0 for line in wild)
