"""What the networks of a finished run make of real scans that two readers labelled.

``python tests/real RUN SCANS LABELS [MORE...]``: RUN is a run's folder or name. SCANS and further
folders hold NAME.nii.gz (or .nrrd) and NAME_components.nii.gz: numbers of the candidate components
(3D 6-connected, above 130 HU). LABELS holds NAME.csv with columns component, a, b: either reader's
label, 0 to 3; what is not listed is 0. Components on which readers differ do not count.

Prints sensitivity, positive predictive value and F1 by volume, pooled over the scans, of each
method: the mean over its seeds. No real scan is in this repository, and none is trained on.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmark.errors import UserError
from benchmark.prediction.folder import predict_folder
from benchmark.prediction.predictor import load_predictor
from benchmark.prediction.scans import open_scans
from benchmark.report.consoles import make_console
from benchmark.runs.display import Display
from benchmark.runs.finished import find_run
from benchmark.runs.request import chosen_device

ARTERIES = ("LAD", "LCX", "RCA", "whole")
SUFFIXES = (".nii.gz", ".nrrd", ".mha")


def find(name: str, folders: list[Path]) -> Path | None:
    """Return the file of an image of this name, or None."""
    for folder in folders:
        for suffix in SUFFIXES:
            if (folder / f"{name}{suffix}").is_file():
                return folder / f"{name}{suffix}"
    return None


def volumes(image: Path, components: Path, table: Path, predicted: Path) -> np.ndarray:
    """Return volumes in mm3, shape (4, 4): readers' label (row) and predicted label (column)."""
    numbers = sitk.ReadImage(str(components))
    component = sitk.GetArrayFromImage(numbers)
    hu = sitk.GetArrayFromImage(sitk.ReadImage(str(image)))
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(predicted)))
    if not component.shape == hu.shape == found.shape:
        raise UserError(f"{table.stem}: image, components and prediction differ in size")
    truth = np.zeros(int(component.max()) + 1, int)
    differ = np.zeros(truth.size, bool)
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            k = int(row["component"])
            truth[k], differ[k] = int(row["a"]), row["a"] != row["b"]
    use = ~differ[component] & (hu > 130)
    pairs = truth[component][use] * 4 + found[use]
    return np.bincount(pairs, minlength=16).reshape(4, 4) * float(np.prod(numbers.GetSpacing()))


def metrics(table: np.ndarray) -> np.ndarray:
    """Return sensitivity, positive predictive value and F1 of LAD, LCX, RCA and whole: (4, 3)."""
    rows = []
    for k in (1, 2, 3):
        rows.append((table[k, k], table[:, k].sum() - table[k, k], table[k].sum() - table[k, k]))
    rows.append((table[1:, 1:].sum(), table[0, 1:].sum(), table[1:, 0].sum()))
    hit, false, missed = np.array(rows).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack(
            [hit / (hit + missed), hit / (hit + false), 2 * hit / (2 * hit + false + missed)], 1
        )


def main() -> None:
    """Predict the scans with every network of the run that gives a mask, and print the table."""
    parser = argparse.ArgumentParser(prog="python tests/real", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("scans", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("more", type=Path, nargs="*")
    parser.add_argument("--methods", help="Names, with commas between; all of the run if left out.")
    parser.add_argument("--out", type=Path, help="Keep the label maps here.")
    parser.add_argument("--each", action="store_true", help="Print every scan's volumes too.")
    asked = parser.parse_args()
    run = find_run(asked.run, Path("results/runs"))
    tables = sorted(asked.labels.glob("*.csv"))
    folders = [asked.scans, *asked.more]
    images = {table.stem: find(table.stem, folders) for table in tables}
    images = {name: path for name, path in images.items() if path is not None}
    left = [table.stem for table in tables if table.stem not in images]
    print(f"{len(images)} scans: {', '.join(images)}" + (f"; not there: {left}" if left else ""))
    names = asked.methods.split(",") if asked.methods else [m["name"] for m in run.plan["methods"]]
    display = Display(make_console(stderr=True))
    out = asked.out or Path(tempfile.mkdtemp())
    print(f"{'method':<26}{'seeds':>6}  " + "".join(f"{name + ' F1':>10}" for name in ARTERIES)
          + f"{'sens':>8}{'PPV':>8}")  # fmt: skip
    for name in names:
        found = []
        for seed in run.plan["seeds"]:
            try:
                predictor = load_predictor(run, name, seed, device=chosen_device("auto"))
            except UserError as error:
                print(f"{name}, seed {seed}: {error}")
                continue
            if "mask" not in predictor.outputs:
                break
            pool = np.zeros((4, 4))
            for scan, path in images.items():
                folder = out / f"{name}-{seed}" / scan
                predict_folder(predictor, open_scans(path), folder, display, pictures=False)
                (labels,) = (folder / "labels").glob("*.nii.gz")
                components = find(f"{scan}_components", folders)
                one = volumes(path, components, asked.labels / f"{scan}.csv", labels)
                if asked.each:
                    right = np.diag(one)[1:].round().tolist()
                    print(
                        f"  {scan:24} reference {one[1:].sum(1).round().tolist()} right {right} "
                        f"false {one[0, 1:].sum():.0f} missed {one[1:, 0].sum():.0f}"
                    )
                pool += one
            found.append(metrics(pool))
        if found:
            mean = np.nanmean(found, axis=0)
            cells = "".join(f"{value:>10.3f}" for value in mean[:, 2])
            print(f"{name:<26}{len(found):>6}  {cells}{mean[3, 0]:>8.3f}{mean[3, 1]:>8.3f}")


if __name__ == "__main__":
    main()
