"""Finished runs written straight to disk: no training, no torch."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.methods import find
from benchmark.runs.finished import find_run
from benchmark.runs.plan import FORMAT, CellPlan
from benchmark.runs.store import Store

N = 60
SETTINGS = {
    "budget": "5 steps", "cell_mm": [6, 8, 8], "width": 8, "batch_size": 2, "optimiser": "adamw",
    "learning_rate": 0.003, "schedule": "cosine", "precision": "float32",
}  # fmt: skip


def scores_of(volumes):
    """(n, 3) volumes of arteries -> (n, 3, 4) scores, with whole as the sum."""
    volume = np.concatenate([volumes, volumes.sum(axis=1, keepdims=True)], axis=1)
    return np.stack([volume * 1.2, volume, volume * 0.2], axis=1)


def cohort_volumes(n=N):
    """(n, 3) mm3: a quarter of the scans without calcium."""
    truth = np.random.default_rng(7).lognormal(3, 1.0, (n, 3))
    truth[: n // 4] = 0
    return truth


@pytest.fixture
def write_run(tmp_path):
    """``write_run({"mmwfanet": 0.95, "mvl": 0.8}, seeds=(0, 1)) -> FinishedRun``.

    A row is a name and its skill: the share of each lesion that it finds, a number or one for each
    of LAD, LCX, RCA. `seed_sd` moves the skill of each seed; `broken` names (method, seed) that
    failed; `old` writes a plan as the first version did.
    """

    def write(
        rows,
        seeds=(0, 1),
        suite="tiny",
        name="smoke-fake-0",
        cohort="phantom",
        fingerprint="ab" * 16,
        settings=None,
        seed_sd=0.005,
        head=0.9,
        broken=(),
        old=False,
        ids=None,
        n=N,
        key=None,
        device="cpu",
        split="s1",
        root=None,
        curve=(),
        threads=1,
        device_name="a fake machine",
    ):
        settings = {**SETTINGS, "options": None, **(settings or {})}
        store = Store(root or tmp_path / "runs")
        truth = cohort_volumes(n)
        ids = ids or [f"p{i:03}" for i in range(n)]
        methods, cells = [], []
        for row, skill in rows.items():
            method = find(row)
            own = {
                "name": row,
                "title": method.title,
                "outputs": list(method.outputs),
                "paper": method.paper,
                "trained": method.trained,
            }
            if not old:
                own |= {
                    "options": method.options,
                    "base": method.base,
                    "change": method.change,
                    "expect": method.expect,
                    "retrain": method.retrain,
                    "reference": method.reference,
                }
            methods.append(own)
            for seed in seeds:
                draw = np.random.default_rng([seed, *row.encode()])
                middle = np.asarray(skill) + draw.normal(0, seed_sd)
                share = np.clip(middle + draw.normal(0, 0.02, truth.shape), 0, 1)
                found = truth * share
                whole = np.concatenate([found, found.sum(axis=1, keepdims=True)], axis=1)
                reference = scores_of(truth)
                result = SimpleNamespace(
                    ids=ids,
                    reference=reference,
                    worst_fp=np.full((n, 4), 50.0),
                    notes=(),
                    curve=curve,
                )
                if "mask" in method.outputs:
                    result.mask = scores_of(found)
                    result.tp, result.fp = whole, np.full((n, 4), 0.5)
                    result.fn = reference[:, 1] - whole
                if "head" in method.outputs:
                    noise = draw.lognormal(0, 0.1, (n, 1, 1))
                    result.head = scores_of(found) * head * noise
                hashed = {
                    "method": method.family,
                    "options": method.options,
                    "source": "aa" * 8,
                    "harness": "bb" * 8,
                    "settings": {k: v for k, v in settings.items() if k != "options"},
                    "cohort": fingerprint,
                    "split": split,
                    "seed": seed,
                    "device": device,
                    "threads": 1,
                    **(key or {}),
                }
                place = f"{suite}-{name}-{row}-seed{seed}".replace("/", "-")
                plan = CellPlan(method, seed, place, hashed)
                ledger = {"device_name": device_name, "versions": {"torch": "9.9"}}
                if (row, seed) in broken:
                    store.write_failed(plan, "diverged", "", ledger)
                else:
                    store.write_finished(plan, result, "", ledger)
                cells.append({"method": row, "seed": seed, "folder": place})
        values = {
            "format": FORMAT,
            "suite": suite,
            "title": "A run for tests",
            "paper_table": None,
            "scale": "smoke",
            "settings": settings,
            "budget": "5 steps",
            "cohort": {
                "name": cohort,
                "fingerprint": fingerprint,
                "notes": [],
                "scans": n + 20,
            },
            "split": {"hash": split, "seed": 0, "train": ["t"] * 20, "test": list(ids)},
            "seeds": list(seeds),
            "device": device,
            "threads": threads,
            "methods": methods,
            "cells": cells,
            "version": "0",
        }
        folder = store.root / suite / name
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps(values), encoding="utf-8")
        return find_run(str(folder), store.root)

    return write
