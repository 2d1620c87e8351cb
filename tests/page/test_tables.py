"""The table's cells: what is marked, what is undefined, what a column is sorted by."""

import math

import pytest

from benchmark.page.tables import GROUPS, heads, table_rows
from benchmark.report.board import METRICS, TARGETS, Board, Figure, Line, Row


def board(*rows, **more):
    return Board("tiny", "A board", "smoke", tuple(rows), **more)


def row(title="A", trained=True, failed="", **figures):
    line = Line("mask", figures.pop("figures", {("F1", "whole"): Figure(0.9, 0.8, 0.95, 30)}))
    return Row(title.lower(), title, trained, (line,), failed)


def cell_of(found, column):
    place = [c for c, _ in heads(found)].index(column)
    return table_rows(found)[0].cells[place]


def test_every_figure_of_a_board_has_a_column():
    columns = [column for _, _, own in GROUPS for column in own]
    assert len(columns) == len(set(columns))
    expected = {(m, t) for m in METRICS if m not in ("ICC", "PCC", "kappa") for t in TARGETS}
    means = {(metric, "mean") for metric in ("F1", "ICC", "PCC")}
    assert set(columns) == expected | means | {("kappa", "whole")}


def test_a_column_that_no_line_has_is_left_out():
    assert [column for column, _ in heads(board(row()))] == [("F1", "whole")]


def test_errors_are_sorted_with_the_least_first():
    figures = {("F1", "whole"): Figure(0.9), ("MAE_AS", "whole"): Figure(12.0)}
    lower = {column: head.lower for column, head in heads(board(row(figures=figures)))}
    assert lower == {("F1", "whole"): False, ("MAE_AS", "whole"): True}


def test_an_undefined_figure_has_its_reason_and_no_value_to_sort_by():
    found = board(row(figures={("kappa", "whole"): Figure(math.nan, note="one category", n=9)}))
    cell = cell_of(found, ("kappa", "whole"))
    assert (cell.text, cell.value, cell.reason) == ("undefined", None, "one category")


def test_the_papers_value_and_the_spread_over_seeds_stand_beside():
    figure = Figure(0.9, 0.8, 0.95, 30, seed_sd=0.012, paper=0.961)
    cell = cell_of(board(row(figures={("F1", "whole"): figure})), ("F1", "whole"))
    assert (cell.text, cell.bounds, cell.seeds, cell.paper) == (".900", ".800–.950", ".012", ".961")


def test_a_method_that_failed_has_a_row_with_the_reason():
    found = table_rows(board(row(), Row("b", "B", True, (), "out of memory")))
    assert [(one.title, bool(one.cells)) for one in found] == [("A", True), ("B", False)]
    assert "out of memory" in found[1].remark


@pytest.mark.parametrize(
    ("more", "word"), [({"trained": False}, "not trained"), ({"failed": "seed 1: x"}, "failed")]
)
def test_remarks_say_what_is_special_of_a_row(more, word):
    assert word in table_rows(board(row(**more)))[0].remark
