"""A folder of small scans and a run on it, made once through the command line."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.cli import main

# writers of DICOM series
sys.path.insert(0, str(Path(__file__).parents[1] / "cohorts"))

SUITE = """
name: small
title: A suite on real files
cohort: phantom
methods: [unet3d, indices-net]
references: [all-lad]
scales:
  smoke:
    train: 6
    test: 5
    budget: 3 steps
    cell_mm: [3, 7.5, 7.5]
    width: 8
    batch_size: 2
    learning_rate: 0.003
"""
SPACING = (3.0, 2.5, 2.5)
CODES = ("LPS", "RAS", "PIR")
"""Orientations of the files in turn."""


def arrays(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and labels of a scan: an LAD, an LCX and an RCA in bands along y, and a rib."""
    random = np.random.default_rng(index)
    voxels = random.normal(40, 15, (8, 48, 48)).clip(-40, 120).astype(np.int16)
    voxels[:, 44:] = -900
    labels = np.zeros(voxels.shape, np.uint8)
    for artery in range(1, 4):
        if index % 4 < artery:
            continue
        y, x = 11 * artery, int(random.integers(10, 36))
        size = int(random.integers(1, 4))
        place = (slice(2, 4), slice(y, y + size), slice(x, x + 2))
        voxels[place], labels[place] = random.integers(200, 600), artery
    voxels[:, :3, 20:30] = 700
    return voxels, labels


def save(path: Path, array: np.ndarray, code: str = "LPS") -> None:
    """Write an image file, its axes turned to an orientation, somewhere in space."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin((-61.5, -40.25, 1203.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.DICOMOrient(image, code), str(path))


def _write_scans(folder: Path, count: int) -> None:
    for index in range(count):
        voxels, labels = arrays(index)
        save(folder / f"images/p{index:02}.nii.gz", voxels, CODES[index % 3])
        save(folder / f"labels/p{index:02}.nii.gz", labels)


@pytest.fixture(scope="session")
def write_scans():
    """A function: write so many labelled scans as pairs of files."""
    return _write_scans


@dataclass(frozen=True)
class Trained:
    """A run and what it was made from."""

    data: Path
    runs: Path
    run: Path
    net: Path


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Trained:
    """Three networks, three steps each, on twelve scans in files."""
    root = tmp_path_factory.mktemp("trained")
    data = root / "mine"
    _write_scans(data, 12)
    (root / "small.yaml").write_text(SUITE, encoding="utf-8")
    net = root / "my_net.py"
    assert main(["new-method", "my-net", "--out", str(net)]) == 0
    status = main([
        "run", "--suite", str(root / "small.yaml"), "--scale", "smoke", "--data", str(data),
        "--methods", f"unet3d,indices-net,{net}:MyNet,all-lad", "--out", str(root / "runs"),
        "--cache", str(root / "cache"), "--device", "cpu", "--threads", "1", "--plain",
        "--no-figures", "--workers", "1",
    ])  # fmt: skip
    assert status == 0
    (run,) = (root / "runs" / "small").iterdir()
    return Trained(data, root / "runs", run, net)


@pytest.fixture
def images(trained, tmp_path) -> Path:
    """A folder of five images alone, the last of which is cut short."""
    folder = tmp_path / "new"
    folder.mkdir()
    for name in ("p00", "p01", "p02", "p07"):
        shutil.copy(trained.data / f"images/{name}.nii.gz", folder)
    whole = (trained.data / "images/p03.nii.gz").read_bytes()
    (folder / "short.nii.gz").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def predict(trained, tmp_path):
    """A function: the command, ``predict(*arguments, out=...) -> (status, folder)``."""

    def call(*arguments, out: str = "out", run: Path | None = None):
        folder = tmp_path / out
        fixed = ["predict", "--run", str(run or trained.run), "--out", str(folder), "--plain"]
        fixed += ["--device", "cpu"]
        return main([*fixed, *map(str, arguments)]), folder

    return call
