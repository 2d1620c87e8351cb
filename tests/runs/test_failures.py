"""Whatever a network does, it costs one line on the board, its log tells why, and others go on."""

import errno
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from synthetic import prepared

from benchmark.cli import main
from benchmark.methods import METHODS, Method
from benchmark.runs import work
from benchmark.runs.interrupt import Interrupts, Stopped
from benchmark.runs.lock import Locks
from benchmark.runs.plan import make_cell
from benchmark.runs.store import LOCKS, Store
from benchmark.training.cell import run_cell
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="6 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)

NETWORKS = """
import ctypes, os, signal, sys, time
import torch
from torch import nn

class Good(nn.Module):
    outputs = ("mask",)
    notes = ()

    def __init__(self, grid, in_channels, width):
        super().__init__()
        self.layer = nn.Conv3d(in_channels, 4, 1)
        self.calls = 0

    def forward(self, image):
        return {"logits": self.layer(image)}

    def losses(self, output, batch):
        self.calls += 1
        if self.calls > 3:
            self.fail()
        return {"x": output["logits"].square().mean()}

    def fail(self):
        pass

class Raises(Good):
    def fail(self):
        print("about to raise")
        raise ValueError("the cable\\n is loose")

class Killed(Good):
    def fail(self):
        os.kill(os.getpid(), signal.SIGKILL)

class Crashes(Good):
    def fail(self):
        ctypes.string_at(0)

class Leaves(Good):
    def fail(self):
        os._exit(7)

class Greedy(Good):
    def fail(self):
        self.all = torch.empty(1 << 50)

class Hungry(Good):
    def fail(self):
        raise MemoryError

class Sleeps(Good):
    def fail(self):
        time.sleep(600)

class Slow(Good):
    def fail(self):
        time.sleep(0.05)

class Diverges(Good):
    def losses(self, output, batch):
        return {"x": output["logits"].mean() * float("nan")}
"""


@pytest.fixture(scope="module")
def data():
    return prepared()


@pytest.fixture
def lab(tmp_path, data, lines):
    """A worker on synthetic scans, and what is needed to give it a cell."""
    path = tmp_path / "networks.py"
    path.write_text(NETWORKS, encoding="utf-8")
    store = Store(tmp_path / "runs")
    interrupts = Interrupts()
    trainer = SimpleNamespace(run_cell=run_cell, own=True)

    def worker(settings=SETTINGS, **options):
        return work.Worker(
            trainer, data, None, settings, "cpu", 1, store, lines, interrupts, **options
        )

    def cell(name, settings=SETTINGS):
        method = METHODS.get(name) or Method(name, name, f"{path}:{name}", ("mask",))
        return make_cell(method, 0, settings.as_dict(), "ab" * 32, "cd" * 8, "cpu", 1)

    def run(plan, **options):
        own = options.pop("worker", None) or worker(**options)
        held = Locks(store.cells / LOCKS).take(plan.folder, lines.say)
        try:
            return own.run(plan, held)
        finally:
            held.release()
            own.close()

    return SimpleNamespace(
        store=store, cell=cell, run=run, worker=worker, lines=lines, interrupts=interrupts
    )


REASONS = {
    "Raises": "ValueError: the cable",
    "Killed": "its process was killed (SIGKILL, at most ",
    "Crashes": "its process was killed (SIGSEGV, at most ",
    "Leaves": "its process ended by itself with status 7",
    "Greedy": "out of memory, at most ",
    "Hungry": "out of memory, at most ",
    "Diverges": "loss became nan at step 1 of stage 'training', and at step 1 before",
}


@pytest.mark.parametrize("name", REASONS)
def test_a_failure_is_one_line_and_spares_the_rest(name, lab):
    plan = lab.cell(name)
    line = lab.run(plan)
    kept = lab.store.read(plan.folder)
    assert kept.state == "failed"
    assert kept.reason.startswith(REASONS[name])
    assert "\n" not in kept.reason
    assert line.endswith(f"FAILED: {kept.reason}")
    log = (lab.store.cells / plan.folder / "log.txt").read_text(encoding="utf-8")
    if name == "Raises":
        assert "about to raise" in log
        assert 'raise ValueError("the cable' in log  # the traceback shows the network's own line
    if name == "Crashes":
        assert "Segmentation fault" in log
        assert "in fail" in log
    assert lab.run(lab.cell("Good")).startswith("Good, seed 0: finished")
    assert not lab.store.leftovers()


