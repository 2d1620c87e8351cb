"""A user's file touches its own cell alone, and a cell is what was read when it was planned."""

import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from synthetic import prepared

from benchmark import frozen, look, sources
from benchmark.cli import main
from benchmark.cluster.task import CellJob
from benchmark.methods import METHODS, find
from benchmark.runs import work
from benchmark.runs.interrupt import Interrupts
from benchmark.runs.lock import Locks
from benchmark.runs.plan import make_cell
from benchmark.runs.store import LOCKS, Store
from benchmark.runs.together import _refuse
from benchmark.training.cell import run_cell
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="4 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)

NET = """
import torch
from torch import nn
{top}

class Net(nn.Module):
    outputs = ("mask",)
    notes = ("a toy",)

    def __init__(self, grid, in_channels, width{option}):
        super().__init__()
        self.body = nn.Conv3d(in_channels, 4, 1)

    def forward(self, image):
        {act}
        return {{"logits": self.body(image){factor}}}
"""


def net(path, top="", option="", act="pass", factor=""):
    """Write a network; its name for --methods."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = NET.format(top=top, option=option, act=act, factor=factor)
    path.write_text(text, encoding="utf-8")
    return f"{path}:Net"


@pytest.fixture(scope="module")
def data():
    return prepared()


@pytest.fixture
def lab(tmp_path, data, lines):
    """A function that does one cell and gives what was kept, and how it is planned."""
    store, trainer = Store(tmp_path / "runs"), SimpleNamespace(run_cell=run_cell, own=True)

    def plan(name, seed=0):
        method = find(name)
        return make_cell(method, seed, SETTINGS.as_dict(), "ab" * 32, "cd" * 8, "cpu", 1)

    def worker(**options):
        return work.Worker(
            trainer, data, None, SETTINGS, "cpu", 1, store, lines, Interrupts(), **options
        )

    def run(cell, own=None, **options):
        made = own or worker(**options)
        held = Locks(store.cells / LOCKS).take(cell.folder, lines.say)
        try:
            made.run(cell, held)
        finally:
            held.release()
            if own is None:
                made.close()
        return store.read(cell.folder)

    return SimpleNamespace(plan=plan, run=run, worker=worker, store=store)


WAYS = {"a fork": {}, "an interpreter": {"interpreter": True}, "here": {"in_process": True}}


@pytest.mark.parametrize("way", WAYS)
def test_a_cell_is_of_the_code_that_was_planned(way, lab, tmp_path, monkeypatch):
    options = dict(WAYS[way])
    name = net(tmp_path / "net.py", top="from helper import scale", factor=" * scale")
    (tmp_path / "helper.py").write_text("scale = 1.0\n", encoding="utf-8")
    cell = lab.plan(name)
    # what an interpreter gives is compared with a fork's: each takes seconds to import PyTorch
    interpreter = options.pop("interpreter", False)
    right = lab.run(cell, **options)
    assert right.state == "finished", right.reason
    if interpreter:
        monkeypatch.setattr(work, "can_fork", lambda device: False)
    before = (tmp_path / "net.py").read_text(encoding="utf-8")
    (tmp_path / "net.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "helper.py").write_text("scale = 0.0\n", encoding="utf-8")
    assert sorted(cell.method.code.changed()) == ["helper.py", "net.py"]
    again = lab.run(cell, **options)
    assert again.state == "finished", again.reason
    assert again.mask.tobytes() == right.mask.tobytes()
    (tmp_path / "net.py").write_text(before, encoding="utf-8")
    other = lab.plan(name)
    assert other.folder != cell.folder, "the helper is a part of the key"
    if way == "a fork":
        assert lab.run(other).mask.tobytes() != right.mask.tobytes()


RIVALS = {
    "patches": "nn.Conv3d.reset_parameters = lambda self: [nn.init.zeros_(p) for p in "
    "self.parameters()]",
    "default dtype": "torch.set_default_dtype(torch.float64)",
    "gradients": "torch.set_grad_enabled(False)",
    "threads": "torch.set_num_threads(3)",
    "seeds": "torch.manual_seed(5)",
    "path": "import sys; sys.path.insert(0, '/nowhere')",
    "environment": "import os; os.environ['SOMETHING_OF_MINE'] = '1'; os.chdir('/')",
    "signals": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "warnings": "import warnings; warnings.simplefilter('error')",
}  # fmt: skip


def state():
    """All that a file could change for those who come after it in this process."""
    import signal
    import warnings

    import torch

    return (
        torch.nn.Conv3d.reset_parameters, torch.get_default_dtype(), torch.is_grad_enabled(),
        torch.get_num_threads(), torch.random.get_rng_state().tolist(), list(sys.path),
        os.environ.get("SOMETHING_OF_MINE"), os.getcwd(), signal.getsignal(signal.SIGTERM),
        list(warnings.filters),
    )  # fmt: skip


@pytest.mark.parametrize("name", RIVALS)
def test_planning_leaves_this_process_as_it_was(name, lab, tmp_path):
    before = state()
    cell = lab.plan(net(tmp_path / "net.py", top=RIVALS[name]))
    assert cell.broken is None
    assert cell.method.outputs == ("mask",)
    assert state() == before
    assert not frozen.imported()


@pytest.mark.parametrize("way", WAYS)
def test_rivals_give_the_same_bits_beside_a_strangers_file(way, lab, tmp_path, monkeypatch):
    options = dict(WAYS[way])
    rival = lab.plan("fcn3d")
    alone = lab.run(rival)  # in a fork, also of what an interpreter is to give
    if options.pop("interpreter", False):
        monkeypatch.setattr(work, "can_fork", lambda device: False)
    before = state()
    worker = lab.worker(**options)
    try:
        stranger = lab.plan(
            net(tmp_path / "net.py", top=RIVALS["patches"] if way != "here" else "")
        )
        assert lab.run(stranger, worker).state == "finished"
        beside = lab.run(rival, worker)
    finally:
        worker.close()
    assert beside.mask.tobytes() == alone.mask.tobytes()
    assert state()[:5] == before[:5] or way == "here"


def test_without_processes_what_follows_a_users_file_gets_one(lab, tmp_path, monkeypatch):
    started = []
    worker = lab.worker(in_process=True)
    plain = worker._start
    monkeypatch.setattr(worker, "_start", lambda job: started.append(job) or plain(job))
    lab.run(lab.plan("fcn3d"), worker)
    lab.run(lab.plan(net(tmp_path / "net.py")), worker)
    assert not started
    lab.run(lab.plan(net(tmp_path / "net.py"), seed=1), worker)
    assert not started, "the same file is not its own stranger"
    assert lab.run(lab.plan(net(tmp_path / "other.py")), worker).state == "finished"
    assert lab.run(lab.plan("fcn3d"), worker).state == "finished"
    assert [job.method.title for job in started] == ["Net", "3D FCN"]
    worker.close()


def test_a_seed_set_by_the_file_is_not_every_cells(lab, tmp_path):
    name = net(tmp_path / "net.py", top="torch.manual_seed(5)")
    masks = [lab.run(lab.plan(name, seed)).mask.tobytes() for seed in (0, 1)]
    assert masks[0] != masks[1]


def test_a_module_found_while_it_ran_stands_in_the_notes(lab, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "away.py").write_text("x = 1\n", encoding="utf-8")
    act = f"import sys; sys.path.append({str(tmp_path / 'far')!r}); import away"
    kept = lab.run(lab.plan(net(tmp_path / "net.py", act=act)))
    assert "imported away.py while it ran, whose changes a run does not notice" in kept.notes[-1]


def test_a_folder_that_the_file_adds_to_the_path_is_in_the_key(lab, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "away.py").write_text("x = 1\n", encoding="utf-8")
    top = f"import sys; sys.path.append({str(tmp_path / 'far')!r}); import away"
    name = net(tmp_path / "net.py", top=top)
    first = lab.plan(name)
    assert first.key["imports"] == [["away", str(tmp_path / "far" / "away.py")]]
    assert len(lab.run(first).notes) == 1
    (tmp_path / "far" / "away.py").write_text("x = 2\n", encoding="utf-8")
    assert lab.plan(name).folder != first.folder


ENDS = {
    "exit": ("import sys; sys.exit()", "ended the program (SystemExit)"),
    "exit in words": ("raise SystemExit('no CUDA')", "ended the program (SystemExit: no CUDA)"),
    "at once": ("import os; os._exit(0)", "ended the program (exit status 0)"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "ended the program (killed by SIGKILL)"),
    "interrupt": ("raise KeyboardInterrupt", "ended the program (KeyboardInterrupt)"),
    "command line": (
        "import argparse; p = argparse.ArgumentParser(prog='mine')\n"
        "p.add_argument('--lr', required=True); p.parse_args()",
        "ended the program (SystemExit: 2); it said: mine: error: the following arguments are",
    ),
    "question": ("input('which GPU? ')", "failed: EOFError"),
    "for ever": ("while True: pass", "took longer than"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_a_file_that_ends_the_program_is_named_in_one_line(name, tmp_path, capfd, monkeypatch):
    top, words = ENDS[name]
    if name == "for ever":
        monkeypatch.setattr(look, "LONGEST", 5.0)
    monkeypatch.chdir(tmp_path)
    net(tmp_path / "net.py", top=top)
    run = ["run", "--suite", "table1", "--scale", "smoke", "--device", "cpu", "--out", "runs"]
    for command in (
        [*run, "--methods", "unet3d,net.py:Net"],
        [*run, "--dry-run", "--methods", "net.py:Net"],
        ["check-method", "net.py:Net"],
    ):
        assert main(command) == 2
        shown = capfd.readouterr()
        assert shown.err.startswith("error: ")
        assert shown.err.count("\n") == 1
        assert f"importing net.py {words}" in shown.err
        assert not shown.out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("in_process", [False, True])
def test_a_network_that_ends_the_program_fails_alone(in_process, lab, tmp_path):
    cell = lab.plan(net(tmp_path / "net.py", act="raise SystemExit(0)"))
    kept = lab.run(cell, in_process=in_process)
    assert kept.state == "failed"
    assert kept.reason == "it ended the program (SystemExit: 0)"


OPTIONS = {
    "a default": (", kind=nn.ReLU", "", "the default of 'kind', <class"),
    "of an enum": (", kind=__import__('signal').SIGINT", "", "the default of 'kind', <Signals"),
    "a day": (", day=None", "+day=2024-01-01", "the value of 'day', datetime.date(2024, 1, 1)"),
    "numbers as keys": (", parts=None", "+parts={1: 2}", "the value of 'parts', {1: 2}"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_json_cannot_hold_are_refused(name, tmp_path, capsys):
    option, change, words = OPTIONS[name]
    own = net(tmp_path / "net.py", option=option)
    run = ["run", "--suite", "table1", "--scale", "smoke", "--device", "cpu"]
    assert main([*run, "--methods", own + change, "--out", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "cannot be written as JSON; take a number, text, true or false" in error
    assert not (tmp_path / "runs").exists()
    if not change:
        assert main(["check-method", own]) == 1
        assert "cannot be written as JSON" in capsys.readouterr().out


def test_a_job_does_what_was_submitted_though_the_file_was_edited(make_run, trainer, tmp_path):
    name = net(tmp_path / "net.py")
    outcome, _ = make_run(methods=(name,))
    (folder,) = (cell.folder for cell in outcome.cells)
    assert not outcome.edited
    code = find(name).code
    (tmp_path / "net.py").write_text("1 / 0\n", encoding="utf-8")
    try:
        sources.give({name.partition(":")[0]: code})
        again, _ = make_run(methods=(name,))
    finally:
        sources._given.clear()
    assert again.cells[0].folder == folder
    assert "net.py changed since the run began: the figures of Net are of the" in again.edited[0]


def test_a_job_whose_plan_has_changed_says_what(make_run, trainer, tmp_path, monkeypatch, lines):
    """As after an edit of this program while jobs wait in a queue; no second run appears."""
    first, _ = make_run(methods=("unet3d", "dmtrl"))
    store = Store(tmp_path / "runs")
    cells = tuple(
        replace(
            make_cell(METHODS[c.method], c.seed, {}, "", "", "cpu", 1),
            folder=f"{c.method}-before",
            key={**c.key, "harness": "another"},
        )
        for c in first.cells
    )
    job = pickle.loads(pickle.dumps(CellJob(None, cells)))
    assert job.cells == ("unet3d-before", "dmtrl-before")
    trainer.calls.clear()
    before = sorted(tmp_path.glob("runs/*/*/plan.json"))
    make_run(methods=("unet3d", "dmtrl"), only=job.plans)
    assert trainer.calls == []
    assert sorted(tmp_path.glob("runs/*/*/plan.json")) == before
    kept = store.read("unet3d-before")
    assert kept.state == "failed"
    assert kept.reason == "this program's code changed since the jobs were submitted: run it again"


def test_torchrun_takes_one_users_file_at_a_time(tmp_path):
    from benchmark.errors import UserError
    from benchmark.runs.request import Request

    names = tuple(net(tmp_path / f"{name}.py") for name in ("one", "two"))
    with pytest.raises(UserError, match="name one file of your own at a time"):
        _refuse(Request("table1", "smoke", names, device="cpu"), False)
    _refuse(Request("table1", "smoke", names[:1], device="cpu"), False)
