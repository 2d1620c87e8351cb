"""The real process is killed at random points; the same command then gives the same table.

pytest -m long tests/runs/test_killed.py        50 points (about 20 minutes on two cores)
"""

import contextlib
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import main

ROOT = Path(__file__).parents[2]

SUITE = """
name: kill
title: A suite to be killed
cohort: phantom
paper_table: table1
methods: [unet3d, dmtrl, arm-mtl]
references: [all-lad]
scales:
  smoke:
    train: 12
    test: 6
    budget: 16 steps
    cell_mm: [6, 8, 8]
    width: 8
    batch_size: 2
    learning_rate: 0.003
"""

NOT_FIGURES = ("seconds", "memory", "wall", "peak", "step_seconds")


class Killed:
    """The suite above in one folder after another, killed and gone on with.

    Parameters
    ----------
    folder : Path
    options : list of str
        Options that choose what is run.
    here : bool
        Go on in this process, which has PyTorch already: a new one takes seconds to import it.
    """

    def __init__(self, folder: Path, options: list[str], here: bool = False) -> None:
        self.folder, self.options, self.here = folder, options, here
        self.states: list[str] = []

    def arguments(self, out: Path) -> list[str]:
        """The command that is killed, and goes on."""
        return [
            "run", *self.options, "--scale", "smoke",
            "--threads", "1", "--workers", "1", "--no-figures", "--plain",
            "--checkpoint-every", "0.1", "--cache", str(self.folder / "cache"), "--out", str(out),
        ]  # fmt: skip

    def start(self, out: Path) -> subprocess.Popen:
        """Begin a run in a process group of its own."""
        command = [sys.executable, "-m", "benchmark", *self.arguments(out)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def whole(self, out: Path) -> tuple[str, float, float]:
        """Run to the end; what it printed, seconds until the data were ready, and in all."""
        begin = time.monotonic()
        process = self.start(out)
        first, ready = read_until_ready(process), time.monotonic() - begin
        printed, _ = process.communicate(timeout=600)
        assert process.returncode == 0, first + printed
        return first + printed, ready, time.monotonic() - begin

    def go_on(self, out: Path) -> str:
        """Run the same command to its end; what it printed."""
        if not self.here:
            return self.whole(out)[0]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert main(self.arguments(out)) == 0, printed.getvalue()
        return printed.getvalue()

    def killed(self, out: Path, seconds: float, trained: bool, group: bool) -> str:
        """Kill a run, and go on.

        Parameters
        ----------
        out : Path
        seconds : float
            After its start, or after its data are ready if ``trained``.
        trained : bool
        group : bool
            Kill its children too, as a power failure does.
        """
        process = self.start(out)
        if trained:
            read_until_ready(process)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()
        cells = out / "cells"
        names = [path.name for path in cells.iterdir()] if cells.is_dir() else []
        for kind in (".partial-", ".draft-"):
            if any(name.startswith(kind) for name in names):
                self.states.append(kind)
        return self.go_on(out)


def read_until_ready(process: subprocess.Popen) -> str:
    """What a run prints until its first training begins."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "data ready" in line:
            break
    return "".join(lines)


def figures(out: Path) -> dict:
    """All that a run keeps which must not depend on when it was killed, bit for bit."""
    found = {}
    cells = out / "cells"
    for path in sorted(cells.iterdir()):
        if path.name == ".locks":
            continue
        assert not path.name.startswith("."), f"{path.name} was left behind"
        with np.load(path / "predictions.npz", allow_pickle=False) as arrays:
            found |= {f"{path.name}/{name}": arrays[name].tobytes() for name in arrays.files}
        if (path / "checkpoint.safetensors").is_file():
            found[f"{path.name}/weights"] = (path / "checkpoint.safetensors").read_bytes()
    for board in out.glob("*/*/leaderboard.json"):
        assert board.is_file()
        with board.with_name("leaderboard.csv").open(encoding="utf-8", newline="") as file:
            for place, row in enumerate(csv.DictReader(file)):
                found[f"row {place}"] = json.dumps(
                    {k: v for k, v in row.items() if not any(word in k for word in NOT_FIGURES)}
                )
        found["per scan"] = board.with_name("per_scan.csv").read_bytes()
    return found


def compare(folder: Path, options: list[str], points: int, seed: int, here=False) -> Killed:
    """Kill at so many random points and compare each table with that of a run left alone."""
    runs = Killed(folder, options, here)
    _, ready, seconds = runs.whole(folder / "alone")
    expected = figures(folder / "alone")
    draw = random.Random(seed)
    for point in range(points):
        # half of them anywhere, half in training; every second pair with the children
        trained, group = point % 2 == 0, point % 4 < 2
        span = seconds - ready if trained else seconds
        # one in each part of the time, so that few points do not fall together
        after = span * (point + draw.random()) / points
        out = folder / f"killed-{point:02}"
        printed = runs.killed(out, after, trained, group)
        found = figures(out)
        differ = [name for name in expected if found.get(name) != expected[name]]
        where = "training" if trained else "all"
        print(
            f"killed after {after:.2f} of {span:.2f} s of {where}: {len(differ)} differ", flush=True
        )
        assert found.keys() == expected.keys()
        assert not differ, f"killed after {after:.2f} s: {differ}\n{printed}"
    print(f"left behind at the kill: {[(k, runs.states.count(k)) for k in set(runs.states)]}")
    return runs


def test_a_run_killed_at_a_few_points_gives_the_same_table(tmp_path):
    suite = tmp_path / "kill.yaml"
    suite.write_text(SUITE, encoding="utf-8")
    compare(tmp_path, ["--suite", str(suite), "--methods", "dmtrl,all-lad"], 2, 1, here=True)


@pytest.mark.long
def test_a_run_killed_at_50_points_gives_the_same_table(tmp_path):
    methods = "mmwfanet,dmtrl,all-lad"
    runs = compare(tmp_path, ["--suite", "table1", "--methods", methods], 50, 2)
    assert runs.states, "no training was ever broken off"


@pytest.mark.long
def test_the_smoke_suite_twice_gives_the_same_bits(tmp_path):
    runs = Killed(tmp_path, ["--suite", "table1"])
    for name in ("first", "second"):
        runs.whole(tmp_path / name)
    first, second = figures(tmp_path / "first"), figures(tmp_path / "second")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
