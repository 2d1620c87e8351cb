"""Figures of a board are computed once for the same cells, and never for others."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.metrics import replicate
from benchmark.report import measure as module
from benchmark.report.measure import measure
from benchmark.runs.finished import read_cells


@pytest.fixture
def cells(write_run):
    return [c for c in read_cells(write_run({"mmwfanet": 0.9})) if c.method == "mmwfanet"]


def values(found):
    return {key: figure.value for key, figure in found.items()}


def test_the_same_cells_are_measured_once(cells, monkeypatch):
    counted = []
    monkeypatch.setattr(
        module, "replicate", lambda *a, **k: counted.append(1) or replicate(*a, **k)
    )
    module._measured.cache_clear()
    first = measure(cells, "mask", cells[0])
    again = measure(list(cells), "mask", cells[1])
    assert len(counted) == 1
    assert values(first[0]) == values(again[0])
    measure(cells, "head", cells[0])
    measure(cells[:1], "mask", cells[0])
    assert len(counted) == 3, "another source, other seeds"


def test_a_cell_of_the_same_name_with_other_predictions_is_measured_anew(cells):
    known = measure(cells, "mask", cells[0])[0]
    worse = [replace(cell, mask=cell.mask * 0.5) for cell in cells]
    found = measure(worse, "mask", worse[0])[0]
    assert found["ICC", "mean"].value < known["ICC", "mean"].value


def test_what_a_caller_does_to_its_figures_stays_there(cells):
    found = measure(cells, "mask", cells[0])[0]
    found.clear()
    assert measure(cells, "mask", cells[0])[0]
    with pytest.raises(ValueError, match="read-only"):
        measure(cells, "mask", cells[0])[0]["F1", "whole"].resampled[0] = 1.0


def test_a_method_without_a_finished_seed_takes_the_boards_reference(cells):
    lost = [replace(cell, state="failed", mask=None, tp=None, fp=None, fn=None) for cell in cells]
    lost = [replace(cell, reference=None, ids=(), worst_fp=None) for cell in lost]
    found, missing = measure(lost, "mask", cells[0])
    assert missing == len(lost) * len(cells[0].ids)
    assert found["F1", "whole"].value == 0
    assert np.isfinite(found["MAE_AS", "whole"].value)
