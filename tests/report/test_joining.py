"""Runs of several machines on one board: what is required, what the board says, what is refused."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from benchmark.cli import cli, main
from benchmark.errors import UserError
from benchmark.report.compare import compare
from benchmark.report.files import as_csv, as_markdown
from benchmark.report.joined import join
from benchmark.report.leaderboard import make_board
from benchmark.runs.finished import find_run, read_cells
from benchmark.runs.joining import join_runs

FIRST = {"mmwfanet": 0.9, "unet3d": 0.85}


@pytest.fixture
def mine(write_run):
    return write_run(FIRST, name="mine")


@pytest.fixture
def theirs(write_run, tmp_path):
    """Another network on another machine's CPU, in a folder of runs of its own."""
    return write_run(
        {"dmtrl": 0.7},
        name="theirs",
        root=tmp_path / "stick",
        key={"threads": 2, "harness": "cc" * 8, "versions": {"torch": "9.8"}},
        threads=2,
        device_name="another machine",
    )


def board_of(run):
    return make_board(run.plan, read_cells(run))


def put_reference(run, change):
    """Write the reference scores of a run's cells anew."""
    for entry in run.plan["cells"]:
        folder = run.folder.resolve().parents[1] / "cells" / entry["folder"]
        path = folder / "predictions.npz"
        arrays = dict(np.load(path))
        arrays["reference"] = change(arrays["reference"])
        np.savez_compressed(path, **arrays)
        from benchmark.manifest import write_manifest

        write_manifest(folder)


def test_the_joined_board_is_a_run_like_any_other(mine, theirs, tmp_path):
    found = join_runs([mine, theirs], tmp_path / "runs", "both")
    again = find_run("both", tmp_path / "runs")
    assert again.plan == found.plan
    board = board_of(again)
    assert [row.name for row in board.rows] == ["mmwfanet", "unet3d", "dmtrl"]
    alone = {row.name: row for run in (mine, theirs) for row in board_of(run).rows}
    for row in board.rows:
        for line, own in zip(row.lines, alone[row.name].lines, strict=True):
            assert {c: f.value for c, f in line.figures.items()} == {
                c: f.value for c, f in own.figures.items()
            }
    shutil.rmtree(tmp_path / "stick")  # nothing of it is needed any more
    for command in (
        ["show", "both"], ["claims", "both"], ["ranks", "both"], ["compare", "both", "mine"],
    ):  # fmt: skip
        result = CliRunner().invoke(cli, [*command, "--out", str(tmp_path / "runs")])
        assert result.exit_code == 0, (command, result.output, result.exception)
    page = tmp_path / "page.html"
    result = CliRunner().invoke(
        cli, ["report", "both", "--runs", str(tmp_path / "runs"), "--out", str(page), "--no-scans"]
    )
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    assert "DMTRL [2]" in text
    assert '<option value="seconds">' not in text


def test_the_board_says_what_differs_by_row_and_compares_no_time(mine, theirs, tmp_path):
    board = board_of(join_runs([mine, theirs], tmp_path / "runs"))
    rows = {row.name: row for row in board.rows}
    assert rows["dmtrl"].title == "DMTRL [2]"
    assert rows["unet3d"].title == "3D U-Net"
    note = rows["dmtrl"].notes[0]
    assert "theirs" in note
    for words in (
        "device cpu, 2 threads (cpu, 1 thread)",
        "training code cccccccccccc (bbbbbbbbbbbb)",
        "kind of device another machine (a fake machine)",
    ):
        assert words in note
    assert not any("from run" in note for note in rows["unet3d"].notes)
    assert all("device_seconds" not in row.spent for row in board.rows)
    text = as_markdown(board)
    assert "run [1]" in text
    assert "run [2]" in text
    assert "theirs, cpu, 2 threads: DMTRL" in text
    names = {line["method"] for line in csv.DictReader(io.StringIO(as_csv(board)))}
    assert names == {"mmwfanet", "unet3d", "dmtrl"}


def test_runs_made_alike_bear_no_number(mine, write_run, tmp_path):
    other = write_run({"fcn3d": 0.8}, name="other")
    board = board_of(join_runs([mine, other], tmp_path / "runs"))
    assert [row.title for row in board.rows] == ["MMWFAnet", "3D U-Net", "3D FCN"]
    assert board.rows[0].spent == board_of(mine).rows[0].spent


