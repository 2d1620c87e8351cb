"""``torchrun -m benchmark run``: what it refuses, and a run that is stopped and goes on alone."""

import os
import signal
import subprocess
import sys
import time

import pytest

from benchmark.errors import UserError
from benchmark.runs import together
from benchmark.runs.request import Request

REQUEST = {"suite": "table1", "scale": "smoke", "device": "cpu"}


@pytest.fixture
def second(monkeypatch):
    """A function that makes this process one of those that torchrun starts."""

    def become(rank, count):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
        monkeypatch.setenv("WORLD_SIZE", str(count))
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setattr(together.time, "sleep", lambda seconds: None)

    return become


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"methods": ("nnunet",)}, "nnunet trains itself"),
        ({"methods": ("unet3d",), "changes": (("batch_size", "3"),)}, "--set batch_size=4"),
        ({"methods": ("unet3d",), "cell_timeout": 5.0}, "--cell-timeout"),
    ],
)
def test_what_cannot_be_trained_together_is_refused_once(more, words, second):
    second(0, 2)
    with pytest.raises(UserError, match=words):
        together.refuse(Request(**REQUEST, **more))
    second(1, 2)
    with pytest.raises(SystemExit) as silent:
        together.refuse(Request(**REQUEST, **more))
    assert silent.value.code == 2


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")  # as some clusters set it
    assert together.count() == 1
    assert together.place() == 0


def command(out, *words):
    return [
        *words,
        *("-m", "benchmark", "run", "--suite", "table1", "--scale", "smoke", "--plain"),
        *("--methods", "unet3d", "--budget", "60 steps", "--threads", "1", "--workers", "1"),
        *("--set", "batch_size=4", "--device", "cpu", "--no-figures", "--out", str(out)),
    ]


@pytest.mark.long
def test_two_processes_stop_and_one_goes_on(tmp_path):
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    words = command(tmp_path, *launcher)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            if "started" in line:
                break
        while not list(tmp_path.glob("cells/.locks/*")):
            time.sleep(0.1)
        time.sleep(4)  # into the training
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert process.returncode != 0
    assert "and the checkpoint of 3D U-Net" in rest
    alone = subprocess.run(
        command(tmp_path, sys.executable), env=environment, capture_output=True, text=True
    )
    assert alone.returncode == 0, alone.stderr
    assert "goes on after" in alone.stdout
    assert "60 steps)" in alone.stdout
    kept = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert kept.returncode == 0, kept.stderr
    assert "kept from before" in kept.stdout
