"""Fine-tuning starts on the grid that the weights fit, and never tests what was trained on."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmark.cohorts.split import Split
from benchmark.errors import UserError
from benchmark.manifest import write_manifest
from benchmark.runs.finished import FinishedRun
from benchmark.runs.plan import FORMAT
from benchmark.runs.start import refuse_seen, start_settings
from benchmark.training.settings import Settings

SETTINGS = Settings("70 s", (6.0, 4.0, 4.0), 16, 4, 0.003)


@pytest.fixture
def init(tmp_path):
    """A run with one failed and one finished cell."""
    folder = tmp_path / "table1" / "quick-phantom-00"
    folder.mkdir(parents=True)
    plan = {
        "settings": json.loads(json.dumps(SETTINGS.as_dict())),
        "cells": [{"method": "a", "seed": 0, "folder": n} for n in ("a-0", "b-0")],
        "cohort": {"fingerprint": "ab" * 32},
        "split": {"train": ["p1", "p2"], "test": ["p3"]},
    }
    for name, state, ledger in (("a-0", "failed", {}), ("b-0", "finished", {"grid": [22, 40, 44]})):
        cell = tmp_path / "cells" / name
        cell.mkdir(parents=True)
        values = {
            "format": FORMAT, "method": "a", "title": "A", "outputs": ["mask"], "trained": True,
            "seed": 0, "key": {}, "state": state, "reason": "", "ledger": ledger, "notes": [],
            "data_notes": [], "curve": [],
        }  # fmt: skip
        (cell / "run.json").write_text(json.dumps(values))
        np.savez(cell / "predictions.npz", ids=np.array(["p3"]))
        write_manifest(cell)
    return FinishedRun(folder, plan)


def test_the_grid_is_that_of_the_weights(init):
    other = replace(SETTINGS, budget="9 s", learning_rate=0.001, batch_size=2)
    assert start_settings(init, other) == replace(other, grid=(22, 40, 44))


def test_a_grid_that_was_asked_for_stays(init):
    asked = replace(SETTINGS, grid=(16, 32, 32))
    assert start_settings(init, asked) == asked


@pytest.mark.parametrize("change", [{"width": 32}, {"cell_mm": (3.0, 2.0, 2.0)}])
def test_networks_of_another_size_are_refused(init, change):
    (name,) = change
    with pytest.raises(UserError, match=name):
        start_settings(init, replace(SETTINGS, **change))


def test_scans_that_were_trained_on_are_not_tested(init):
    with pytest.raises(UserError, match=r"1 of the 2 test scans \(p2\)"):
        refuse_seen(init, "ab" * 32, Split(("p1",), ("p2", "p3"), 0))
    refuse_seen(init, "ab" * 32, Split(("p1", "p2"), ("p3",), 0))
    # ids of another cohort are other scans
    refuse_seen(init, "cd" * 32, Split(("p1",), ("p2", "p3"), 0))
