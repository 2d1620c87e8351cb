import csv
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from benchmark.errors import UserError
from benchmark.figures.agreement import (
    agreement_figures,
    caption,
    draw_agreement,
    limit_rows,
    row_share,
    score_agreement,
)


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_files_and_their_numbers(make_cell, make_run, tmp_path):
    cells = [make_cell(seed=0), make_cell(seed=1, skill=0.6), make_cell("other")]
    files = agreement_figures(make_run(cells), cells, tmp_path / "out")
    names = {
        f"fig7-mmwfanet-{s}{e}"
        for s in ("mask", "head")
        for e in (".pdf", ".png", ".csv", "-limits.csv", "-risk.csv", ".txt")
    }
    assert {path.name for path in files} == names
    assert all(path.stat().st_size for path in files)
    reference, estimate = cells[0].reference[..., 3], cells[0].head[..., 3]  # (n, 3)
    points = table(tmp_path / "out" / "fig7-mmwfanet-head.csv")
    assert len(points) == 3 * 40
    got = np.array([float(row["estimate - reference [unit]"]) for row in points]).reshape(3, 40)
    np.testing.assert_allclose(got, (estimate - reference).T)
    got = np.array([float(row["mean of estimate and reference [unit]"]) for row in points])
    np.testing.assert_allclose(got.reshape(3, 40), (estimate + reference).T / 2)
    limits = table(tmp_path / "out" / "fig7-mmwfanet-head-limits.csv")
    assert {row["seed"] for row in limits} == {"0", "1"}
    for cell in cells[:2]:
        for k, score in enumerate(("Agatston", "volume", "mass")):
            own = {
                row["quantity"]: float(row["value [unit]"])
                for row in limits
                if (row["score"], row["seed"]) == (score, str(cell.seed))
            }
            d = (cell.head - cell.reference)[:, k, 3]
            half = 1.959964 * d.std(ddof=1)
            assert own["bias"] == pytest.approx(d.mean())
            assert own["lower limit"] == pytest.approx(d.mean() - half, rel=1e-5)
            assert own["upper limit"] == pytest.approx(d.mean() + half, rel=1e-5)
            assert own["share inside"] == pytest.approx(np.mean(abs(d - d.mean()) <= half))
    inside = [int(row["inside the limits"]) for row in points if row["score"] == "Agatston"]
    first = next(r for r in limits if (r["quantity"], r["seed"]) == ("share inside", "0"))
    assert np.mean(inside) == pytest.approx(float(first["value [unit]"]))


def test_confusion_and_kappa(make_cell, make_run, tmp_path):
    cell = make_cell(skill=0.5, outputs=("mask",))
    agreement_figures(make_run([cell]), [cell], tmp_path)
    edges = [1, 10, 100, 400]
    truth = np.digitize(cell.reference[:, 0, 3], edges)
    found = np.digitize(cell.mask[:, 0, 3], edges)
    wanted = confusion_matrix(truth, found, labels=range(5))
    rows = table(tmp_path / "fig7-mmwfanet-mask-risk.csv")
    np.testing.assert_array_equal([int(row["scans"]) for row in rows], wanted.ravel())
    share = [float(r["share of the reference category [1]"] or "nan") for r in rows]
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(share, (wanted / wanted.sum(axis=1, keepdims=True)).ravel())
    kappa = score_agreement(cell, "mask").kappa
    expected = cohen_kappa_score(truth, found, labels=range(5), weights="linear")
    assert kappa.value == pytest.approx(expected)


@pytest.mark.parametrize("source", ["mask", "head"])
@pytest.mark.parametrize("scale", [1.0, 300.0, 1e-3])
def test_letters_can_be_read(make_cell, assert_legible, source, scale):
    cell = make_cell("m", skill=0.6)
    cell = replace(
        cell,
        title="A network with a rather long name in it",
        reference=cell.reference * scale,
        mask=cell.mask * scale,
        head=cell.head * scale,
    )
    assert_legible(draw_agreement(score_agreement(cell, source)))


