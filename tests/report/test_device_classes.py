"""Cells of one board run on one kind of device, or the board says so and compares no time."""

from dataclasses import replace

import pytest

from benchmark.errors import UserError
from benchmark.report.leaderboard import make_board


def moved(outcome, name="another machine"):
    """The outcome's cells, one method's on another kind of device."""
    return tuple(
        replace(cell, ledger={**cell.ledger, "device_name": name})
        if cell.method == "dmtrl"
        else cell
        for cell in outcome.cells
    )


def test_one_kind_of_device_needs_no_word(tiny_outcome):
    board = make_board(tiny_outcome.plan, tiny_outcome.cells)
    assert not any("kinds of device" in note for note in board.notes)
    assert board.rows[0].spent["device_seconds"] == 1.5


def test_two_kinds_under_a_budget_of_steps_are_said_and_no_time_is_compared(tiny_outcome):
    board = make_board(tiny_outcome.plan, moved(tiny_outcome))
    assert any("2 kinds of device (a fake machine, another machine)" in n for n in board.notes)
    for row in board.rows:
        assert "device_seconds" not in row.spent
        assert "step_seconds" not in row.spent
    assert board.rows[0].spent["steps"] == 5


def test_two_kinds_under_a_budget_of_device_seconds_are_refused(tiny_outcome):
    settings = {**tiny_outcome.plan["settings"], "budget": "5 s"}
    plan = {**tiny_outcome.plan, "settings": settings}

    def under(cells):
        return tuple(
            replace(c, key={**c.key, "settings": {**c.key["settings"], "budget": "5 s"}})
            for c in cells
        )

    make_board(plan, under(tiny_outcome.cells))
    with pytest.raises(UserError, match="2 kinds of device"):
        make_board(plan, under(moved(tiny_outcome)))
