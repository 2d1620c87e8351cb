"""A small orCaScore folder, written with SimpleITK alone, and submissions for it."""

import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

SHAPE = (5, 20, 24)
SPACING = (3.0, 0.5, 0.5)  # z, y, x
ORIGIN = (-31.25, 17.0, -104.5)
LESIONS = {1: (2, 8, 6, 4), 2: (1, 12, 10, 2), 3: (3, 15, 15, 6)}
"""Slice, row, first column and number of voxels of a lesion of each artery."""
BONE = (2, 3, 18, 5)
PEAK = {1: 250, 2: 320, 3: 180}
ORIENTATION = {"1": "LPS", "2": "RAS", "3": "LPI"}
"""How a vendor's files are oriented."""


def voxels_and_labels(arteries, seed=0):
    """Return HU and labels (z, y, x) of a small thorax with lesions of these arteries."""
    random = np.random.default_rng(seed)
    voxels = np.full(SHAPE, -850, np.int16)
    voxels[:, 2:, 2:] = random.normal(40, 15, (5, 18, 22)).clip(-40, 120)
    labels = np.zeros(SHAPE, np.int16)
    z, y, x, n = BONE
    voxels[z, y, x : x + n] = 700
    for artery in arteries:
        z, y, x, n = LESIONS[artery]
        voxels[z, y, x : x + n] = PEAK[artery]
        labels[z, y, x : x + n] = artery
    return voxels, labels


def write(path, array, code="LPS", compress=False, spacing=SPACING, origin=ORIGIN):
    """Write an array (z, y, x) in LPS as a file of that orientation."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.DICOMOrient(image, code), str(path), compress)
    return path


SCANS = {
    "TRV1P1": (1, 2, 3),
    "TRV1P2": (1,),
    "TRV2P1": (3, 1),
    "TRV3P1": (),
    "TEV1P1": (1, 3),
    "TEV2P1": (2,),
    "TEV3P1": (),
}
"""Arteries with a lesion, by scan."""


def code_of(id):
    return ORIENTATION[id[3]]


@pytest.fixture(scope="session")
def _data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("orcascore")
    for number, (id, arteries) in enumerate(SCANS.items()):
        voxels, labels = voxels_and_labels(arteries, number)
        place = folder / ("Training" if id.startswith("TR") else "Test")
        write(place / f"{id}CTI.mhd", voxels, code_of(id), compress=id == "TEV2P1")
        if id.startswith("TR"):
            write(place / f"{id}R.mhd", labels, code_of(id), compress=id == "TRV1P2")
    return folder


@pytest.fixture
def data(_data, tmp_path):
    """The challenge's folder: four training scans, three test scans; may be changed."""
    return Path(shutil.copytree(_data, tmp_path / "orCaScore"))


@pytest.fixture
def maps(tmp_path):
    """A function: write a folder of right label maps, `part` "TE" or "TR"."""

    def make(part="TE", name="sent", **changes):
        folder = tmp_path / name
        folder.mkdir()
        for number, (id, arteries) in enumerate(SCANS.items()):
            if id.startswith(part):
                labels = voxels_and_labels(arteries, number)[1]
                write(folder / f"{id}R.mhd", labels, code_of(id))
        return folder

    return make


@pytest.fixture
def zipped(tmp_path):
    """A function: pack a folder with the standard library."""

    def make(folder, inside=""):
        path = tmp_path / f"{folder.name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, inside + file.name)
        return path

    return make


class FakePredictor:
    """Knows an artery by the HU of its lesion in `PEAK`; `change` may spoil what it says."""

    title, seed, notes = "Fake", 3, ("made up",)

    def __init__(self, change=None, outputs=("mask",)):
        self.change = change or (lambda scan, labels: labels)
        self.outputs = outputs

    def predict(self, scan):
        labels = np.zeros(scan.voxels.shape, np.uint8)
        for artery, peak in PEAK.items():
            labels[scan.voxels == peak] = artery
        return SimpleNamespace(labels=self.change(scan, labels))


@pytest.fixture
def fake_network(monkeypatch):
    """A function: let `load_predictor` give a fake network; it returns what it was asked for."""
    import benchmark.prediction

    def install(change=None, outputs=("mask",)):
        calls = []

        def load_predictor(*arguments):
            calls.append(arguments)
            return FakePredictor(change, outputs)

        monkeypatch.setattr(benchmark.prediction, "load_predictor", load_predictor)
        return calls

    return install


def rewrite(folder, id, change, code=None, **options):
    """Read a map with SimpleITK, change its array (z, y, x) in LPS, and write it again."""
    path = folder / f"{id}R.mhd"
    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
    array = change(sitk.GetArrayFromImage(image))
    write(path, array, code or code_of(id), **options)


def edit_header(path, **fields):
    """Change or add lines of a MetaImage header; None removes one."""
    lines = []
    for line in path.read_text().splitlines():
        key = line.partition("=")[0].strip()
        if key in fields:
            value = fields.pop(key)
            if value is None:
                continue
            line = f"{key} = {value}"
        lines.append(line)
    lines[-1:-1] = [f"{key} = {value}" for key, value in fields.items()]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def change_map():
    return rewrite


@pytest.fixture
def change_header():
    return edit_header
