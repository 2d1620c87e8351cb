"""What stands under the tables: deviations, diagnostics, and whose weights were tested."""

import io
import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner
from rich.console import Console

from benchmark.commands.show import show
from benchmark.report.board import Board, Row
from benchmark.report.files import as_json, as_markdown
from benchmark.report.terminal import print_board

SPENT = {"device_seconds": 70.0, "steps": 300.0, "samples": 1200.0, "flops": 2e12, "stages": []}

BOARD = Board(
    "tiny",
    "A board",
    "quick",
    (
        Row("a", "Net A", True, (), notes=("no code published", "half the width"), spent=SPENT),
        Row("b", "Net B", True, (), notes=("no code published",), spent=SPENT),
    ),
    facts=(("cohort", "40 scans"),),
    notes=("These patients do not exist.",),
)


def with_spent(**more):
    """The board with more in the first row's ledger."""
    first = replace(BOARD.rows[0], spent={**SPENT, **more})
    return replace(BOARD, rows=(first, BOARD.rows[1]))


def printed(board, notes=False):
    console = Console(width=160, file=io.StringIO(), force_terminal=False)
    print_board(board, console, notes=notes)
    return console.file.getvalue()


def test_a_terminal_counts_deviations_and_says_where_they_are():
    text = printed(BOARD)
    assert "deviations: 2 of Net A, 1 of Net B (leaderboard.md, or benchmark show --notes)" in text
    assert "half the width" not in text
    assert "These patients do not exist." in text
    assert "40 scans" in text


@pytest.mark.parametrize("write", [lambda board: printed(board, notes=True), as_markdown])
def test_all_deviations_can_be_had_each_once(write):
    text = write(BOARD)
    assert "Net A, Net B: no code published" in text
    assert "Net A: half the width" in text
    assert "deviations:" not in text


def test_json_keeps_the_deviations_of_every_method():
    rows = json.loads(as_json(BOARD))["methods"]
    assert [row["notes"] for row in rows] == [
        ["no code published", "half the width"],
        ["no code published"],
    ]


def test_a_board_without_deviations_says_nothing_of_them():
    rows = tuple(replace(row, notes=()) for row in BOARD.rows)
    assert "deviations" not in printed(replace(BOARD, rows=rows))


@pytest.mark.parametrize("write", [printed, as_markdown])
@pytest.mark.parametrize(
    ("value", "shown"), [(0.4119, ".412"), (None, "undefined"), (math.nan, "undefined")]
)
def test_what_a_network_measured_of_itself_stands_under_the_board(write, value, shown):
    board = with_spent(diagnostics={"autoencoder_dice": value, "epochs": 3.0})
    assert f"Net A: autoencoder dice {shown}, epochs 3.000 (first seed)" in write(board)
    assert "Net B: autoencoder" not in write(board)


def test_a_number_that_is_not_finite_is_null_in_json():
    board = with_spent(diagnostics={"dice": math.nan}, step_seconds=math.inf)
    spent = json.loads(as_json(board))["methods"][0]["spent"]
    assert spent["diagnostics"] == {"dice": None}
    assert spent["step_seconds"] is None


@pytest.mark.parametrize("write", [printed, as_markdown])
def test_a_network_tested_with_anothers_weights_spent_as_that_one(write):
    zero = dict.fromkeys(("device_seconds", "steps", "samples", "flops", "wall_seconds"), 0.0)
    text = write(with_spent(**zero, parameters=1234, weights_from="MMWFAnet"))
    assert "Net A: not trained, tested with the weights of MMWFAnet" in text
    line = next(line for line in text.splitlines() if "as MMWFAnet" in line)
    assert "1,234" in line
    assert "0" not in line.replace("1,234", "")


def test_show_prints_deviations_when_asked(make_run, tmp_path):
    make_run()
    command = ["--out", str(tmp_path / "runs")]
    brief = CliRunner().invoke(show, command, catch_exceptions=False).output
    full = CliRunner().invoke(show, [*command, "--notes"], catch_exceptions=False).output
    assert "MMWFAnet is a fake." not in brief
    assert "1 of MMWFAnet" in brief
    assert "MMWFAnet: MMWFAnet is a fake." in full