def test_a_failed_row_gives_way_to_a_finished_one_and_the_board_says_it(write_run, tmp_path):
    both = [("dmtrl", 0), ("dmtrl", 1)]
    a = write_run({"mmwfanet": 0.9, "dmtrl": 0.7}, name="a", broken=both)
    b = write_run({"dmtrl": 0.7}, name="b")
    for runs in ([a, b], [b, a]):
        board = board_of(join_runs(runs, tmp_path / "runs", f"{runs[0].folder.name}-first"))
        (row,) = (row for row in board.rows if row.name == "dmtrl")
        assert row.lines
        assert not row.failed
        assert any("DMTRL failed in a (diverged); its row is that of b." == n for n in board.notes)


def test_one_method_with_two_results_is_refused_unless_the_first_shall_stand(
    mine, write_run, tmp_path
):
    other = write_run({"unet3d": 0.5, "fcn3d": 0.8}, name="other")
    out = tmp_path / "new"
    with pytest.raises(UserError, match=r"'unet3d' is there with other results.*--keep-first"):
        join_runs([mine, other], out)
    assert not out.exists()
    found = join_runs([mine, other], out, keep_first=True)
    cells = {c["folder"] for c in found.plan["cells"] if c["method"] == "unet3d"}
    assert cells == {c["folder"] for c in mine.plan["cells"] if c["method"] == "unet3d"}
    assert any("3D U-Net is also in other" in note for note in board_of(found).notes)


def test_equal_results_stand_once(mine, write_run, tmp_path):
    other = write_run({"unet3d": 0.85, "fcn3d": 0.8}, name="other")
    found = join_runs([mine, other], tmp_path / "runs")
    assert [m["name"] for m in found.plan["methods"]] == ["mmwfanet", "unet3d", "fcn3d"]
    assert found.plan["joined"]["notes"] == []


def test_a_reference_that_another_machine_rounded_is_one_reference(mine, theirs, tmp_path):
    put_reference(theirs, lambda scores: scores * (1 + 1e-9))
    found = join_runs([mine, theirs], tmp_path / "runs")
    references = [cell.reference for cell in read_cells(found)]
    assert all(np.array_equal(references[0], other) for other in references[1:])


def test_another_reference_is_refused(mine, theirs, tmp_path):
    put_reference(theirs, lambda scores: scores + 0.1)
    with pytest.raises(UserError, match=r"differ by up to 0\.1 .*the scans are not the same"):
        join_runs([mine, theirs], tmp_path / "runs")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"suite": "another"}, "suite another, but tiny"),
        ({"seeds": (0, 1, 2)}, r"seeds \[0, 1, 2\], but \[0, 1\]"),
        ({"fingerprint": "cd" * 16}, "content of the cohort"),
        ({"split": "s2"}, "split s2, but s1"),
        ({"settings": {"width": 16}}, "width 16, but 8"),
        ({"settings": {"budget": "9 steps"}}, "budget 9 steps, but 5 steps"),
        ({"settings": {"options": {"unet3d": {"depth": 1}}}}, "options"),
    ],
)
def test_what_was_not_made_alike_is_refused_in_one_line(
    mine, write_run, tmp_path, capsys, other, words
):
    unlike = write_run({"fcn3d": 0.8}, name="unlike", **other)
    with pytest.raises(UserError, match=words):
        join_runs([mine, unlike], tmp_path / "runs")
    status = main(["join", str(mine.folder), str(unlike.folder), "--out", str(tmp_path / "runs")])
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not list((tmp_path / "runs").glob("*/*joined*"))


def test_unlike_number_formats_stand_on_one_board_that_names_them(mine, write_run, tmp_path):
    half = write_run({"dmtrl": 0.7}, name="half", settings={"precision": "bfloat16"})
    out = tmp_path / "runs"
    found = join_runs([mine, half], out, "both")
    board = board_of(found)
    rows = {row.name: row for row in board.rows}
    assert rows["dmtrl"].title == "DMTRL [2]"
    assert "number format bfloat16 (float32)" in rows["dmtrl"].notes[0]
    (note,) = (note for note in board.notes if note.startswith("Number formats differ"))
    assert "float32: MMWFAnet, 3D U-Net; bfloat16: DMTRL [2]" in note
    assert dict(board.facts)["recipe"].endswith("float32 | bfloat16")
    # judged together, and joined with a third, it says so too
    assert any("2 number formats" in text for text in join([found]).notes)
    third = write_run({"fcn3d": 0.8}, name="third", settings={"precision": "bfloat16"})
    again = board_of(join_runs([third, found], out, "three"))
    assert any("bfloat16: 3D FCN, DMTRL" in text for text in again.notes)


