"""Runs on a real Slurm of one node: what is preempted, fails, or loses its daemons.

Skipped where Slurm cannot be started (see slurm.py). Marked long: a minute and more each.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from slurm import Slurm, why_not

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "Slurm is here"),
]

BAD = """
import torch


class Bad(torch.nn.Module):
    outputs = ("mask",)
    notes = ()

    def __init__(self, grid, in_channels, width):
        super().__init__()
        self.layer = torch.nn.Conv3d(in_channels, 4, 1)

    def forward(self, image):
        raise RuntimeError("as a test wants it")
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    # munged refuses a folder that lies in one which others may write
    with Slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def place(tmp_path):
    (tmp_path / "bad.py").write_text(BAD)
    return tmp_path


def command(place, out, steps, *more, methods="unet3d,all-lad"):
    return [
        sys.executable, "-m", "benchmark", "run", "--suite", "table1", "--scale", "smoke",
        "--methods", methods, "--budget", f"{steps} steps", "--out", str(place / out),
        "--checkpoint-every", "1", "--threads", "1", "--device", "cpu", "--no-figures", "--plain",
        *more,
    ]  # fmt: skip


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def start(arguments, log):
    return subprocess.Popen(
        arguments, env=environment(), stdout=log.open("a"), stderr=subprocess.STDOUT, cwd=ROOT
    )


def board_of(out):
    (path,) = out.glob("table1/*/leaderboard.json")
    values = json.loads(path.read_text())
    rows = {row["name"]: [row["lines"], row.get("failed")] for row in values["methods"]}
    return json.loads(json.dumps(rows))


def ledger_of(out, method):
    (path,) = out.glob(f"cells/{method}-seed0-*/run.json")
    return json.loads(path.read_text())["ledger"]


def training(out):
    """Whether a checkpoint of a running training is there."""
    return any(out.glob("cells/.partial*/*")) or any(out.glob("cells/*partial*"))


SLURM = ("--launcher", "slurm", "--slurm", "partition=low,time=60")


def test_preempted_failing_and_equal_to_a_local_run(slurm, place):
    log, out = place / "log.txt", place / "there"
    names = f"unet3d,{place / 'bad.py'}:Bad,all-lad"
    run = start(command(place, "there", 300, *SLURM, "--jobs", "2", methods=names), log)
    slurm.wait(lambda: training(out) or run.poll() is not None, 120)
    assert run.poll() is None, log.read_text()
    subprocess.run(
        ["sbatch", "-p", "high", "-n", "2", "-o", "/dev/null", "--wrap", "sleep 2"], check=True
    )
    assert run.wait(600) == 1, log.read_text()  # a method failed
    text = log.read_text()
    assert "as a test wants it" in text
    ledger = ledger_of(out, "unet3d")
    assert ledger["steps"] == 300
    assert ledger["resumed"], "it was not preempted while it trained, or began anew"
    done = subprocess.run(
        command(place, "here", 300, methods=names), env=environment(), cwd=ROOT, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert board_of(out) == board_of(place / "here")


def test_a_training_longer_than_the_time_limit_goes_on(slurm, place):
    log, out = place / "log.txt", place / "there"
    limit = ("--launcher", "slurm", "--slurm", "partition=low,time=2,signal_delay=60")
    run = start(command(place, "there", 3000, *limit, methods="unet3d"), log)
    assert run.wait(1800) == 0, log.read_text()
    ledger = ledger_of(out, "unet3d")
    assert ledger["steps"] == 3000
    assert ledger["resumed"]


@pytest.mark.parametrize("daemon", ["slurmctld", "slurmd"])
def test_a_daemon_and_the_submitting_process_are_killed_and_nothing_is_lost(slurm, place, daemon):
    log, out = place / "log.txt", place / "there"
    arguments = command(place, "there", 500, *SLURM, methods="unet3d,fcn3d,all-lad")
    run = start(arguments, log)
    slurm.wait(lambda: training(out) or run.poll() is not None, 120)
    slurm.stop(daemon, signal.SIGKILL)
    run.kill()
    run.wait()
    time.sleep(60)
    slurm.start(daemon)
    slurm.wait(
        lambda: "low" in slurm.ask("squeue", "-o", "%P") or not slurm.ask("squeue", "-h"), 60
    )
    before = slurm.ask("squeue", "-h")
    again = start(arguments, log)
    assert again.wait(900) == 0, log.read_text() + before
    assert set(board_of(out)) == {"unet3d", "fcn3d", "all-lad"}
    assert ledger_of(out, "unet3d")["steps"] == 500


def test_cancelled_jobs_keep_their_checkpoint(slurm, place):
    log, out = place / "log.txt", place / "there"
    run = start(command(place, "there", 2500, *SLURM, methods="unet3d"), log)
    slurm.wait(lambda: training(out) or run.poll() is not None, 120)
    told = subprocess.run(
        [sys.executable, "-m", "benchmark", "status", "--out", str(out)],
        env=environment(), cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "running" in told.stdout
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "cancel", "--out", str(out)],
        env=environment(), cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "1 job cancelled" in done.stdout
    assert run.wait(60) == 2
    assert "left nothing" in log.read_text()
    assert training(out)
