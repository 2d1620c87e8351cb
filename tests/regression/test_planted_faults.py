"""Faults planted in labels and metrics are caught, on figures computed anew: no training here.

`test_planted_trainings.py` has the long form: whole checks by a tree with the fault in its source.
"""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.metrics import columns, replicates
from benchmark.regression.judging import CHANGED, judge_figures
from benchmark.regression.rule import Rule
from benchmark.regression.table import make_table
from benchmark.runs.store import KeptCell

CHECKED = 2
"""Seeds that a check trains first; a fall is confirmed by as many more."""


@pytest.fixture
def check(kept):
    """A check against a baseline of ten seeds, with figures computed anew from kept predictions."""

    def run(*more):
        return kept("--no-costs", *more)

    assert run() == 0
    return run


def one_column_off(monkeypatch):
    monkeypatch.setattr(replicates, "WHOLE_AGATSTON", replicates.WHOLE_AGATSTON - 1)


def one_scan_off_in_icc(monkeypatch):
    def icc(m):
        return columns.icc_of_moments(replace(m, n=m.n - 1))

    monkeypatch.setitem(replicates.OF_MOMENTS, "ICC", icc)


def one_scan_off_in_errors(monkeypatch):
    def mae(reference, estimate, weights=None):
        n = len(reference)
        return columns.weighted_mae(reference, estimate, weights) * n / (n - 1)

    monkeypatch.setitem(replicates.FIGURES, "MAE", mae)


def one_artery_off(monkeypatch):
    real = replicates.pooled_ratios

    def ratios(*volumes):
        return {name: np.roll(values, 1, axis=1) for name, values in real(*volumes).items()}

    monkeypatch.setattr(replicates, "pooled_ratios", ratios)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (one_column_off, "kappa whole"),
        (one_scan_off_in_icc, "ICC_AS LAD"),
        (one_scan_off_in_errors, "MAE_AS whole"),
        (one_artery_off, "F1 LCX"),
    ],
)
def test_a_metric_off_by_one(check, fake_check, monkeypatch, capsys, fault, word):
    fake_check.calls.clear()
    fault(monkeypatch)
    capsys.readouterr()
    assert check() == 1
    assert f"FAILED     all-lad, mask: {word} changed from" in capsys.readouterr().out
    again = [call for call in fake_check.calls if call[1] < CHECKED]
    assert again == [], "only to confirm a fall are further seeds trained"


def test_labels_of_two_arteries_exchanged_in_a_networks_answer(check, fake_check, capsys):
    drawn = fake_check.run_cell

    def exchanged(method, *rest):
        result = drawn(method, *rest)
        if method.name == "unet3d":
            order = [0, 2, 1, 3]  # LAD, RCA, LCX, whole
            found = result.tp.copy()
            result.mask = result.mask[:, :, order]
            result.tp[:, 1:3] = 0
            result.fp[:, 1:3] += found[:, [2, 1]]
            result.fn[:, 1:3] += found[:, 1:3]
        return result

    fake_check.run_cell = exchanged
    capsys.readouterr()
    # other seeds: those of the check before are kept
    assert check("--seed", "2") == 1
    text = capsys.readouterr().out
    for target in ("LCX", "RCA"):
        assert f"FAILED     unet3d, mask: F1 {target}" in text
    assert "FAILED     unet3d, mask: F1 LAD" not in text
    assert "FAILED     mmwfanet" not in text


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Scans of a small phantom on the training grid."""
    from benchmark.cohorts.phantom import PhantomCohort
    from benchmark.runs.sources import tier_split
    from benchmark.training.prepare import prepare
    from benchmark.training.settings import Settings

    cohort = PhantomCohort(cache=tmp_path_factory.mktemp("phantom"))
    split = tier_split(cohort, 10, 8)
    cohort.prepare((*split.train, *split.test), None, 1)
    settings = Settings("5 steps", (6, 8, 8), 8, 2, 0.003)
    return prepare(cohort, split, settings, None, 1), settings


def references(prepared, settings):
    """The figures of both rows that learn nothing, by the harness itself."""
    from benchmark.methods import find
    from benchmark.training.cell import run_cell

    methods = [find(name) for name in ("all-lad", "nearest-25")]
    cells = []
    for method in methods:
        made = run_cell(method, prepared, settings, 0, "cpu", 1)
        arrays = {name: getattr(made, name) for name in ("reference", "mask", "tp", "fp", "fn")}
        cells.append(
            KeptCell(
                method.name,
                method.name,
                method.title,
                method.outputs,
                False,
                0,
                {},
                "finished",
                ids=tuple(made.ids),
                worst_fp=made.worst_fp,
                **arrays,
            )
        )
    plan = {
        "suite": "smoke",
        "methods": [
            {"name": m.name, "outputs": m.outputs, "trained": False, "retrain": True, "base": None}
            for m in methods
        ],
    }
    return make_table(plan, tuple(cells))


def test_labels_exchanged_in_the_scans_themselves(prepared):
    """A network would learn the exchanged arteries as well; rows without noise show them."""
    sound, settings = prepared
    kept = references(sound, settings)
    kept = {name: replace(f, values=f.values * 3) for name, f in kept.items()}
    assert not [f for f in judge_figures(kept, references(sound, settings), Rule()) if f.fault]
    exchange = np.array([0, 1, 3, 2], np.uint8)

    def exchanged(example):
        found = replace(example.candidates, label=exchange[example.candidates.label])
        scores = example.scores[:, [0, 2, 1, 3]]
        return replace(example, candidates=found, scores=scores)

    swapped = replace(
        sound,
        train=tuple(map(exchanged, sound.train)),
        test=tuple(map(exchanged, sound.test)),
    )
    faults = [f for f in judge_figures(kept, references(swapped, settings), Rule()) if f.fault]
    assert {f.verdict for f in faults} >= {CHANGED}
    assert {f.name.target for f in faults} >= {"LCX", "RCA"}
