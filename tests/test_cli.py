"""The command line as a person meets it: speed, exit statuses, one line for what is wrong."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import main
from benchmark.training.loop import CellFailed

ROOT = Path(__file__).parents[1]
SMOKE = ("--no-figures", "--scale", "smoke", "--device", "cpu", "--threads", "1", "--plain")


def in_new_process(code: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )


WATCH = """
import sys
from benchmark.cli import main
status = main(sys.argv[1:])
heavy = {"torch", "scipy", "pandas", "SimpleITK", "matplotlib"} & set(sys.modules)
print("HEAVY", sorted(heavy), file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["list", "methods"], ["list", "suites"]]
)
def test_help_and_lists_import_nothing_heavy(arguments):
    done = in_new_process(WATCH, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "HEAVY []"


def test_help_is_quick():
    """Processor seconds, which other work on the machine hardly changes."""

    def spent() -> float:
        times = os.times()
        return times.children_user + times.children_system

    needed = []
    for _ in range(3):
        before = spent()
        assert in_new_process("from benchmark.cli import main; main(['--help'])").returncode == 0
        needed.append(spent() - before)
        if needed[-1] < 0.4:
            return
    pytest.fail(f"benchmark --help took {min(needed):.2f} s of a core")


def test_show_makes_the_board_again_without_torch(tiny_outcome):
    done = in_new_process(WATCH, "show", str(tiny_outcome.folder))
    assert done.returncode == 0, done.stderr
    assert "MMWFAnet" in done.stdout
    assert "torch" not in done.stderr


def test_run_prints_plan_board_and_files(fake_cli, suite_file, tmp_path, capsys):
    out = tmp_path / "runs"
    assert main(["run", "--suite", str(suite_file), *SMOKE, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    order = [text.index(w) for w in ("to run   4 of 4", "[4/4]", "F1 to", "4 of 4 runs finished")]
    assert order == sorted(order)
    for name in ("leaderboard.md", "leaderboard.csv", "leaderboard.json", "per_scan.csv"):
        path = next(out.glob(f"tiny/*/{name}"))
        assert str(path) in text


def test_the_same_command_trains_nothing_again(fake_cli, suite_file, tmp_path, capsys):
    command = ["run", "--suite", str(suite_file), *SMOKE, "--out", str(tmp_path / "runs")]
    assert main(command) == 0
    calls = len(fake_cli.calls)
    assert main(command) == 0
    assert len(fake_cli.calls) == calls
    assert len(list((tmp_path / "runs" / "tiny").iterdir())) == 1


def test_a_failed_method_gives_status_1_and_a_whole_board(fake_cli, suite_file, tmp_path, capsys):
    fake_cli.faults = {"dmtrl": CellFailed("loss became nan")}
    status = main(["run", "--suite", str(suite_file), *SMOKE, "--out", str(tmp_path / "runs")])
    assert status == 1
    text = capsys.readouterr().out
    assert "3 of 4 runs finished" in text
    assert "failed: DMTRL, seed 0: loss became nan" in text
    assert "3D U-Net" in text


def test_an_interruption_says_how_to_go_on(fake_cli, suite_file, tmp_path, capsys):
    fake_cli.faults = {"dmtrl": KeyboardInterrupt()}
    status = main(["run", "--suite", str(suite_file), *SMOKE, "--out", str(tmp_path / "runs")])
    assert status == 130
    error = capsys.readouterr().err
    assert "the same command goes on" in error
    assert len(error.strip().splitlines()) == 1


def test_options_reach_the_run(fake_cli, suite_file, tmp_path, capsys):
    out = tmp_path / "runs"
    status = main(
        [
            "run",
            "--suite",
            str(suite_file),
            *SMOKE,
            "--out",
            str(out),
            "--methods",
            "dmtrl,unet3d",
            "--methods",
            "all-lad",
            "--seeds",
            "2",
            "--seed",
            "3",
            "--budget",
            "7 steps",
            "--set",
            "learning_rate=1e-3",
            "--set",
            "test=5",
        ]
    )
    assert status == 0
    assert fake_cli.calls == [(m, s) for m in ("dmtrl", "unet3d", "all-lad") for s in (3, 4)]
    plan = json.loads(next(out.glob("tiny/*/plan.json")).read_text(encoding="utf-8"))
    assert plan["settings"]["learning_rate"] == 0.001
    assert plan["budget"] == "7 steps"
    assert len(plan["split"]["test"]) == 5


BAD = {
    "unknown command": (["rum"], "run"),
    "unknown option": (["run", "--suit", "table1"], "--suite"),
    "no suite": (["run"], "--suite"),
    "unknown suite": (["run", "--suite", "tabel1"], "'table1'"),
    "unknown scale": (["run", "--suite", "table1", "--scale", "quik"], "'quick'"),
    "unknown method": (["run", "--suite", "table1", "--methods", "unet"], "'unet3d'"),
    "unknown cohort": (["run", "--suite", "table1", "--cohort", "fantom"], "'phantom'"),
    "no such data": (["run", "--suite", "table1", "--data", "nowhere"], "nowhere"),
    "method file": (["run", "--suite", "table1", "--methods", "no/net.py:Net"], "no/net.py"),
    "bad budget": (["run", "--suite", "table1", "--budget", "much"], "'70 s'"),
    "unknown key": (["run", "--suite", "table1", "--scale", "quick", "--set", "widht=4"], "width"),
    "no value": (["run", "--suite", "table1", "--set", "width"], "KEY=VALUE"),
    "bad value": (["run", "--suite", "table1", "--scale", "smoke", "--set", "width=x"], "width"),
    "no seeds": (["run", "--suite", "table1", "--seeds", "0"], "--seeds"),
    "a seed below 0": (["run", "--suite", "table1", "--seed", "-1"], "--seed"),
    "a huge seed": (["run", "--suite", "table1", "--seed", "9" * 20], "--seed"),
    "a last seed too large": (
        ["run", "--suite", "table1", "--scale", "smoke", "--seed", str(2**63 - 1), "--seeds", "2"],
        "the last of its seeds",
    ),
    "a million seeds": (["run", "--suite", "table1", "--seeds", "1000000"], "--seeds"),
    "a split's seed": (["run", "--suite", "table1", "--split-seed", "-1"], "--split-seed"),
    "a split's own seed": (["split", "--split-seed", "-1"], "--split-seed"),
    "a check's seed": (["check", "--seed", "-1"], "--seed"),
    "a network's seed": (["predict", "--run", "x", "--out", "o", "--seed", "-1"], "--seed"),
    "a submission's seed": (
        ["submit", "orcascore", "--run", "x", "--data", ".", "--seed", "-1"],
        "--seed",
    ),
    "a simulation's seed": (["simulate", "aa", "--first", "-1"], "--first"),
    "half a sample": (["run", "--suite", "table1", "--budget", "0.5 samples"], "whole samples"),
    "a budget below 0": (["run", "--suite", "table1", "--budget", "-1 steps"], "'300 steps'"),
    "no number of steps": (["run", "--suite", "table1", "--budget", "nan steps"], "'300 steps'"),
    "unknown list": (["list", "mehtods"], "'methods'"),
    "no runs": (["show", "--out", "empty"], "benchmark run"),
    "unknown cohort to make": (["data", "make", "--cohort", "fantom"], "'phantom'"),
    "no such image": (["score", "a.nii", "b.nii"], "a.nii"),
    "bad convention": (["score", "a.nii", "b.nii", "--min-area", "-1"], "min_area_mm2"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_one_line_and_status_2(name, tmp_path, monkeypatch, capsys):
    arguments, word = BAD[name]
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert word in output.err
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_a_broken_suite_gives_file_and_line(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nmethods: [unet3d\n", encoding="utf-8")
    assert main(["run", "--suite", str(path)]) == 2
    assert f"{path}:3: broken YAML" in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_made(fake_cli, suite_file, tmp_path, capsys):
    (tmp_path / "file").write_text("", encoding="utf-8")
    out = tmp_path / "file" / "runs"
    assert main(["run", "--suite", str(suite_file), *SMOKE, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "--out" in error
    assert error.count("\n") == 1
    assert fake_cli.calls == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no space left"), (errno.EACCES, "no permission"), (errno.EROFS, "read-only")],
)
def test_a_disk_that_fails_midway(
    fake_cli, suite_file, tmp_path, monkeypatch, capsys, number, words
):
    def fails(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(np, "savez_compressed", fails)
    out = tmp_path / "runs"
    assert main(["run", "--suite", str(suite_file), *SMOKE, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("form", ["terminal", "markdown", "csv", "json"])
def test_show_in_every_form(tiny_outcome, capsys, form):
    assert main(["show", str(tiny_outcome.folder), "--format", form]) == 0
    text = capsys.readouterr().out
    assert "MMWFAnet" in text or "mmwfanet" in text
    if form == "json":
        assert json.loads(text)["suite"] == "tiny"


def test_runs_are_listed(tiny_outcome, capsys):
    assert main(["list", "runs", "--out", str(tiny_outcome.folder.parents[1])]) == 0
    assert str(tiny_outcome.folder) in capsys.readouterr().out


@pytest.fixture
def scan_files(tmp_path):
    """A scan of 3 x 8 x 8 voxels of 1 mm3 with one LAD lesion of 4 voxels at 250 HU."""
    import SimpleITK as sitk

    voxels = np.full((3, 8, 8), -1000, np.int16)
    labels = np.zeros((3, 8, 8), np.uint8)
    voxels[1, 2:4, 2:4] = 250
    labels[1, 2:4, 2:4] = 1
    paths = {}
    for part, array in (("images", voxels), ("labels", labels)):
        (tmp_path / "scans" / part).mkdir(parents=True)
        paths[part] = tmp_path / "scans" / part / "p1.nii.gz"
        sitk.WriteImage(sitk.GetImageFromArray(array), str(paths[part]))
    return paths


def test_score_of_a_scan_by_hand(scan_files, capsys):
    image, labels = str(scan_files["images"]), str(scan_files["labels"])
    assert main(["score", image, labels, "--format", "json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    # 4 mm2 with weight 2, scaled from 1 mm to 3 mm slices; 4 mm3
    assert scores["agatston"]["LAD"] == pytest.approx(4 * 2 / 3)
    assert scores["volume"]["whole"] == 4
    assert scores["mass"]["RCA"] == 0
    assert main(["score", image, labels, "--no-thickness-correction", "--format", "csv"]) == 0
    assert "p1,agatston,LAD,8" in capsys.readouterr().out
    assert main(["score", image, labels, "--threshold", "300"]) == 0
    assert "0.0" in capsys.readouterr().out


def test_score_says_what_the_check_says(scan_files, capsys):
    import SimpleITK as sitk

    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(scan_files["labels"])))
    sitk.WriteImage(sitk.GetImageFromArray(np.roll(labels, 1, 2)), str(scan_files["labels"]))
    arguments = ["score", str(scan_files["images"]), str(scan_files["labels"])]
    assert main([*arguments, "--format", "json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["volume"]["LAD"] == 2
    assert captured.err.startswith(
        "warning: p1: 2 labelled voxels not above 130 HU were dropped: 4.0 mm3 drawn, 2.0 mm3 "
        "left\n"
    )
    assert "most of" not in captured.err
    sitk.WriteImage(sitk.GetImageFromArray(np.roll(labels, 3, 2)), str(scan_files["labels"]))
    assert main([*arguments, "--format", "csv"]) == 0
    captured = capsys.readouterr()
    assert "most of what is drawn is no calcium" in captured.err
    assert "warning" not in captured.out


def test_a_folder_of_scans_is_checked(scan_files, capsys):
    folder = scan_files["images"].parents[1]
    cache = str(folder / "cache")
    assert main(["data", "check", "--data", str(folder), "--cache", cache]) == 2
    assert "1 scans are too few" in capsys.readouterr().err
    scan_files["labels"].unlink()
    assert main(["data", "check", "--data", str(folder), "--cache", cache]) == 1
    output = capsys.readouterr().out
    assert "refused" in output
    assert "p1" in output
