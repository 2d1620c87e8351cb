"""Cells side by side: the same bits as one after another, and a stop that keeps them all."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from benchmark import memory
from benchmark.cli import main
from benchmark.cores import jobs_beside, usable_cores

NET = """
import torch
from torch import nn

class Tiny(nn.Module):
    outputs = ("mask",)

    def __init__(self, grid, in_channels, width, kernel=3):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(in_channels, width, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.Conv3d(width, 4, 1),
        )

    def forward(self, image):
        return {"logits": self.body(image)}
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The arguments of a small run in a folder of its own."""
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def made(*more):
        return [
            "run", "--suite", "table1", "--scale", "smoke", "--device", "cpu", "--plain",
            "--no-figures", "--workers", "1", "--methods", "net.py:Tiny,net.py:Tiny+kernel=5",
            *more,
        ]  # fmt: skip

    return made


def kept(folder):
    """Predictions and weights of every cell, by its name."""
    return {
        (cell.name, name): (cell / name).read_bytes()
        for cell in sorted((folder / "cells").iterdir())
        if not cell.name.startswith(".")
        for name in ("predictions.npz", "checkpoint.safetensors")
    }


def test_side_by_side_gives_the_bits_of_one_after_another(command, tmp_path, capsys):
    assert main(command("--jobs", "1", "--out", "one")) == 0
    one = capsys.readouterr().out
    assert main(command("--jobs", "2", "--out", "two")) == 0
    two = capsys.readouterr().out
    assert "2 side by side" in two
    assert "side by side" not in one
    # the second begins before the first has ended
    order = re.findall(r"seed 0: (started|finished)", two)
    assert order == ["started", "started", "finished", "finished"]
    assert re.findall(r"seed 0: (started|finished)", one) == ["started", "finished"] * 2
    first = kept(tmp_path / "one")
    assert len(first) == 4
    assert first == kept(tmp_path / "two")


def test_a_stop_keeps_the_checkpoint_of_each(command, tmp_path):
    """Ctrl-C on two trainings; the same command then gives what a run left alone gives."""
    long = command("--budget", "100 steps", "--jobs", "2", "--checkpoint-every", "0.1")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *long, "--out", "stopped"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    cells = tmp_path / "stopped" / "cells"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if len({path.parent for path in cells.glob(".partial-*/*.safetensors")}) == 2:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.count("the checkpoint of") == 1
    assert len(list(cells.glob(".partial-*"))) == 2
    assert not list(cells.glob(".draft-*"))
    assert main([*long, "--out", "stopped"]) == 0
    assert main([*long, "--out", "alone"]) == 0
    assert kept(tmp_path / "stopped") == kept(tmp_path / "alone")


def test_a_failure_spares_the_cell_beside_it(command, tmp_path, capsys):
    (tmp_path / "bad.py").write_text(NET.replace("self.body(image)}", "1 / 0}"), encoding="utf-8")
    asked = command("--jobs", "2", "--out", "runs")
    asked[asked.index("--methods") + 1] = "bad.py:Tiny,net.py:Tiny"
    assert main(asked) == 1
    told = capsys.readouterr().out
    assert "FAILED: ZeroDivisionError" in told
    assert "1 of 2 runs finished" in told


def test_fewer_are_at_work_where_memory_has_no_room(command, capsys, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 300_000_000)
    assert main(command("--jobs", "2", "--out", "runs")) == 0
    told = capsys.readouterr().out
    assert "1 of 2 trainings side by side: memory has room for no more" in told
    assert re.findall(r"seed 0: (started|finished)", told) == ["started", "finished"] * 2


def test_one_thread_each_is_what_a_cpu_does_unasked(command, capsys):
    assert main(command("--out", "runs")) == 0
    told = capsys.readouterr().out
    assert "on cpu with 1 thread" in told
    beside = min(2, jobs_beside(1))
    assert (f"{beside} side by side" in told) == (beside > 1)


def test_jobs_are_as_many_as_threads_leave_cores_for():
    cores = usable_cores()
    assert jobs_beside(1) == cores
    assert jobs_beside(cores) == 1
    assert jobs_beside(10 * cores) == 1


def test_memory_is_that_of_the_machine_or_what_its_container_leaves(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    assert memory.available_bytes(meminfo, tmp_path) == 4_096_000
    for name, text in {
        "max": "3000000",
        "current": "2500000",
        "stat": "inactive_file 100000",
    }.items():
        (tmp_path / f"memory.{name}").write_text(f"{text}\n")
    assert memory.available_bytes(meminfo, tmp_path) == 600_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes(meminfo, tmp_path) == 4_096_000
    assert memory.available_bytes(tmp_path / "none", tmp_path) is None