def test_rows_of_one_number_format_bring_no_word_of_it(mine, write_run, tmp_path):
    other = write_run({"fcn3d": 0.8}, name="other")
    found = join_runs([mine, other], tmp_path / "runs")
    notes = [*board_of(found).notes, *join([found]).notes]
    assert not any("umber format" in text for text in notes)
    assert dict(board_of(found).facts)["recipe"].endswith("cosine, float32")


def test_a_cell_of_another_number_format_than_its_run_says_is_refused(write_run, mine, tmp_path):
    half = write_run({"dmtrl": 0.7}, name="half", settings={"precision": "bfloat16"})
    found = join_runs([mine, half], tmp_path / "runs", "both")
    found.plan["joined"]["parts"][1]["precision"] = "float32"
    with pytest.raises(UserError, match="precision bfloat16 on a board of float32"):
        board_of(found)


def test_seconds_of_two_devices_are_no_one_budget(write_run, theirs, tmp_path):
    seconds = {"budget": "5 s"}
    a = write_run(FIRST, name="a", settings=seconds)
    b = write_run({"fcn3d": 0.8}, name="b", settings=seconds)
    c = write_run({"dmtrl": 0.8}, name="c", settings=seconds, device_name="another machine")
    join_runs([a, b], tmp_path / "runs")
    with pytest.raises(UserError, match="a second of one is not a second of another"):
        join_runs([a, c], tmp_path / "runs")


def test_a_joined_board_can_be_joined_again(mine, theirs, write_run, tmp_path):
    both = join_runs([mine, theirs], tmp_path / "runs", "both")
    third = write_run({"fcn3d": 0.8}, name="third", key={"harness": "dd" * 8})
    found = join_runs([both, third], tmp_path / "runs", "three")
    parts = found.plan["joined"]["parts"]
    assert [part["run"] for part in parts] == ["mine", "theirs", "third"]
    titles = [row.title for row in board_of(found).rows]
    assert titles == ["MMWFAnet", "3D U-Net", "DMTRL [2]", "3D FCN [3]"]


def test_boards_of_two_suites_are_judged_together(mine, theirs, write_run, tmp_path):
    both = join_runs([mine, theirs], tmp_path / "runs", "both")
    other = write_run({"mvl": 0.9, "avl": 0.9}, suite="second", name="other")
    rows = join([both, other]).rows
    assert set(rows) == {"mmwfanet", "unet3d", "dmtrl", "mvl", "avl"}
    found = compare(both, mine)
    assert not found.unpaired


def test_a_name_that_is_taken_or_no_name_is_refused(mine, theirs, tmp_path):
    runs = tmp_path / "runs"
    with pytest.raises(UserError, match="is another run; choose another --name"):
        join_runs([mine, theirs], runs, "mine")
    with pytest.raises(UserError, match="must be the name of a folder"):
        join_runs([mine, theirs], runs, "../mine")
    with pytest.raises(UserError, match="at least two"):
        join_runs([mine], runs)
    with pytest.raises(UserError, match="named twice"):
        join_runs([mine, mine], runs)
    join_runs([mine, theirs], runs, "both")
    join_runs([mine, theirs], runs, "both")  # the same again


def test_another_result_of_the_same_name_is_not_overwritten(mine, theirs, tmp_path):
    other = tmp_path / "runs" / "cells" / theirs.plan["cells"][0]["folder"]
    shutil.copytree(tmp_path / "stick" / "cells" / other.name, other)
    path = other / "predictions.npz"
    arrays = dict(np.load(path))
    arrays["head"] = arrays["head"] * 2
    np.savez_compressed(path, **arrays)
    from benchmark.manifest import write_manifest

    write_manifest(other)
    with pytest.raises(UserError, match="choose another folder with --out"):
        join_runs([mine, theirs], tmp_path / "runs")
    plans = [json.loads(p.read_text()) for p in (tmp_path / "runs").glob("*/*/plan.json")]
    assert not any("joined" in plan for plan in plans)