def test_in_process_gives_the_same_bits_as_a_fork_and_an_interpreter(lab, monkeypatch):
    plan = lab.cell("dmtrl")
    found = []
    for options in ({}, {"in_process": True}, {"interpreter": True}):
        if options.pop("interpreter", False):
            monkeypatch.setattr(work, "can_fork", lambda device: False)
        lab.run(plan, **options)
        kept = lab.store.read(plan.folder)
        weights = (lab.store.cells / plan.folder / "checkpoint.safetensors").read_bytes()
        found.append((kept.head.tobytes(), weights))
        assert kept.ledger["steps"] - kept.ledger["apart_steps"] == 6
        assert kept.ledger["peak_memory_bytes"] > 1e7
    assert found[0] == found[1] == found[2]


def test_a_fork_that_cannot_use_threads_is_replaced_by_an_interpreter(lab, monkeypatch):
    monkeypatch.setattr(work, "fork", lambda job, prepared: None)
    assert "finished" in lab.run(lab.cell("Good"))


def test_a_system_that_reads_scans_is_never_a_fork(lab, monkeypatch):
    """In a fork the threads that unpack scans are missing, and it would wait for them forever."""

    class Started(Exception):
        pass

    class Interpreters:
        def __init__(self, prepared):
            pass

        def start(self, job):
            raise Started(job.cohort)

        def close(self):
            pass

    monkeypatch.setattr(work, "fork", lambda job, prepared: pytest.fail("it was forked"))
    monkeypatch.setattr(work, "Interpreters", Interpreters)
    worker = lab.worker()
    worker.cohort = "scans"
    with pytest.raises(Started, match="scans"):
        lab.run(lab.cell("nnunet"), worker=worker)


def test_a_network_that_hangs_or_is_slow_runs_out_of_time(lab, monkeypatch):
    monkeypatch.setattr(work, "STOP_SECONDS", 0.3)
    plan = lab.cell("Sleeps")
    assert "took longer than 2 s (--cell-timeout)" in lab.run(plan, timeout=2.0)
    assert lab.store.read(plan.folder).state == "failed"
    monkeypatch.setattr(work, "STOP_SECONDS", 20.0)
    endless = Settings(**{**SETTINGS.as_dict(), "budget": "100000 steps"})
    slow = lab.cell("Slow", endless)
    lab.run(slow, worker=lab.worker(endless, timeout=2.0))
    assert "took longer" in lab.store.read(slow.folder).reason
    assert lab.store.partial(slow.folder).is_dir(), "it goes on from there"
    lab.lines.lines.clear()
    lab.run(slow, worker=lab.worker(endless, timeout=2.0))
    assert "goes on after" in lab.lines.text


@pytest.mark.parametrize("in_process", [False, True])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_training_between_two_steps_and_keeps_it(
    signum, in_process, lab, monkeypatch
):
    endless = Settings(**{**SETTINGS.as_dict(), "budget": "100000 steps"})
    plan = lab.cell("Slow", endless)

    def interrupt():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not told:
            time.sleep(0.05)
        os.kill(os.getpid(), signum)

    told = []
    worker = lab.worker(endless, in_process=in_process)
    plain = work._Record.note
    monkeypatch.setattr(
        work._Record, "note", lambda own, message: (told.append(message), plain(own, message))
    )
    thread = threading.Thread(target=interrupt)
    with lab.interrupts.installed():
        thread.start()
        with pytest.raises(Stopped) as stopped:
            lab.run(plan, worker=worker)
        thread.join()
    assert stopped.value.status == 128 + signum
    assert lab.store.partial(plan.folder).is_dir()
    assert lab.store.standing(plan.folder).state == "absent"
    assert not lab.store.leftovers()


def test_a_disk_that_fills_up_ends_the_run_and_damages_nothing(lab, monkeypatch):
    """A child may write nothing: the system's own refusal, which is that of a full disk."""
    import resource

    good = lab.cell("Good")
    lab.run(good)
    before = (lab.store.cells / good.folder / "run.json").read_bytes()
    plan = lab.cell("dmtrl")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match=r"[Ff]ile too large"):
            lab.run(plan)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert lab.store.standing(plan.folder).state == "absent"
    assert not lab.store.leftovers()
    assert (lab.store.cells / good.folder / "run.json").read_bytes() == before
    assert "finished" in lab.run(plan)


