"""Owners of cells: one at a time, and nobody waits for a process that is gone."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_killed import SUITE, Killed, figures, read_until_ready

from benchmark.runs import lock as lock_module
from benchmark.runs import schedule
from benchmark.runs.lock import Locks, Owner
from benchmark.runs.store import LOCKS


@pytest.fixture
def locks(tmp_path):
    return Locks(tmp_path / LOCKS)


def silent(line):
    raise AssertionError(line)


def elsewhere(locks, name="cell"):
    """An owner on another machine."""
    locks.folder.mkdir(parents=True, exist_ok=True)
    locks.write(name, Owner("t", "node7", "node7 boot", ((1, "1"),), "2026-01-01"))


def test_a_cell_has_one_owner_until_it_is_given_back(locks):
    held = locks.take("cell", silent)
    assert locks.take("cell", silent) is None
    assert Locks(locks.folder).take("cell", silent) is None
    assert str(os.getpid()) in str(locks.busy("cell"))
    other = locks.take("other", silent)
    held.release()
    again = locks.take("cell", silent)
    assert again is not None
    again.release()
    other.release()
    assert [path.name for path in locks.folder.iterdir() if path.suffix == ".json"] == []


def test_of_many_that_ask_at_once_one_gets_it(locks):
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(Locks(locks.folder).take("cell", silent)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(held is not None for held in got) == 1


def test_a_process_that_is_gone_loses_its_cell_with_a_line(locks):
    code = f"""
from pathlib import Path
from benchmark.runs.lock import Locks
assert Locks(Path({str(locks.folder)!r})).take("cell", print)
import os; os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert locks.owner("cell") is not None
    assert locks.busy("cell") is None
    lines = []
    held = locks.take("cell", lines.append)
    assert "taken over from process" in lines[0]
    assert "ended without giving it back" in lines[0]
    held.release()


def test_a_child_that_lives_on_keeps_the_cell(locks):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    held = locks.take("cell", silent)
    held.add(child.pid)
    # the parent is gone: a number that has never been
    owner = locks.owner("cell")
    locks.write("cell", replace(owner, processes=((2**22 + 1, "1"), owner.processes[1])))
    assert locks.take("cell", silent) is None
    child.communicate(b"\n")
    assert locks.take("cell", lambda line: None) is not None
    held.release()


def test_a_number_given_to_another_program_is_told_by_its_start(locks):
    held = locks.take("cell", silent)
    owner = locks.owner("cell")
    locks.write("cell", replace(owner, processes=((os.getpid(), "1"),)))
    assert locks.busy("cell") is None
    held.release()


def test_an_owner_elsewhere_is_gone_only_after_a_long_silence(locks, monkeypatch):
    elsewhere(locks)
    now = [1000.0]
    monkeypatch.setattr(lock_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    os.utime(locks.path("cell"), (0, 0))  # 1970: the clock of some machine is wrong
    assert locks.take("cell", silent) is None, "one look is not enough"
    now[0] += lock_module.WATCH / 2
    assert locks.take("cell", silent) is None
    os.utime(locks.path("cell"), (5, 5))  # a sign of life
    now[0] += lock_module.WATCH / 2 + 1
    assert locks.take("cell", silent) is None
    now[0] += lock_module.WATCH + 1
    lines = []
    held = locks.take("cell", lines.append)
    assert "gave no sign of life" in lines[0]
    held.release()


def test_a_clock_that_was_set_back_takes_nobodys_cell(locks, monkeypatch):
    elsewhere(locks)
    now = [1000.0]
    monkeypatch.setattr(lock_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    future = time.time() + 1e6  # what was written before the clock went back
    os.utime(locks.path("cell"), (future, future))
    for _ in range(5):
        assert locks.take("cell", silent) is None
        now[0] += lock_module.WATCH
    now[0] += lock_module.STALE
    held = locks.take("cell", lambda line: None)
    assert held is not None, "a steady clock frees it in the end"
    held.release()


def test_a_file_that_is_no_owner_is_one_that_may_live(locks):
    locks.folder.mkdir(parents=True)
    locks.path("cell").write_text("{", encoding="utf-8")
    assert locks.take("cell", silent) is None
    assert "unknown" in str(locks.owner("cell"))


def test_what_another_process_makes_meanwhile_is_taken_as_it_is(
    make_run, trainer, tmp_path, monkeypatch
):
    """The second run does other cells first, waits, and trains nothing twice, failures included."""
    monkeypatch.setattr(schedule, "WAIT_SECONDS", 0.01)
    outcome, _ = make_run(methods=("dmtrl", "unet3d"))
    cells = tmp_path / "runs" / "cells"
    names = [cell.folder for cell in outcome.cells]
    aside = tmp_path / "aside"
    aside.mkdir()
    for name in names:
        os.replace(cells / name, aside / name)
    held = Locks(cells / LOCKS).take(names[0], silent)
    trainer.calls.clear()
    plain = trainer.run_cell

    def run_cell(*arguments):
        result = plain(*arguments)
        # while unet3d trains, the owner of dmtrl ends with a failure
        values = json.loads((aside / names[0] / "run.json").read_text(encoding="utf-8"))
        (aside / names[0] / "run.json").write_text(
            json.dumps(values | {"state": "failed", "reason": "it diverged"}), encoding="utf-8"
        )
        from benchmark.manifest import write_manifest

        write_manifest(aside / names[0])
        os.replace(aside / names[0], cells / names[0])
        held.release()
        return result

    monkeypatch.setattr(trainer, "run_cell", run_cell)
    again, display = make_run(methods=("dmtrl", "unet3d"))
    assert trainer.calls == [("unet3d", 0)]
    assert "is at work on it; others first" in display.text
    assert "FAILED: it diverged (in another process)" in display.text
    assert [cell.method for cell in again.failed] == ["dmtrl"]


def test_two_real_processes_share_a_folder(tmp_path):
    suite = tmp_path / "kill.yaml"
    suite.write_text(SUITE, encoding="utf-8")
    options = ["--suite", str(suite), "--methods", "unet3d,dmtrl,all-lad"]
    runs = Killed(tmp_path, options, here=True)
    other = runs.start(tmp_path / "both")
    begun = read_until_ready(other)  # this process, which has imported all, would be far ahead
    here = runs.go_on(tmp_path / "both")
    printed = begun + other.communicate(timeout=300)[0]
    assert other.returncode == 0, printed
    together = "\n".join((printed, here))
    for label in ("3D U-Net, seed 0", "DMTRL, seed 0", "every candidate is LAD, seed 0"):
        assert together.count(f"{label}: finished in") == 1, together
    assert len(figures(tmp_path / "both")) > 20
