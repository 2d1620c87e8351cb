import csv
import math
from dataclasses import replace

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.figures.weights import (
    LAMBDA_1,
    LAMBDA_2,
    OMEGA,
    draw_sweeps,
    lambda_figures,
    omega_figures,
    places,
    sweep_points,
)
from benchmark.metrics import paired_overlap, summarise


@pytest.fixture
def cells(make_cell):
    """The default, four omegas, two lambda_1 and two lambda_2, 0 among both."""
    changes = [{}]
    changes += [{"omega_qua": value} for value in (0.03, 0.1, 1.0, 3.0)]
    changes += [{"lambda_intra": value} for value in (0.0, 1e-3)]
    changes += [{"lambda_inter": value} for value in (0.0, 0.1)]
    return [
        make_cell(
            "mmwfanet" + "".join(f"+{k}={v}" for k, v in change.items()),
            skill=0.9 - 0.04 * index,
            **change,
        )
        for index, change in enumerate(changes)
    ]


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_figure_4_has_every_setting_with_its_numbers(cells, make_run, tmp_path):
    files = omega_figures(make_run(cells), cells, tmp_path)
    assert [path.name for path in files] == ["fig4.pdf", "fig4.png", "fig4.csv", "fig4.txt"]
    rows = table(files[2])
    values = sorted({float(row["value [1]"]) for row in rows})
    assert values == pytest.approx([1 / 3, 1, 1 / 0.3, 10, 1 / 0.03])
    for row in rows:
        cell = next(cell for cell in cells if cell.method == row["method"])
        head = summarise(cell.reference, cell.head)
        wanted = {
            "F1, whole heart": summarise(cell.reference, overlap=(cell.tp, cell.fp, cell.fn))[
                "F1", "whole"
            ],
            "ICC, Agatston, whole heart": head["ICC_AS", "whole"],
            "mean ICC of 12 scores": head["ICC", "mean"],
        }[row["performance"]]
        got = [
            float(row[name])
            for name in ("mean over seeds [1]", "95 % interval, low [1]", "95 % interval, high [1]")
        ]
        assert got == pytest.approx([wanted.value, wanted.low, wanted.high])
    assert {row["method"] for row in rows if row["default"] == "1"} == {"mmwfanet"}


def test_differences_are_paired_with_the_default(cells, make_run, tmp_path):
    rows = table(omega_figures(make_run(cells), cells, tmp_path)[2])
    row = next(r for r in rows if r["source"] == "mask" and r["omega_qua [1]"] == "3.0")
    other, base = next(c for c in cells if c.method == row["method"]), cells[0]
    wanted = paired_overlap((other.tp, other.fp, other.fn), (base.tp, base.fp, base.fn))
    gap = wanted["F1", "whole"]
    got = [
        float(row[name])
        for name in (
            "difference to default [1]",
            "difference, 95 % interval, low [1]",
            "difference, 95 % interval, high [1]",
        )
    ]
    assert got == pytest.approx([gap.difference, gap.low, gap.high])


def test_figure_5_has_both_lambdas_with_zero(cells, make_run, tmp_path):
    rows = table(lambda_figures(make_run(cells), cells, tmp_path)[2])
    found = {(row["weight"][:2], float(row["value [1]"])) for row in rows}
    assert found == {
        ("λ₁", 0.0),
        ("λ₁", 1e-4),
        ("λ₁", 1e-3),
        ("λ₂", 0.0),
        ("λ₂", 1e-2),
        ("λ₂", 0.1),
    }


def test_zero_stands_apart_on_a_broken_axis():
    place = places([0.0, 1e-3, 0.1, math.inf])
    assert place[0.0] == -4
    assert place[math.inf] == 0
    assert place[1e-3] == -3


@pytest.mark.parametrize("sweeps", [(OMEGA,), (LAMBDA_1, LAMBDA_2), (LAMBDA_2,)])
def test_letters_can_be_read_and_the_default_is_marked(cells, make_run, assert_legible, sweeps):
    run = make_run(cells)
    figure = draw_sweeps([(sweep, sweep_points(run, cells, sweep)) for sweep in sweeps])
    assert_legible(figure)
    panels = [axes for axes in figure.axes if axes.get_title("left")]
    assert len(panels) == 2 * len(sweeps)
    assert all("default" in [text.get_text() for text in axes.texts] for axes in panels)


def test_crowded_values_do_not_write_over_each_other(make_cell, make_run, assert_legible):
    grid = (0.0, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 3e-3, 1e-2, 0.011, 2e-2, 1.0, 12.0)
    cells = [make_cell("mmwfanet")]
    cells += [make_cell(f"m{v}", lambda_inter=v) for v in grid if v != 1e-2]
    run = make_run(cells)
    assert_legible(draw_sweeps([(LAMBDA_2, sweep_points(run, cells, LAMBDA_2))]))
    both = [(LAMBDA_2, sweep_points(run, cells, LAMBDA_2))] * 2
    assert_legible(draw_sweeps(both))


def test_a_weight_of_zero_below_and_a_failed_setting(cells, make_cell, make_run, assert_legible):
    cells = [*cells, make_cell("no-scores", omega_qua=0.0, skill=0.5)]
    cells[1] = replace(
        cells[1], state="failed", reason="diverged", mask=None, head=None, tp=None, fp=None, fn=None
    )
    run = make_run(cells)
    points = sweep_points(run, cells, OMEGA)
    assert points[-1].value == math.inf
    failed = next(point for point in points if not point.figures)
    assert failed.reason == "diverged"
    figure = draw_sweeps([(OMEGA, points)])
    assert "failed" in [text.get_text() for text in figure.axes[0].texts]
    assert_legible(figure)


def test_other_changes_do_not_enter(cells, make_cell, make_run):
    more = [*cells, make_cell("mvl", fusion="sum", omega_qua=0.5)]
    points = sweep_points(make_run(more), more, OMEGA)
    assert "mvl" not in [point.method for point in points]
    assert [point.value for point in points] == sorted(point.value for point in points)


def test_why_not(cells, make_cell, make_run, tmp_path):
    with pytest.raises(UserError, match="older version"):
        omega_figures(make_run(cells, options=False), cells, tmp_path)
    with pytest.raises(UserError, match="one setting of omega_seg and omega_qua only"):
        omega_figures(make_run(cells[:1]), cells[:1], tmp_path)
    with pytest.raises(UserError, match="one setting of lambda_intra and of lambda_inter"):
        lambda_figures(make_run(cells[:1]), cells[:1], tmp_path)
    other = make_cell("unet3d")
    other = replace(other, key={**other.key, "options": {"depth": 3}})
    with pytest.raises(UserError, match="no method of this run has weights"):
        omega_figures(make_run([other]), [other], tmp_path)
    assert not list(tmp_path.glob("fig*"))


def test_seeds_are_averaged(make_cell, make_run, tmp_path):
    cells = [make_cell(seed=s, skill=0.8 + 0.1 * s) for s in (0, 1)]
    cells += [make_cell("m", seed=s, omega_qua=1.0) for s in (0, 1)]
    rows = table(omega_figures(make_run(cells), cells, tmp_path)[2])
    row = next(r for r in rows if r["default"] == "1" and r["source"] == "mask")
    f1 = [
        2 * c.tp[:, 3].sum() / (2 * c.tp[:, 3] + c.fp[:, 3] + c.fn[:, 3]).sum() for c in cells[:2]
    ]
    assert float(row["mean over seeds [1]"]) == pytest.approx(np.mean(f1))
    assert float(row["SD over seeds [1]"]) == pytest.approx(np.std(f1, ddof=1))
    assert row["seeds"] == "2"
