"""Whole checks against the kept baseline, by a copy of this tree with a fault in its source.

Minutes: `pytest -m long tests/regression/test_planted_trainings.py`. Predictions are shared between
the copies as far as their keys allow, so a fault that the keys do not see would not be caught.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PACKAGES = ("benchmark", "baselines", "mmwfanet")

FAULTS = {
    "the gate of the fusion fixed at 1": (
        "mmwfanet/fusion.py",
        "gate = sum(torch.sigmoid(features[view]) for view in self.gates) + 1",
        "gate = 1",
        "mmwfanet less no-gates, head: ICC mean",
    ),
    "LCX and RCA exchanged in the answer": (
        "benchmark/inference.py",
        "    classes[0] = 0\n    return classes",
        "    classes[0] = 0\n    return np.array([0, 1, 3, 2], np.uint8)[classes]",
        "mmwfanet, mask: F1 RCA",
    ),
    "risk categories off by one": (
        "benchmark/metrics/kappa.py",
        "return np.digitize(np.asarray(agatston, dtype=np.float64), RISK_EDGES)",
        "return np.digitize(np.asarray(agatston, dtype=np.float64), RISK_EDGES[1:])",
        "all-lad, mask: kappa whole changed",
    ),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def check(tree: Path, runs: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    baseline = ROOT / "results/baselines/smoke.json"
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmark",
            "check",
            "--suite",
            "smoke",
            "--against",
            str(baseline),
            "--out",
            str(runs),
            "--no-costs",
            "--plain",
        ],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )


def copied(folder: Path) -> Path:
    for name in PACKAGES:
        hidden = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=hidden)
    return folder


def test_the_tree_as_it_is_passes(tmp_path, runs):
    done = check(copied(tmp_path), runs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\npassed: " in done.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(tmp_path, runs, fault):
    name, sound, broken, found = FAULTS[fault]
    tree = copied(tmp_path)
    text = (tree / name).read_text(encoding="utf-8")
    assert text.count(sound) == 1
    (tree / name).write_text(text.replace(sound, broken), encoding="utf-8")
    done = check(tree, runs)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"FAILED     {found}" in done.stdout
