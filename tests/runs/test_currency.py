"""A cell's key: what a change retrains, how a list tells why, and what `clean` removes."""

import json
import os

import pytest
from click.testing import CliRunner

from benchmark.cli import cli
from benchmark.runs import plan as plan_module
from benchmark.runs.currency import currency
from benchmark.runs.finished import FinishedRun
from benchmark.runs.lock import Locks
from benchmark.runs.store import LOCKS, Store
from benchmark.suites.load import load_suite

NETWORK = "class Net:\n    outputs = ('mask',)\n    depth = {depth}\n"


def networks(folder, **depths):
    """Files of users' networks; their names for --methods."""
    for name, depth in depths.items():
        (folder / f"{name}.py").write_text(NETWORK.format(depth=depth), encoding="utf-8")
    return tuple(f"{folder / name}.py:Net" for name in depths)


def told(outcome):
    return str(currency(FinishedRun(outcome.folder, outcome.plan)))


def test_a_changed_line_retrains_that_network_and_no_other(make_run, trainer, tmp_path):
    names = (*networks(tmp_path, first=1, second=1), "unet3d")
    outcome, _ = make_run(methods=names)
    assert told(outcome).startswith("current")
    trainer.calls.clear()
    networks(tmp_path, first=2)
    assert "stale (" in told(outcome)
    assert f"{names[0]}: the network's code" in told(outcome)
    assert names[1] not in told(outcome)
    again, _ = make_run(methods=names)
    assert trainer.calls == [(names[0], 0)]
    assert told(again).startswith("current")


@pytest.mark.parametrize("library", plan_module.LIBRARIES)
def test_library_versions_are_part_of_the_key(library, make_run, trainer, monkeypatch):
    outcome, _ = make_run(methods=("unet3d",))
    plain = plan_module.version
    with monkeypatch.context() as patch:
        patch.setattr(plan_module, "version", lambda n: "0.1" if n == library else plain(n))
        old, _ = make_run(methods=("unet3d",))
    assert len(trainer.calls) == 2
    assert f"unet3d: {library} 0.1, now {plain(library)}" in told(old)
    assert told(outcome).startswith("current")


def test_the_harness_and_the_settings_are_part_of_it(make_run, trainer, monkeypatch, tmp_path):
    from benchmark.runs import currency as module

    outcome, _ = make_run(methods=("unet3d", "dmtrl"))
    with monkeypatch.context() as patch:
        patch.setattr(module, "harness_hash", lambda: "another")
        assert "stale (the harness's code)" in told(outcome)
    # the suite is a file of the test's own, which a plan names by its name alone
    assert "not compared: settings, cohort and split (no suite 'tiny' here)" in told(outcome)


def test_settings_cohort_and_split_are_compared_with_the_suites(make_run, tmp_path):
    outcome, _ = make_run(methods=("unet3d",))
    plan = json.loads(json.dumps(outcome.plan)) | {"suite": "table1"}
    plan["cohort"]["name"] = "phantom"
    plan["settings"]["options"] = load_suite("table1").scales[plan["scale"]].settings.options
    text = str(currency(FinishedRun(outcome.folder, plan)))
    assert "settings (budget, width)" in text
    assert "the cohort" in text
    assert "the split" in text
    # what was asked for is no difference
    plan["asked"]["changes"] = [["budget", "5 steps"], ["width", "8"]]
    assert "settings" not in str(currency(FinishedRun(outcome.folder, plan)))


def test_the_list_says_how_runs_stand(make_run, tmp_path):
    names = networks(tmp_path, first=1)
    outcome, _ = make_run(methods=(*names, "dmtrl"))
    networks(tmp_path, first=2)
    for word in ("runs", "--runs"):
        result = CliRunner().invoke(cli, ["list", word, "--out", str(tmp_path / "runs")])
        assert "the network's code" in result.output, result.output
    cell = tmp_path / "runs" / "cells" / outcome.cells[1].folder
    os.truncate(cell / "predictions.npz", 10)
    result = CliRunner().invoke(cli, ["list", "runs", "--out", str(tmp_path / "runs")])
    assert "predictions.npz has 10 bytes" in result.output


def test_clean_asks_and_removes_what_no_command_would_use(make_run, tmp_path):
    names = networks(tmp_path, first=1)
    outcome, _ = make_run(methods=(*names, "dmtrl"))
    networks(tmp_path, first=2)
    cells = tmp_path / "runs" / "cells"
    stale, current = (cell.folder for cell in outcome.cells)
    for name in (".partial-gone-seed0-12", f".draft-{current}-abcdefgh", ".partial-busy-seed0-12"):
        (cells / name).mkdir()
        (cells / name / "file").write_bytes(b"x" * 1000)
    held = Locks(cells / LOCKS).take("busy-seed0-12", print)
    run = ["clean", "--out", str(tmp_path / "runs")]
    for answer in ("n\n", ""):
        result = CliRunner().invoke(cli, run, input=answer)
        assert "nothing removed" in result.output
        assert (cells / stale).is_dir()
    assert f"{stale}  " in result.output
    assert "the network's code" in result.output
    assert "Remove these 3 folders" in result.output
    result = CliRunner().invoke(cli, [*run, "--yes"])
    assert "3 of 3 folders removed" in result.output
    held.release()
    left = sorted(path.name for path in cells.iterdir())
    assert left == sorted([".locks", ".partial-busy-seed0-12", current])
    assert Store(tmp_path / "runs").finished(current)
