"""Forest plots: what is told apart, from whom, and whether training noise was counted."""

import numpy as np
import pytest

from benchmark.metrics import Replicates
from benchmark.page.differences import (
    APART,
    NOT_APART,
    THESE_ONLY,
    UNDEFINED,
    forest_data,
    panels,
    plain,
)
from benchmark.page.lines import PageLine
from benchmark.runs.store import KeptCell

COLUMN = ("F1", "whole")
COMMON = np.random.default_rng(0).normal(0, 0.02, 2000)


def line(title, by_seed, own=0.002, trained=True, column=COLUMN, source="mask"):
    """A line whose resamples share most of their spread with all others."""
    by_seed = np.asarray(by_seed, float)
    noise = np.random.default_rng([len(title), *title.encode()]).normal(0, own, 2000)
    figure = Replicates(by_seed, by_seed.mean() + COMMON + noise, 60, (2000, 0))
    if np.isnan(by_seed).any():
        figure = Replicates(by_seed, np.full(2000, np.nan), 60, (2000, 0), "nothing found")
    cells = tuple(
        KeptCell(f"{title}{s}", title, title, (source,), trained, s, {}, "finished")
        for s in range(by_seed.size)
    )
    method = {"name": title, "trained": trained, "retrain": True}
    return PageLine(f"r1-{title}", title, source, method, cells, {column: figure})


def verdicts(*lines):
    (panel,) = panels(lines, [COLUMN])
    return panel, {row.label: row.verdict for row in panel.rows}


def test_a_large_difference_is_told_apart_when_seeds_agree():
    panel, found = verdicts(
        line("best", [0.90, 0.901]), line("worse", [0.80, 0.801]), line("same", [0.9, 0.8998])
    )
    assert panel.best == "best (mask)"
    assert found == {"worse (mask)": APART, "same (mask)": NOT_APART}


def test_the_same_difference_is_not_of_methods_when_seeds_scatter():
    _, found = verdicts(line("best", [0.95, 0.85]), line("worse", [0.93, 0.73]))
    assert found == {"worse (mask)": THESE_ONLY}


def test_one_seed_decides_nothing_of_methods():
    panel, found = verdicts(line("best", [0.90]), line("worse", [0.80]))
    assert found == {"worse (mask)": THESE_ONLY}
    assert np.isnan(panel.noise.sd)
    assert forest_data([panel])[0]["rows"][0]["both"] is None


def test_a_reference_may_be_above_the_best_trained_one():
    panel, _ = verdicts(line("net", [0.8, 0.801]), line("rule", [0.9], trained=False))
    assert panel.best == "net (mask)"
    assert panel.rows[0].contrast.value == pytest.approx(0.0995)


def test_what_is_undefined_stays_and_comes_last():
    panel, found = verdicts(
        line("best", [0.9, 0.9]), line("none", [np.nan, 0.4]), line("worse", [0.8, 0.81])
    )
    assert found["none (mask)"] == UNDEFINED
    assert panel.rows[-1].label == "none (mask)"
    assert forest_data([panel])[0]["rows"][-1]["value"] is None


def test_rows_go_from_the_nearest_to_the_farthest_where_less_is_better_too():
    column = ("MAE_AS", "whole")
    lines = [
        line("far", [30.0, 30.1], column=column),
        line("best", [10.0, 10.1], column=column),
        line("near", [12.0, 12.1], column=column),
    ]
    (panel,) = panels(lines, [column])
    assert panel.best == "best (mask)"
    assert [row.label for row in panel.rows] == ["near (mask)", "far (mask)"]


def test_p_values_are_adjusted_for_the_number_of_comparisons():
    two, _ = verdicts(line("best", [0.9, 0.9]), line("b", [0.898, 0.899]))
    many, _ = verdicts(
        line("best", [0.9, 0.9]), line("b", [0.898, 0.899]), *(
            line(f"c{k}", [0.899, 0.9]) for k in range(6)
        )
    )  # fmt: skip
    alone = next(row for row in two.rows if row.label == "b (mask)")
    together = next(row for row in many.rows if row.label == "b (mask)")
    assert together.p > together.contrast.p
    assert alone.p == alone.contrast.p


def test_there_is_no_panel_of_a_single_line():
    assert panels([line("only", [0.9])], [COLUMN]) == ()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(float("nan"), None), (float("inf"), None), (None, None), (0.123456, 0.12346)],
)
def test_json_gets_rounded_numbers_or_nothing(value, shown):
    assert plain(value) == shown