def test_a_damaged_cell_is_seen_and_done_again(make_run, trainer, tmp_path):
    outcome, _ = make_run(methods=("dmtrl", "unet3d"))
    path = tmp_path / "runs" / "cells" / outcome.cells[0].folder / "predictions.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # the size stays
    path.write_bytes(content)
    trainer.calls.clear()
    again, display = make_run(methods=("dmtrl", "unet3d"))
    assert trainer.calls == [("dmtrl", 0)]
    assert "damaged (the content of predictions.npz" in display.text
    np.testing.assert_array_equal(again.cells[0].reference, outcome.cells[0].reference)


def test_what_killed_processes_left_is_swept(make_run, tmp_path):
    outcome, _ = make_run(methods=("dmtrl",))
    cells = tmp_path / "runs" / "cells"
    left = cells / f".draft-{outcome.cells[0].folder}-abcd1234"
    left.mkdir()
    (left / "predictions.npz").write_bytes(b"half")
    _, display = make_run(methods=("unet3d",))
    assert not left.exists()
    assert "removed 1 unfinished folder" in display.text


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EROFS, "the file system is read-only"), (errno.ENOSPC, "no space left on the disk")],
)
@pytest.mark.parametrize("where", ["numpy.savez_compressed", "os.mkdir"])
def test_a_folder_that_can_no_longer_be_written_is_told_in_one_line(
    number, words, where, fake_cli, suite_file, tmp_path, monkeypatch, capsys
):
    command = ["run", "--suite", str(suite_file), "--scale", "smoke", "--device", "cpu",
               "--threads", "1", "--out", str(tmp_path / "runs"), "--no-figures"]  # fmt: skip
    module, _, name = where.rpartition(".")
    plain = getattr(sys.modules[module], name)
    calls = []

    def write(*arguments, **more):
        # the first method is kept, the second is not
        if str(tmp_path) in f"{arguments}{more}" and (
            name == "savez_compressed" or Path(arguments[0]).name.startswith(".draft-")
        ):
            calls.append(1)
            if len(calls) > 1:
                raise OSError(number, os.strerror(number), str(tmp_path / "runs"))
        return plain(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[module], name, write)
        assert main(command) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert error.startswith(f"error: {words}: {tmp_path / 'runs'}; what was finished is kept")
    names = [path.name for path in (tmp_path / "runs" / "cells").iterdir()]
    assert sorted(name.split("-")[0] for name in names) == [".locks", "unet3d"]
    fake_cli.calls.clear()
    assert main(command) == 0
    assert [method for method, _ in fake_cli.calls] == ["dmtrl", "mmwfanet", "all-lad"]


def test_ctrl_c_and_sigterm_have_their_own_statuses(fake_cli, suite_file, tmp_path, capsys):
    command = ["run", "--suite", str(suite_file), "--scale", "smoke", "--device", "cpu",
               "--threads", "1", "--out", str(tmp_path / "runs"), "--no-figures"]  # fmt: skip
    plain = fake_cli.run_cell
    before = signal.getsignal(signal.SIGINT)  # ignored where a shell began this in its background
    for signum, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):

        def run_cell(method, *rest, signum=signum):
            if method.name == "dmtrl":
                os.kill(os.getpid(), signum)
                time.sleep(10)
            return plain(method, *rest)

        fake_cli.run_cell = run_cell
        assert main(command) == status
        error = capsys.readouterr().err
        assert "1 of 4 runs are finished and kept: the same command goes on" in error
    assert signal.getsignal(signal.SIGINT) is before


def test_a_cache_that_is_deleted_half_way_is_made_again(tmp_path):
    import shutil

    from benchmark.cohorts.phantom import PhantomCohort

    cohort = PhantomCohort(cache=tmp_path / "cache")
    id = cohort.records()[0].id
    cohort.prepare([id], None, 1)
    first = cohort.load(id)
    shutil.rmtree(tmp_path / "cache")
    np.testing.assert_array_equal(cohort.load(id).voxels, first.voxels)
