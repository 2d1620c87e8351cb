"""Ablations through a run: shared cells, borrowed weights, differences on the board."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from benchmark.errors import UserError
from benchmark.report.files import as_json, as_markdown
from benchmark.report.leaderboard import make_board
from benchmark.report.terminal import print_board
from benchmark.runs.finished import find_run, read_cells


def test_one_network_under_two_names_is_trained_once(make_run, trainer):
    methods = ("mmwfanet", "mmwfanet+fusion=weighted", "mmwfanet+fusion=sum", "mvl")
    outcome, display = make_run(methods=methods)
    assert trainer.calls == [("mmwfanet", 0), ("mmwfanet+fusion=sum", 0)]
    assert [cell.method for cell in outcome.cells] == list(methods)
    assert display.text.count("kept from before") == 2
    assert [cell.title for cell in read_cells(find_run(None, outcome.folder.parents[1]))] == [
        cell.title for cell in outcome.cells
    ]


def test_options_are_checked_before_anything_is_written(make_run, tmp_path):
    for name in ("mmwfanet+fusoin=sum", "mmwfanet+fusion=product"):
        with pytest.raises(UserError, match="fus"):
            make_run(methods=(name,))
    assert not (tmp_path / "runs").exists()


def test_a_view_is_taken_from_the_trained_network(make_run, trainer, monkeypatch):
    seen = {}
    plain = trainer.run_cell

    def run_cell(method, *rest, weights=None):
        seen[method.name] = weights
        result = plain(method, *rest)
        result.state = {"w": torch.full((2,), 3.0)}
        return result

    monkeypatch.setattr(trainer, "run_cell", run_cell)
    with pytest.raises(UserError, match="add mmwfanet to --methods"):
        make_run(methods=("no-coronal",))
    outcome, _ = make_run(methods=("mmwfanet", "no-coronal"))
    assert seen["mmwfanet"] is None
    assert torch.equal(seen["no-coronal"]["w"], torch.full((2,), 3.0))
    assert outcome.cells[1].ledger["weights_from"] == "MMWFAnet"
    make_run(methods=("no-sagittal",))  # the base is kept from before
    assert "w" in seen["no-sagittal"]


def test_an_ablation_without_its_base_weights_fails_alone(make_run, trainer):
    trainer.faults = {"mmwfanet": RuntimeError("broke")}
    outcome, _ = make_run(methods=("mmwfanet", "no-coronal", "unet3d"))
    assert [cell.state for cell in outcome.cells] == ["failed", "failed", "finished"]
    assert "failed" in outcome.cells[1].reason


@pytest.fixture(scope="module")
def board(run_once):
    methods = ("mmwfanet", "mvl", "avl", "s-model", "q-model")
    outcome = run_once(skill={"mvl": 0.4, "avl": 0.95}, methods=methods, seeds=3)
    return make_board(outcome.plan, outcome.cells)


def test_differences_to_the_base_are_those_of_the_figures(board):
    rows = {row.name: row for row in board.rows}
    assert {(a.title, a.source) for a in board.ablations} == {
        ("MVL", "mask"),
        ("MVL", "head"),
        ("AVL", "mask"),
        ("AVL", "head"),
        ("S-model", "mask"),
        ("Q-model", "head"),
    }
    for ablation in board.ablations:
        own = next(row for row in rows.values() if row.title == ablation.title)
        (line,) = [line for line in own.lines if line.source == ablation.source]
        (base,) = [line for line in rows["mmwfanet"].lines if line.source == ablation.source]
        for column, gap in ablation.differences.items():
            expected = line.figures[column].value - base.figures[column].value
            assert gap.value == pytest.approx(expected)


def test_a_large_loss_is_found_and_none_is_not(board):
    found = {(a.title, a.source): a for a in board.ablations}
    mvl, avl = found["MVL", "mask"], found["AVL", "mask"]
    assert (mvl.found, mvl.expect, mvl.these_networks) == ("lower", "lower", "")
    gap = mvl.differences["F1", "whole"]
    assert gap.known
    assert gap.low < gap.patients_low, "the noise of training is in the interval"
    assert avl.found == "undecided"
    assert mvl.p < 0.05 < avl.p


def test_seed_noise_stands_on_the_board_or_is_said_to_be_missing(board, make_run):
    text = dict(board.facts)["seed noise"]
    values = [
        figure.seed_sd
        for row in board.rows
        for line in row.lines
        if line.source == "mask"
        for figure in [line.figures["F1", "whole"]]
    ]
    expected = 1.96 * np.sqrt(2 / 3 * np.mean(np.square(values)))
    assert f"F1 whole (mask) {expected:.3f}".replace("0.", ".") in text
    outcome, _ = make_run(methods=("mmwfanet", "avl"))
    single = make_board(outcome.plan, outcome.cells)
    assert "not measured with one seed" in dict(single.facts)["seed noise"]
    assert {ablation.found for ablation in single.ablations} == {"undecided"}
    for ablation in single.ablations:
        gap = ablation.differences[ablation.judged]
        assert not gap.known
        assert (gap.low, gap.high) == (gap.patients_low, gap.patients_high)


def test_with_one_seed_the_table_says_what_holds_for_these_networks(make_run, trainer):
    trainer.skill |= {"mvl": 0.4}
    outcome, _ = make_run(methods=("mmwfanet", "mvl"))
    board = make_board(outcome.plan, outcome.cells)
    (mask,) = [ablation for ablation in board.ablations if ablation.source == "mask"]
    assert (mask.found, mask.these_networks) == ("undecided", "lower")
    assert "undecided (these networks: lower)" in as_markdown(board)


def test_the_table_judges_as_compare_and_claims_do(board):
    """The same contrast, from the same pool of seeds, as `benchmark.metrics.verdict` gives it."""
    for ablation in board.ablations:
        gap = ablation.differences[ablation.judged]
        assert ablation.p >= gap.p
        clear = gap.low > 0 or gap.high < 0
        if ablation.found != "undecided":
            assert clear
            assert ablation.found == ("higher" if gap.value > 0 else "lower")


def test_ablations_are_in_every_form_of_the_board(board):
    for text in (as_markdown(board), as_json(board)):
        assert "fusion = sum" in text
    assert "## Ablations: difference to the base" in as_markdown(board)
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    print_board(board, console)
    assert "heads = [mask]" in console.file.getvalue()


def test_training_goes_on_from_the_networks_of_another_run(make_run, trainer, monkeypatch):
    seen = []
    plain = trainer.run_cell

    def run_cell(method, *rest, start=None):
        seen.append((method.name, None if start is None else float(start["w"][0])))
        result = plain(method, *rest)
        result.state = {"w": torch.full((1,), 3.0 + len(seen))}
        return result

    monkeypatch.setattr(trainer, "run_cell", run_cell)
    first, _ = make_run(methods=("mmwfanet", "all-lad"))
    tuned, display = make_run(methods=("mmwfanet", "all-lad"), init=first.folder)
    # the row without learning starts from nothing, on the grid that the weights need
    assert seen == [("mmwfanet", None), ("all-lad", None), ("mmwfanet", 4.0), ("all-lad", None)]
    assert "from the networks of" in display.text
    assert tuned.folder != first.folder
    # tuning what was tuned is a third network
    make_run(methods=("mmwfanet",), init=tuned.folder)
    assert seen[-1] == ("mmwfanet", 6.0)
    with pytest.raises(UserError, match="holds no trained unet3d"):
        make_run(methods=("unet3d",), init=first.folder)
