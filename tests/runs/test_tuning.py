"""``run --tune``: tuned rows as rows of their own, from the plan to the board."""

import json

import pytest

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.report.files import as_markdown
from benchmark.report.leaderboard import make_board
from benchmark.runs.finished import find_run, read_cells
from benchmark.runs.joining import join_runs

BUDGET = (("budget", "40 steps"),)
ROWS = ["unet3d", "unet3d tuned", "dmtrl", "dmtrl tuned", "mmwfanet", "mmwfanet tuned", "all-lad"]


def test_each_trained_method_has_a_second_row(make_run, trainer):
    outcome, display = make_run(tune=4, changes=BUDGET)
    assert [method["name"] for method in outcome.plan["methods"]] == ROWS
    assert [name for name, _ in trainer.calls] == ROWS
    board = make_board(outcome.plan, outcome.cells)
    assert [row.title for row in board.rows][:2] == ["3D U-Net", "3D U-Net tuned"]
    assert all(line.marks for row in board.rows if row.trained for line in row.lines)
    # the tuned row beside the method as it is, and no figure of the paper for it
    first = board.ablations[0]
    assert (first.title, first.base) == ("3D U-Net tuned", "3D U-Net")
    figures = [row.lines[0].figures["F1", "whole"].paper for row in board.rows[:2]]
    assert figures[0] is not None
    assert figures[1] is None
    assert "4 trials of each method" in display.text
    assert "3 steps of training each at most, judged on 4 of 20 training scans" in display.text
    assert "not for all-lad (learns nothing)" in display.text
    assert "rows called tuned: 4 trials" in as_markdown(board)


def test_the_scans_that_judge_trials_are_training_scans(make_run, trainer, monkeypatch):
    seen = []
    real = type(trainer).run_cell

    def run_cell(self, method, *rest):
        if method.tuning is not None:
            seen.append(method.tuning.validation)
        return real(self, method, *rest)

    monkeypatch.setattr(type(trainer), "run_cell", run_cell)
    outcome, _ = make_run(tune=2, changes=BUDGET)
    split = outcome.plan["split"]
    assert len(set(seen)) == 1  # the same for all methods
    assert set(seen[0]) < set(split["train"])
    assert not set(seen[0]) & set(split["test"])


def test_tuned_cells_have_a_key_of_their_own_and_are_kept(make_run, trainer):
    plain, _ = make_run(changes=BUDGET)
    trainer.calls.clear()
    first, _ = make_run(tune=4, changes=BUDGET)
    # the rows of defaults are kept from before
    assert [name for name, _ in trainer.calls] == [name for name in ROWS if "tuned" in name]
    assert plain.folder != first.folder
    trainer.calls.clear()
    make_run(tune=4, changes=BUDGET)
    assert not trainer.calls
    make_run(tune=3, changes=BUDGET)
    assert [name for name, _ in trainer.calls] == [name for name in ROWS if "tuned" in name]
    keys = [cell.key for cell in first.cells if cell.method == "unet3d tuned"]
    assert keys[0]["tuning"]["trials"] == 4
    assert keys[0]["tuning"]["space"]["learning_rate"]["default"] == 1.0
    assert "optuna" in keys[0]["packages"]
    assert keys[0]["method"] == "unet3d"


def test_what_does_not_train_itself_has_no_tuned_row(make_run):
    outcome, display = make_run(tune=2, changes=BUDGET, methods=("mmwfanet", "no-gates", "all-lad"))
    names = [method["name"] for method in outcome.plan["methods"]]
    assert names == ["mmwfanet", "mmwfanet tuned", "no-gates", "all-lad"]
    assert "no-gates (tested with the weights of another)" in display.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tune": 2}, "budget of 5 steps is less than one of its steps for each trial"),
        ({"tune": 2, "changes": (*BUDGET, ("train", "12"))}, "a fifth of 12 training scans"),
    ],
)
def test_too_small_a_budget_or_cohort_is_refused(options, words, make_run, tmp_path):
    with pytest.raises(UserError, match=words):
        make_run(**options)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("trials", ["0", "-1", "1001", "two"])
def test_a_number_of_trials_is_a_number(trials, fake_cli, suite_file, capsys):
    assert main(["run", "--suite", str(suite_file), "--tune", trials]) == 2
    assert "--tune" in capsys.readouterr().err
    assert not fake_cli.calls


def test_a_wrong_declaration_is_refused_before_anything_is_trained(make_run, trainer, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\nclass Net(nn.Module):\n    outputs = ('mask',)\n"
        "    tunable = {'depth': (3, 2)}\n"
        "    def __init__(self, grid, in_channels, width, depth=2):\n"
        "        super().__init__()\n"
    )
    with pytest.raises(UserError, match=r"tunable\['depth'\] is \(3, 2\)"):
        make_run(tune=2, changes=BUDGET, methods=(f"{path}:Net",))
    make_run(changes=BUDGET, methods=(f"{path}:Net",))  # without a search it is of no matter


def test_runs_with_and_without_tuned_rows_are_joined(make_run, tmp_path):
    one, _ = make_run(changes=BUDGET, methods=("dmtrl", "unet3d"))
    two, _ = make_run(tune=4, changes=BUDGET, methods=("mmwfanet", "unet3d"))
    runs = [find_run(str(outcome.folder), tmp_path / "runs") for outcome in (one, two)]
    joined = join_runs(runs, tmp_path / "runs", "both")
    names = [method["name"] for method in joined.plan["methods"]]
    assert names == ["dmtrl", "unet3d", "unet3d tuned", "mmwfanet", "mmwfanet tuned"]
    board = make_board(joined.plan, read_cells(joined))
    assert any("rows called tuned: 4 trials" in text for _, text in board.facts)


def test_what_a_search_chose_stands_under_the_board(make_run, trainer, monkeypatch):
    real = type(trainer).run_cell

    def run_cell(self, method, *rest):
        result = real(self, method, *rest)
        if method.tuning is not None:
            result.ledger["tuning"] = {"words": "seed 0: 4 trials chose learning_rate 0.002"}
        return result

    monkeypatch.setattr(type(trainer), "run_cell", run_cell)
    outcome, _ = make_run(tune=4, changes=BUDGET)
    text = as_markdown(make_board(outcome.plan, outcome.cells))
    assert "3D U-Net tuned, seed 0: 4 trials chose learning_rate 0.002." in text
    # a ledger that somebody changed
    path = outcome.folder / "plan.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "tuning": [4]}))
    run = find_run(str(outcome.folder), outcome.folder.parents[1])
    assert "rows called tuned" not in as_markdown(make_board(run.plan, read_cells(run)))
