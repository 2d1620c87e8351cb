"""``benchmark check`` from the command line, on the fake cohort and trainer."""

import json
from xml.etree import ElementTree

import pytest

from benchmark.cli import main
from benchmark.regression import conditions
from benchmark.training.loop import CellFailed


def test_an_update_writes_figures_seeds_machine_and_reason(kept, tmp_path):
    values = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert values["reason"] == "the first"
    assert values["seeds"] == list(range(100, 110))
    assert values["machine"]["device_name"] == "a fake machine"
    names = {(f["method"], f["source"], f["metric"], f["target"]) for f in values["figures"]}
    for name in (
        ("unet3d", "mask", "F1", "LCX"),
        ("unet3d", "mask", "PPV", "whole"),
        ("mmwfanet", "head", "ICC", "mean"),
        ("mmwfanet", "mask", "kappa", "whole"),
        ("dmtrl", "head", "MAE_MS", "whole"),
        ("all-lad", "mask", "ICC_AS", "RCA"),
    ):
        assert name in names
    assert {len(f["values"]) for f in values["figures"]} == {10}
    assert set(values["costs"]) == {"unet3d", "dmtrl", "mmwfanet"}


def test_an_unchanged_tree_passes(kept, fake_check, capsys):
    fake_check.calls.clear()
    assert kept() == 0
    assert {seed for _, seed in fake_check.calls} == {0, 1}, "seeds that the baseline lacks"
    text = capsys.readouterr().out
    assert "passed: " in text
    assert "mmwfanet" in text


def test_a_fall_fails_and_every_output_names_it(kept, fake_check, tmp_path, capsys, monkeypatch):
    fake_check.skill["unet3d"] = 0.3
    job = tmp_path / "job.md"
    job.write_text("of another step\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(job))
    junit, summary = tmp_path / "new" / "j.xml", tmp_path / "new" / "s.md"
    assert kept("--junit", str(junit), "--summary", str(summary)) == 1
    text = capsys.readouterr().out
    assert "FAILED     unet3d, mask: F1 whole: " in text
    assert "FAILED     mmwfanet" not in text
    assert "::error title=benchmark check tiny%2C fell::unet3d, mask: " in text
    failures = ElementTree.parse(junit).getroot().findall(".//failure")
    assert any(f.get("message").startswith("unet3d, mask: F1 whole") for f in failures)
    assert "**failed: " in summary.read_text(encoding="utf-8")
    assert job.read_text(encoding="utf-8") == "of another step\n" + summary.read_text("utf-8")


def test_no_annotations_outside_github(kept, fake_check, capsys, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    fake_check.skill["unet3d"] = 0.3
    assert kept() == 1
    assert "::error" not in capsys.readouterr().out
    assert kept("--github") == 1
    assert "::error" in capsys.readouterr().out


def test_a_gain_passes_and_is_told(kept, fake_check, capsys):
    fake_check.skill["dmtrl"] = 1.0
    assert kept() == 0
    assert "better     dmtrl, head: " in capsys.readouterr().out


def test_a_training_that_fails(kept, fake_check, capsys):
    fake_check.faults = {"dmtrl": CellFailed("loss became nan")}
    assert kept() == 1
    assert "FAILED     dmtrl, seed 0 failed: loss became nan" in capsys.readouterr().out


def test_a_slower_step_is_measured_again_and_then_fails(kept, fake_check, capsys):
    fake_check.costs = {"unet3d": (5.0, 1e8)}
    assert kept() == 1
    assert "unet3d: step time is 5.00 times the baseline's" in capsys.readouterr().out
    assert kept("--no-costs") == 0


def refused(capsys):
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("budget: 5 steps", "budget: 6 steps", "setting budget (5 steps there, 6 steps here)"),
        ("methods: [unet3d, dmtrl, ", "methods: [unet3d, fcn3d, ", "methods ("),
        ("test: 12", "test: 11", "test scans (12 there, 11 here)"),
        ("budget: 5 steps", "budget: 70 s", "give it a budget in steps"),
    ],
)
def test_other_conditions_are_refused_before_training(
    kept, fake_check, suite_file, capsys, old, new, words
):
    text = suite_file.read_text(encoding="utf-8")
    assert old in text
    suite_file.write_text(text.replace(old, new), encoding="utf-8")
    fake_check.calls.clear()
    assert kept() == 2
    assert words in refused(capsys)
    assert fake_check.calls == []


