"""Learning curves and costs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.page.curves import POINTS, cost_data, curve_data, frontier, thin
from benchmark.report.board import Board, Figure, Line, Row
from benchmark.runs.store import KeptCell

NUMBERS = st.one_of(st.none(), st.integers(0, 5).map(float))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12))
def test_the_frontier_is_what_nobody_beats(points):
    found = frontier(points)
    known = [(k, c, v) for k, (c, v) in enumerate(points) if c is not None and v is not None]
    for place, cost, value in known:
        beaten = any((c <= cost and v >= value) and (c < cost or v > value) for _, c, v in known)
        equal = [k for k, c, v in known if (c, v) == (cost, value)]
        assert (place in found) == (not beaten and place == min(equal))
    assert [points[k][0] for k in found] == sorted(points[k][0] for k in found)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 700), st.integers(2, 130))
def test_a_thinned_curve_keeps_its_ends_and_its_order(length, most):
    kept = thin(range(length), most)
    assert (kept[0], kept[-1]) == (0, length - 1)
    assert len(kept) == min(length, most)
    assert kept == sorted(set(kept))


def cell(curve, seconds=200.0):
    return KeptCell(
        "f", "net", "Net", ("mask",), True, 3, {}, "finished",
        ledger={"device_seconds": seconds}, curve=tuple(curve),
    )  # fmt: skip


def run_of(*cells):
    plan = {"methods": [{"name": "net", "title": "Net"}, {"name": "none", "title": "None"}]}
    return SimpleNamespace(run=SimpleNamespace(plan=plan), cells=cells)


def test_a_curve_is_known_against_samples_seconds_and_budget():
    points = [("pretraining", 0.25, 40, 2.0), ("joint", 0.5, 80, 1.0), ("joint", 1.0, 160, 0.5)]
    (found,) = curve_data(run_of(cell(points)))
    assert found["title"] == "Net"
    assert [line["stage"] for line in found["lines"]] == ["pretraining", "joint"]
    joint = found["lines"][1]
    assert joint["samples"] == [80, 160]
    assert joint["seconds"] == [100.0, 200.0]
    assert joint["share"] == [50.0, 100.0]
    assert joint["loss"] == [1.0, 0.5]
    assert joint["seed"] == 3


def test_a_loss_that_is_not_finite_is_left_out():
    points = [("s", 0.1, 1, None), ("s", 0.2, 2, float("nan")), ("s", 0.3, 3, 1.5)]
    (found,) = curve_data(run_of(cell(points)))
    assert found["lines"][0]["loss"] == [1.5]


def test_long_curves_are_thinned():
    points = [("s", k / 1000, k, 1.0) for k in range(1000)]
    (found,) = curve_data(run_of(cell(points)))
    assert len(found["lines"][0]["loss"]) == POINTS


def row(name, spent, **more):
    line = Line("mask", {("F1", "whole"): Figure(0.9, 0.8, 0.95, 30)})
    return Row(name, name.upper(), True, (line,), spent=spent, **more)


def test_costs_have_the_unit_that_the_axis_says():
    spent = {"flops": 2.5e12, "step_seconds": 0.3, "peak_memory_bytes": 3e8, "parameters": 1234}
    found = cost_data(Board("s", "t", "x", (row("a", spent),)))
    (point,) = found["points"]
    by_name = dict(zip(found["costs"], point["costs"], strict=True))
    assert by_name["TFLOP spent"] == 2.5
    assert by_name["ms a training step"] == pytest.approx(300)
    assert by_name["peak memory, MB"] == 300
    assert by_name["parameters"] == 1234
    assert "device-seconds" not in by_name  # of no row: nothing to choose
    assert by_name["training samples seen"] is None


def test_what_was_not_trained_has_no_cost():
    trained = row("a", {"flops": 1e12})
    borrowed = row("b", {"flops": 1e12, "weights_from": "A"})
    reference = replace(row("c", {}), trained=False)
    found = cost_data(Board("s", "t", "x", (trained, borrowed, reference)))
    assert [point["label"] for point in found["points"]] == ["A"]
