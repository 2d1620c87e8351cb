"""Cells and runs of numbers alone, and a check that a figure can be read."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from benchmark.manifest import write_manifest
from benchmark.runs.finished import FinishedRun
from benchmark.runs.plan import FORMAT
from benchmark.runs.store import KeptCell

OPTIONS = {
    "fusion": "weighted",
    "heads": ["mask", "head"],
    "omega_seg": 1.0,
    "omega_qua": 0.3,
    "lambda_intra": 1e-4,
    "lambda_inter": 1e-2,
}
SETTINGS = {"budget": "70 s", "width": 16}


def scores_of(volumes):
    """(n, 3) artery volumes -> (n, 3, 4) scores with whole as the sum."""
    volume = np.concatenate([volumes, volumes.sum(axis=1, keepdims=True)], axis=1)
    return np.stack([volume * 1.2, volume, volume * 0.2], axis=1)


@pytest.fixture
def make_cell():
    """A function: a finished cell of 40 scans that finds a share of the calcium."""

    def make(name="mmwfanet", seed=0, skill=0.8, outputs=("mask", "head"), n=40, **options):
        truth = np.random.default_rng(7).lognormal(3, 1.5, (n, 3))
        truth[: n // 4] = 0
        draw = np.random.default_rng([seed, round(1000 * skill)])
        found = truth * np.clip(skill + draw.normal(0, 0.1, (n, 3)), 0, 1)
        whole = np.concatenate([found, found.sum(axis=1, keepdims=True)], axis=1)
        reference = scores_of(truth)
        key = {
            "method": "mmwfanet",
            "options": {**OPTIONS, "heads": list(outputs), **options},
            "settings": SETTINGS,
            "cohort": "ab" * 32,
            "split": "cd",
            "seed": seed,
            "device": "cpu",
            "threads": 2,
        }
        cell = KeptCell(
            folder=f"{name}-seed{seed}",
            method=name,
            title=name.upper(),
            outputs=tuple(outputs),
            trained=True,
            seed=seed,
            key=key,
            state="finished",
            ids=tuple(f"p{i:02}" for i in range(n)),
            reference=reference,
            worst_fp=np.full((n, 4), 50.0),
        )
        if "mask" in outputs:
            parts = {"tp": whole, "fp": np.full((n, 4), 2.0), "fn": reference[:, 1] - whole}
            cell = replace(cell, mask=scores_of(found), **parts)
        if "head" in outputs:
            noise = draw.lognormal(-0.1, 0.3, (n, 3, 4))
            cell = replace(cell, head=reference * skill * noise)
        return cell

    return make


@pytest.fixture
def make_run(tmp_path):
    """A function: a run's folder with its plan and, if asked, its cells in the store."""

    def make(cells, keep=False, options=True):
        folder = tmp_path / "runs" / "tiny" / "smoke-fake"
        folder.mkdir(parents=True, exist_ok=True)
        methods = []
        for cell in {cell.method: cell for cell in cells}.values():
            method = {
                "name": cell.method,
                "title": cell.title,
                "outputs": list(cell.outputs),
                "paper": None,
                "trained": cell.trained,
            }
            if options:
                change = "" if cell.method == "mmwfanet" else "changed"
                method |= {"options": cell.key.get("options", {}), "base": None, "change": change}
            methods.append(method)
        plan = {
            "suite": "tiny",
            "seeds": sorted({cell.seed for cell in cells}),
            "methods": methods,
            "cells": [{"method": c.method, "seed": c.seed, "folder": c.folder} for c in cells],
            "budget": "70 s",
            "split": {"hash": "cd"},
            "cohort": {"name": "fake", "fingerprint": "ab" * 32},
        }
        (folder / "plan.json").write_text(json.dumps(plan))
        for cell in cells if keep else ():
            store_cell(tmp_path / "runs", cell)
        return FinishedRun(folder, plan)

    return make


def store_cell(root, cell):
    """Write a cell as the store keeps it."""
    values = asdict(cell)
    names = ("reference", "mask", "head", "tp", "fp", "fn", "worst_fp", "ids")
    arrays = {name: values.pop(name) for name in names}
    folder = root / "cells" / values.pop("folder")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"format": FORMAT, **values}))
    np.savez(folder / "predictions.npz", **{k: v for k, v in arrays.items() if v is not None})
    write_manifest(folder)


@pytest.fixture
def keep_cell(tmp_path):
    """A function that puts a cell into the store of `make_run`."""
    return lambda cell: store_cell(tmp_path / "runs", cell)


@pytest.fixture
def assert_legible():
    """Letters of 7 points or more, inside the figure, and not one upon another."""

    def check(figure):
        from matplotlib.text import Text

        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        page = figure.bbox
        boxes, undrawn = [], set()
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = axis.get_major_ticks() + axis.get_minor_ticks()
                beyond = [t for t in ticks if not low <= t.get_loc() <= high]
                undrawn |= {label for tick in beyond for label in (tick.label1, tick.label2)}
        for text in figure.findobj(Text):
            if text in undrawn or not text.get_visible() or not text.get_text().strip():
                continue
            assert text.get_fontsize() >= 7, text.get_text()
            assert "^" not in text.get_text(), "a raised letter is smaller than its font"
            box = text.get_window_extent(renderer)
            inside = (
                box.x0 >= page.x0 - 1
                and box.y0 >= page.y0 - 1
                and box.x1 <= page.x1 + 1
                and box.y1 <= page.y1 + 1
            )
            assert inside, f"{text.get_text()!r} leaves the figure: {box}"
            boxes.append((text.get_text(), box))
        assert boxes
        for i, (one, a) in enumerate(boxes):
            for other, b in boxes[i + 1 :]:
                width = min(a.x1, b.x1) - max(a.x0, b.x0)
                height = min(a.y1, b.y1) - max(a.y0, b.y0)
                assert width <= 1 or height <= 1, f"{one!r} lies upon {other!r}"

    return check
