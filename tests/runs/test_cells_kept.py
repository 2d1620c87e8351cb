"""Running: what is finished stays, what failed is tried again, and nothing is half written."""

import errno
import json
import shutil

import numpy as np
import pytest
import torch

from benchmark.errors import UserError
from benchmark.runs.finished import find_run, read_cells
from benchmark.runs.store import Store
from benchmark.training.loop import CellFailed


def cells_in(folder):
    """Names of all that lies beside the cells' locks: cells, and what was left half written."""
    return sorted(p.name for p in (folder / "runs" / "cells").iterdir() if p.name != ".locks")


def test_every_method_runs_once_and_is_kept(make_run, trainer):
    first, _ = make_run(seeds=2)
    assert trainer.calls == [
        (name, seed) for name in ("unet3d", "dmtrl", "mmwfanet", "all-lad") for seed in (0, 1)
    ]
    trainer.calls.clear()
    again, display = make_run(seeds=2)
    assert trainer.calls == []
    assert trainer.prepared == 1, "scans are not even read when nothing is left to train"
    assert again.folder == first.folder
    assert display.text.count("kept from before") == 8


def test_the_plan_is_told_before_anything_is_trained(make_run, trainer):
    _, display = make_run()
    start = next(i for i, line in enumerate(display.lines) if "started" in line)
    before = "\n".join(display.lines[:start])
    for words in ("20 training and 12 test scans", "5 steps", "4 of 4", "unet3d, dmtrl, mmwfanet"):
        assert words in before


def test_time_is_foretold_from_the_budget(make_run):
    _, display = make_run(changes=(("budget", "100 s"),))
    assert "about 6 min of training" in display.text  # 3 trained methods x 100 s and a tenth


def test_cells_are_shared_between_runs_and_apart_for_another_recipe(make_run, trainer):
    whole, _ = make_run()
    trainer.calls.clear()
    part, _ = make_run(methods=("dmtrl",))
    assert trainer.calls == []
    assert part.folder != whole.folder
    make_run(methods=("dmtrl",), changes=(("learning_rate", "0.01"),))
    make_run(methods=("dmtrl",), first_seed=5)
    make_run(methods=("dmtrl",), threads=2)
    assert trainer.calls == [("dmtrl", 0), ("dmtrl", 5), ("dmtrl", 0)]


def test_an_option_of_one_method_retrains_that_method_alone(make_run, trainer):
    make_run()
    trainer.calls.clear()
    make_run(changes=(("options.mmwfanet.stem_stride", "4"),))
    assert trainer.calls == [("mmwfanet", 0)]


def test_a_changed_file_of_a_users_method_makes_a_new_run(make_run, trainer, tmp_path):
    path = tmp_path / "own.py"
    path.write_text("class Net:\n    outputs = ('mask',)\n", encoding="utf-8")
    name = f"{path}:Net"
    outcome, _ = make_run(methods=(name,))
    make_run(methods=(name,))
    assert trainer.calls == [(name, 0)]
    path.write_text("class Net:\n    outputs = ('mask',)\n    depth = 3\n", encoding="utf-8")
    make_run(methods=(name,))
    assert trainer.calls == [(name, 0)] * 2
    assert outcome.cells[0].folder.startswith("own-Net-seed0-")


def test_a_failing_method_does_not_stop_the_others_and_is_tried_again(make_run, trainer):
    trainer.faults = {"dmtrl": CellFailed("loss became nan at step 3", "Traceback: here")}
    outcome, display = make_run()
    assert [cell.method for cell in outcome.failed] == ["dmtrl"]
    assert outcome.failed[0].reason == "loss became nan at step 3"
    assert len(outcome.cells) == 4
    assert "FAILED: loss became nan" in display.text
    log = outcome.folder.parents[1] / "cells" / outcome.failed[0].folder / "log.txt"
    assert "Traceback: here" in log.read_text(encoding="utf-8")
    trainer.faults = {}
    trainer.calls.clear()
    mended, _ = make_run()
    assert trainer.calls == [("dmtrl", 0)]
    assert not mended.failed


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (RuntimeError("shapes\n  do not match"), "RuntimeError: shapes do not match"),
        (MemoryError(), "out of memory, at most "),
        (FileNotFoundError(errno.ENOENT, "No such file", "weights.bin"), "FileNotFoundError"),
    ],
)
def test_any_error_of_a_network_is_its_own(make_run, trainer, fault, reason):
    trainer.faults = {"unet3d": fault}
    outcome, _ = make_run()
    assert outcome.failed[0].reason.startswith(reason)
    assert "\n" not in outcome.failed[0].reason


