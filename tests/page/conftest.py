"""Finished runs on disk, to make pages of: numbers alone, or small scans with their predictions."""

import json
import shutil

import numpy as np
import pytest

from benchmark.calcium import label_candidates, score_scan
from benchmark.cohorts.base import Cohort, Scan
from benchmark.errors import UserError
from benchmark.manifest import write_manifest
from benchmark.page.content import make_content
from benchmark.runs.finished import find_run
from benchmark.runs.plan import FORMAT

SPACING = (3.0, 1.0, 1.0)
PRINT = "ab" * 32


def no_scans(run):
    raise UserError("no scans in this test.")


@pytest.fixture
def copied(tiny_outcome, tmp_path):
    """``copied(edit) -> FinishedRun``: the tiny run copied, its JSON files changed by ``edit``.

    ``edit(plan, cells)`` gets the plan and the run.json of every cell by method and seed.
    """

    def copy(edit=lambda plan, cells: None):
        root = tmp_path / "runs"
        shutil.copytree(tiny_outcome.folder.parents[1], root)
        folder = root / tiny_outcome.folder.parent.name / tiny_outcome.folder.name
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        paths = {
            (cell["method"], cell["seed"]): root / "cells" / cell["folder"] / "run.json"
            for cell in plan["cells"]
        }
        cells = {key: json.loads(path.read_text("utf-8")) for key, path in paths.items()}
        edit(plan, cells)
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        for key, path in paths.items():
            path.write_text(json.dumps(cells[key]), encoding="utf-8")
            if cells[key]["state"] == "failed":  # a failure keeps no predictions
                path.with_name("predictions.npz").unlink()
            write_manifest(path.parent)
        return find_run(str(folder), root)

    return copy


@pytest.fixture(scope="session")
def content(tiny_outcome):
    """The page's content of the tiny suite with two seeds, without scans."""
    run = find_run(str(tiny_outcome.folder), tiny_outcome.folder.parents[1])
    return make_content([run], no_scans)


def small_scan(index: int, arteries) -> Scan:
    """One lesion of 2 x 4 x 4 voxels for each artery, denser with the index, and a bone."""
    voxels = np.full((8, 90, 110), 40, np.int16)
    labels = np.zeros(voxels.shape, np.uint8)
    for artery in arteries:
        place = (slice(3, 5), slice(20 * artery, 20 * artery + 4), slice(50, 54))
        voxels[place] = 200 + 50 * index
        labels[place] = artery
    voxels[3:5, 70:75, 90:96] = 700
    return Scan(f"s{index}", "A", voxels, SPACING, labels)


class SmallCohort(Cohort):
    """Scans kept in memory."""

    name = "small"

    def __init__(self, scans, print_=PRINT):
        self.scans, self.print = {s.id: s for s in scans}, print_

    def fingerprint(self):
        return self.print

    def records(self):
        raise AssertionError("the page needs no records")

    def load(self, id):
        return self.scans[id]


def _volumes(scan, estimate):
    """(3, 4) mm3: tp, fp, fn of LAD, LCX, RCA and whole."""
    pairs = [(scan.labels == k, estimate == k) for k in (1, 2, 3)]
    pairs.append((scan.labels > 0, estimate > 0))
    found = [[(r & e).sum(), (e & ~r).sum(), (r & ~e).sum()] for r, e in pairs]
    return np.asarray(found, float).T * np.prod(SPACING)


@pytest.fixture
def small_run(tmp_path):
    """``small_run({"exact": rule, ...}) -> (FinishedRun, SmallCohort)`` of four small scans.

    A rule is called with the true classes of a scan's candidates (n + 1,) and the scan's place,
    and gives the classes that the method voted.
    """

    def make(rules):
        scans = [small_scan(i, a) for i, a in enumerate([(1, 2, 3), (1, 2), (2, 3), (3,)])]
        root = tmp_path / "runs"
        reference = np.stack([score_scan(s.voxels, s.labels, SPACING) for s in scans])
        methods, entries = [], []
        for name, rule in rules.items():
            mask, volumes, kept = [], [], []
            for place, scan in enumerate(scans):
                components, count = label_candidates(scan.voxels)
                true = np.zeros(count + 1, np.uint8)
                for number in range(1, count + 1):
                    true[number] = scan.labels[components == number].max()
                voted = np.asarray(rule(true, place), np.uint8)
                estimate = voted[components]
                kept.append(voted)
                mask.append(score_scan(scan.voxels, estimate, SPACING))
                volumes.append(_volumes(scan, estimate))
            tp, fp, fn = np.moveaxis(np.asarray(volumes), 1, 0)
            folder = f"{name}-seed0-00"
            (root / "cells" / folder).mkdir(parents=True)
            np.savez(
                root / "cells" / folder / "predictions.npz",
                ids=np.asarray([s.id for s in scans]), reference=reference, mask=np.stack(mask),
                tp=tp, fp=fp, fn=fn, worst_fp=np.full((4, 4), 1e3),
                components=np.concatenate(kept), components_start=np.cumsum([0, *map(len, kept)]),
            )  # fmt: skip
            key = {
                "method": name, "settings": {"budget": "5 steps"}, "split": "s", "cohort": PRINT,
                "device": "cpu", "threads": 1,
            }  # fmt: skip
            values = {
                "format": FORMAT, "method": name, "title": name.upper(), "outputs": ["mask"],
                "trained": True, "seed": 0, "key": key, "state": "finished", "reason": "",
                "ledger": {}, "notes": [], "data_notes": [], "curve": [],
            }  # fmt: skip
            (root / "cells" / folder / "run.json").write_text(json.dumps(values), "utf-8")
            methods.append(
                {"name": name, "title": name.upper(), "outputs": ["mask"], "trained": True}
                | {"paper": None, "options": {}}
            )
            entries.append({"method": name, "seed": 0, "folder": folder})
        plan = {
            "suite": "tiny", "title": "Small scans", "scale": "smoke", "paper_table": None,
            "seeds": [0], "budget": "5 steps", "device": "cpu", "threads": 1, "methods": methods,
            "cells": entries, "version": "0", "split": {"hash": "s", "train": [], "test": ["s0"]},
            "cohort": {"name": "small", "fingerprint": PRINT, "notes": [], "scans": 4},
            "settings": {
                "budget": "5 steps", "cell_mm": [6, 8, 8], "width": 8, "batch_size": 2,
                "optimiser": "adamw", "learning_rate": 0.003, "schedule": "cosine",
                "precision": "float32",
            },
        }  # fmt: skip
        # the board refuses cells of another recipe
        for entry in entries:
            path = root / "cells" / entry["folder"] / "run.json"
            values = json.loads(path.read_text("utf-8"))
            values["key"]["settings"] = plan["settings"]
            path.write_text(json.dumps(values), "utf-8")
            write_manifest(path.parent)
        folder = root / "tiny" / "run"
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        return find_run(str(folder), root), SmallCohort(scans)

    return make