def test_a_missing_scan_takes_its_worst_value_and_is_named(make_cell):
    cell = make_cell()
    whole = score_agreement(cell, "head")
    head = cell.head.copy()
    head[-1] = np.nan
    found = score_agreement(replace(cell, head=head), "head")
    assert found.missing[-1].all()
    assert found.missing.sum() == 3
    assert found.confusion.sum() == 40
    for k in range(3):
        top = cell.reference[:, k, 3].max()
        worst = max(cell.reference[-1, k, 3], top - cell.reference[-1, k, 3])
        assert abs(found.scores[k].difference[-1]) == pytest.approx(worst)
        width = found.scores[k].upper.value - found.scores[k].lower.value
        assert width > whole.scores[k].upper.value - whole.scores[k].lower.value


def test_degenerate_cells_are_drawn_by_rule(make_cell, assert_legible):
    few = make_cell(n=2)
    found = score_agreement(few, "head")
    assert not found.scores[0].bias.is_defined
    assert_legible(draw_agreement(found))
    assert limit_rows(found, 0)[0]["note"]
    cell = make_cell()
    perfect = score_agreement(replace(cell, mask=cell.reference), "mask")
    assert perfect.scores[0].bias.value == 0
    assert perfect.kappa.value == 1
    assert_legible(draw_agreement(perfect))
    healthy = replace(cell, reference=cell.reference * 0, mask=cell.mask * 0)
    empty = score_agreement(healthy, "mask")
    assert not empty.kappa.is_defined
    assert np.isnan(row_share(empty.confusion)[1:]).all()
    assert_legible(draw_agreement(empty))


def test_which_methods(make_cell, make_run, tmp_path):
    base = make_cell("all-lad", outputs=("mask",))
    cells = [
        replace(base, trained=False),
        replace(make_cell("broken"), state="failed", mask=None, head=None),
        make_cell("good", outputs=("head",)),
    ]
    run = make_run(cells)
    names = {path.name for path in agreement_figures(run, cells, tmp_path)}
    assert all(name.startswith("fig7-good-") for name in names)
    names = {path.name for path in agreement_figures(run, cells, tmp_path, ["all-lad"])}
    assert all(name.startswith("fig7-all-lad-mask") for name in names)
    with pytest.raises(UserError, match="'broken' failed"):
        agreement_figures(run, cells, tmp_path, ["broken"])
    with pytest.raises(UserError, match="no method 'absent'"):
        agreement_figures(run, cells, tmp_path, ["absent"])
    with pytest.raises(UserError, match="not one method finished"):
        agreement_figures(run, cells[1:2], tmp_path)


def test_another_artery(make_cell, make_run, tmp_path):
    cell = make_cell(outputs=("head",))
    files = agreement_figures(make_run([cell]), [cell], tmp_path, target="LCX", interval="normal")
    path = next(path for path in files if path.name == "fig7-mmwfanet-head-LCX-limits.csv")
    rows = table(path)
    bias = (cell.head - cell.reference)[:, 1, 1].mean()
    own = next(r for r in rows if (r["score"], r["quantity"]) == ("volume", "bias"))
    assert float(own["value [unit]"]) == pytest.approx(bias)
    assert own["unit"] == "mm3"


def test_few_patients_have_points_and_lines_and_no_bands(make_cell, assert_legible):
    cell = replace(make_cell(n=12), patients=(0,) * 6 + (1,) * 6)
    found = score_agreement(cell, "mask")
    assert np.isfinite(found.scores[0].bias.value)
    assert np.isnan(found.scores[0].bias.low)
    assert np.isnan(found.kappa.low)
    text = caption(found, "bootstrap", 1)
    assert "one point a scan (12 scans of 2 patients)" in text
    assert "fewer than 3 patients: no interval" in text
    assert "bands" not in text
    assert_legible(draw_agreement(found))
    several = score_agreement(replace(cell, patients=tuple(i // 2 for i in range(12))), "mask")
    assert "12 scans of 6 patients" in caption(several, "bootstrap", 1)
    assert "percentile bootstrap over patients" in caption(several, "bootstrap", 1)
    normal = score_agreement(replace(cell, patients=tuple(i // 2 for i in range(12))), "mask",
                             interval="normal")  # fmt: skip
    assert "it assumes one scan a patient" in caption(normal, "normal", 1)