def test_a_full_disk_ends_the_run_and_leaves_nothing(make_run, trainer, monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        make_run()
    assert trainer.calls == [("unet3d", 0)]
    assert cells_in(tmp_path) == []


def test_an_interrupted_run_goes_on_where_it_was(make_run, trainer, tmp_path):
    trainer.faults = {"mmwfanet": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        make_run()
    assert [name.split("-")[0] for name in cells_in(tmp_path)] == ["dmtrl", "unet3d"]
    trainer.faults = {}
    trainer.calls.clear()
    make_run()
    assert trainer.calls == [("mmwfanet", 0), ("all-lad", 0)]


def test_what_was_kept_comes_back_as_it_was(make_run, trainer, tmp_path):
    trainer_state = {"a.weight": torch.arange(6.0).reshape(2, 3)}
    trainer_state["b.tied"] = trainer_state["a.weight"]
    plain = type(trainer).run_cell

    def with_state(*arguments):
        result = plain(trainer, *arguments)
        result.state = trainer_state
        trainer.last = result
        return result

    trainer.run_cell = with_state
    outcome, _ = make_run(methods=("mmwfanet",))
    cell = Store(tmp_path / "runs").read(outcome.cells[0].folder)
    for name in ("reference", "mask", "head", "tp", "fp", "fn", "worst_fp"):
        np.testing.assert_array_equal(getattr(cell, name), getattr(trainer.last, name))
    assert cell.ids == tuple(trainer.last.ids)
    assert cell.ledger["steps"] == 5
    assert cell.notes == ("MMWFAnet is a fake.",)
    from safetensors.torch import load_file

    folder = tmp_path / "runs" / "cells" / cell.folder
    weights = load_file(folder / "checkpoint.safetensors")
    assert torch.equal(weights["a.weight"], trainer_state["a.weight"])
    with np.load(folder / "predictions.npz", allow_pickle=False) as file:
        assert file["components_start"].tolist() == list(range(0, 37, 3))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"suite": "tabel1"}, "did you mean 'table1'"),
        ({"methods": ("unet",)}, "did you mean 'unet3d'"),
        ({"scale": "smoky"}, "did you mean 'smoke'"),
        ({"scale": "full"}, "has no scale 'full'"),
        ({"cohort": "fantom"}, "did you mean 'phantom'"),
        ({"seeds": 0}, "--seeds"),
        ({"changes": (("train", "500"),)}, "500"),
        ({"changes": (("options.unet.depth", "3"),)}, "did you mean 'unet3d'"),
        ({"changes": (("budget", "5 minutes"),)}, "cannot read the budget"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(make_run, tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        make_run(**options)
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_training(make_run, trainer, tmp_path):
    (tmp_path / "a file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="choose another folder with --out"):
        make_run(out=tmp_path / "a file" / "runs")
    assert trainer.calls == []


def test_a_tier_made_for_676_scans_takes_what_a_small_cohort_has(make_run):
    outcome, _ = make_run(patients=10)
    split = outcome.plan["split"]
    assert len(split["train"]) + len(split["test"]) == 10


def test_runs_are_found_by_suite_folder_and_age(make_run, tmp_path):
    out = tmp_path / "runs"
    with pytest.raises(UserError, match="no runs"):
        find_run(None, out)
    first, _ = make_run(methods=("dmtrl",))
    last, _ = make_run(methods=("unet3d",))
    assert find_run(str(first.folder), out).folder == first.folder
    assert find_run(first.folder.name, out).folder == first.folder
    assert find_run("tiny", out).folder in (first.folder, last.folder)
    with pytest.raises(UserError, match="did you mean 'tiny'"):
        find_run("tinny", out)
    cell = out / "cells" / last.cells[0].folder / "run.json"
    cell.write_text(cell.read_text(encoding="utf-8")[:40], encoding="utf-8")
    with pytest.raises(UserError, match="damaged"):
        read_cells(find_run(str(last.folder), out))
    shutil.rmtree(cell.parent)
    with pytest.raises(UserError, match="1 of 1 runs are not there"):
        read_cells(find_run(str(last.folder), out))


def test_the_plan_on_disk_names_every_scan(make_run):
    outcome, _ = make_run()
    plan = json.loads((outcome.folder / "plan.json").read_text(encoding="utf-8"))
    assert plan == outcome.plan
    assert len(plan["split"]["train"]) == 20
    assert not set(plan["split"]["train"]) & set(plan["split"]["test"])