def test_another_version_of_the_metrics_is_refused(kept, monkeypatch, capsys):
    monkeypatch.setattr(conditions, "METRICS_VERSION", 99)
    assert kept() == 2
    assert "metrics version (1 there, 99 here)" in refused(capsys)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--update"], "--reason TEXT"),
        (["--update", "--reason", "  "], "--reason TEXT"),
        (["--reason", "so"], "belongs to --update"),
        (["--update", "--reason", "so", "--simulate", "5"], "at once"),
        (["--scale", "quick"], "has no scale 'quick'"),
        (["--seed", "101"], "seed 101 is one of the baseline's"),
        (["--junit", "."], "it is a folder"),
    ],
)
def test_what_cannot_be_done_is_refused(kept, fake_check, tmp_path, capsys, more, words):
    before = (tmp_path / "b.json").read_text(encoding="utf-8")
    fake_check.calls.clear()
    assert kept(*more) == 2
    assert words in refused(capsys)
    assert fake_check.calls == []
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == before


def test_no_baseline_or_a_damaged_one(command, fake_check, tmp_path, capsys):
    assert command() == 2
    assert "no such baseline; make one with: benchmark check --suite" in refused(capsys)
    (tmp_path / "b.json").write_text('{"format": 1', encoding="utf-8")
    assert command() == 2
    assert "not a whole baseline" in refused(capsys)
    assert command("--update", "--reason", "so") == 2, "its history would be lost"
    assert "not a whole baseline" in refused(capsys)
    assert fake_check.calls == []


def test_reasons_of_earlier_baselines_stay(kept, tmp_path, capsys):
    for reason in ("the second\nin two lines", "the third"):
        assert kept("--update", "--reason", reason, "--seeds", "10") == 0
    values = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert [entry["reason"] for entry in values["history"]] == [
        "the first",
        "the second in two lines",
    ]
    assert values["reason"] == "the third"
    assert "reason 3" in capsys.readouterr().out


def test_an_update_after_a_failed_training_writes_nothing(kept, fake_check, tmp_path, capsys):
    before = (tmp_path / "b.json").read_text(encoding="utf-8")
    fake_check.faults = {"dmtrl": CellFailed("loss became nan")}
    assert kept("--update", "--reason", "so", "--seeds", "11") == 2
    assert "not written, since dmtrl, seed 110 failed" in refused(capsys)
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == before


def test_simulated_checks_train_nothing(kept, fake_check, capsys):
    fake_check.calls.clear()
    status = kept("--simulate", "50")
    text = capsys.readouterr().out
    assert fake_check.calls == []
    assert "of 50 simulated checks passed (2 of the 10 seeds judged by 6, " in text
    assert (status == 0) == ("50 of 50" in text)
    assert "promised: 1 %" in text


def test_few_seeds_cannot_be_divided(command, capsys):
    assert command("--update", "--reason", "x", "--seeds", "3") == 0
    capsys.readouterr()
    assert command("--simulate", "5") == 2
    assert "3 seeds cannot be divided" in refused(capsys)


def test_help_of_check_is_among_the_commands(capsys):
    assert main(["--help"]) == 0
    assert "Compare small trainings with a kept baseline" in capsys.readouterr().out


def test_a_check_says_of_how_many_patients_its_figures_are():
    from benchmark.regression.checking import sample_of

    plan = {"split": {"train": ["a"], "test": [f"t{i}" for i in range(6)]}}
    known = {"known": True, "together": [["t0", "t1"], ["t2", "t3"]]}
    assert (
        sample_of(plan | {"patients": known}) == "1 training and 6 test scans of 1 and 4 patients"
    )
    one = {"known": True, "together": [plan["split"]["test"]]}
    assert "with fewer than 3 test patients" in sample_of(plan | {"patients": one})


def test_every_output_of_a_check_says_it(kept, tmp_path, capsys):
    junit, summary = tmp_path / "j.xml", tmp_path / "s.md"
    assert kept("--junit", str(junit), "--summary", str(summary)) == 0
    words = "20 training and 12 test scans"
    assert f"scans      {words}" in capsys.readouterr().out
    assert words in summary.read_text(encoding="utf-8")
    (told,) = ElementTree.parse(junit).getroot().iter("system-out")
    assert words in told.text
