"""Figure 6: what is shown, what it is called, and that all of it can be read without colour."""

import csv
from itertools import combinations

import numpy as np
import pytest

from benchmark.calcium import label_candidates, score_scan
from benchmark.cohorts.base import Cohort, Scan
from benchmark.errors import UserError
from benchmark.figures.examples import choose_cells, choose_scans, statuses
from benchmark.figures.overlays import Row, _draw_lesions, overlay_figures
from benchmark.figures.slices import View, label_places, show_slice, view_of
from benchmark.figures.style import new_figure, styled
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell

SPACING = (3.0, 1.0, 1.0)
PRINT = "ab" * 32


def scan(index: int, arteries: tuple[int, ...]) -> Scan:
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
    name = "small"

    def __init__(self, scans):
        self.scans = {s.id: s for s in scans}
        self.loaded = []

    def fingerprint(self):
        return PRINT

    def records(self):
        raise AssertionError("the figure needs no records")

    def load(self, id):
        self.loaded.append(id)
        return self.scans[id]


def keep(root, name, scans, classes, seed=0, **more) -> KeptCell:
    """A kept cell whose candidates have these classes (candidates in the order of their number)."""
    voxel = float(np.prod(SPACING))
    reference = np.stack([score_scan(s.voxels, s.labels, SPACING) for s in scans])
    mask, volumes = [], []
    for s, kept in zip(scans, classes, strict=True):
        components, _ = label_candidates(s.voxels)
        estimate = np.asarray(kept, np.uint8)[components]
        mask.append(score_scan(s.voxels, estimate, SPACING))
        pairs = [((s.labels == k), (estimate == k)) for k in (1, 2, 3)]
        pairs.append((s.labels > 0, estimate > 0))
        volumes.append([[(r & e).sum(), (e & ~r).sum(), (r & ~e).sum()] for r, e in pairs])
    tp, fp, fn = np.moveaxis(np.asarray(volumes, float) * voxel, 2, 0)
    folder = root / "cells" / f"{name}-seed{seed}-00"
    folder.mkdir(parents=True)
    np.savez(
        folder / "predictions.npz",
        ids=np.asarray([s.id for s in scans]),
        components=np.concatenate([np.asarray(c, np.uint8) for c in classes]),
        components_start=np.cumsum([0, *map(len, classes)]),
    )
    values = {
        "folder": folder.name, "method": name, "title": name.upper(), "outputs": ("mask",),
        "trained": True, "seed": seed, "key": {"method": name}, "state": "finished",
        "ids": tuple(s.id for s in scans), "reference": reference, "mask": np.stack(mask),
        "tp": tp, "fp": fp, "fn": fn, "worst_fp": np.full((len(scans), 4), 1e3),
    }  # fmt: skip
    return KeptCell(**values | more)


def make_run(root, *names) -> FinishedRun:
    plan = {"methods": [{"name": n} for n in names], "cohort": {"name": "small"}}
    plan["cohort"]["fingerprint"] = PRINT
    return FinishedRun(root / "suite" / "run", plan)


@pytest.fixture
def small(tmp_path):
    """Three scans with calcium and one without; candidates 1 .. are lesions, then the bone."""
    scans = [scan(0, (1, 2)), scan(1, (3,)), scan(2, (1, 2, 3)), scan(3, ())]
    right = []
    for s in scans:
        components, n = label_candidates(s.voxels)
        right.append([0, *(int(s.labels[components == c].max()) for c in range(1, n + 1))])
    cells = (
        keep(tmp_path, "mmwfanet", scans, right),
        keep(tmp_path, "blind", scans, [[0] * len(r) for r in right]),
        keep(tmp_path, "shifted", scans, [[0, *(k % 3 + 1 for k in r[1:])] for r in right]),
    )
    return make_run(tmp_path, "mmwfanet", "blind", "shifted"), cells, SmallCohort(scans)


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_pair_of_reference_and_estimate_has_its_status():
    reference, estimate = np.array([0, 1, 1, 0, 2]), np.array([0, 1, 0, 3, 3])
    expected = ["", "hit", "miss", "false alarm", "wrong artery"]
    assert list(statuses(reference, estimate)) == expected


def test_table_says_of_each_lesion_what_each_method_made_of_it(small, tmp_path):
    run, cells, cohort = small
    paths = overlay_figures(run, cells, tmp_path / "figures", cohort)
    assert {p.name for p in paths} == {
        "fig6.pdf", "fig6.png", "fig6.csv", "fig6-scores.csv", "fig6.txt",
    }  # fmt: skip
    assert all(p.stat().st_size > 0 for p in paths)
    lesions = rows_of(tmp_path / "figures" / "fig6.csv")
    true = [r for r in lesions if r["artery"] != "none"]
    bone = [r for r in lesions if r["artery"] == "none"]
    assert true
    assert {r["mmwfanet status"] for r in true} == {"hit"}
    assert {r["blind status"] for r in true} == {"miss"}
    assert {r["shifted status"] for r in true} == {"wrong artery"}
    assert {r["shifted status"] for r in bone} == {"false alarm"}
    assert {r["mmwfanet status"] for r in bone} == {"left out"}
    # 2 x 4 x 4 voxels of 3 mm3
    assert {float(r["volume [mm3]"]) for r in true} == {96.0}
    # a scan without calcium is not read, the others once each
    assert sorted(cohort.loaded) == ["s0", "s1", "s2"]


def test_numbers_below_the_panels_are_those_of_the_scan(small, tmp_path):
    run, cells, cohort = small
    overlay_figures(run, cells, tmp_path, cohort)
    found = {(r["scan"], r["from"]): r for r in rows_of(tmp_path / "fig6-scores.csv")}
    truth = score_scan(cohort.scans["s2"].voxels, cohort.scans["s2"].labels, SPACING)
    assert float(found["s2", "reference"]["Agatston"]) == pytest.approx(truth[0, 3])
    assert float(found["s2", "reference"]["volume [mm3]"]) == pytest.approx(3 * 96)
    assert float(found["s2", "blind"]["volume [mm3]"]) == 0


def test_methods_shown_are_the_main_one_the_best_and_the_worst_other(small, tmp_path):
    run, cells, cohort = small
    scans = list(cohort.scans.values())
    nothing = [[0] * 4, [0] * 3, [0] * 5, [0] * 2]
    # one lesion of six; "shifted" finds all, and calls the bone too
    one = keep(tmp_path, "one", scans, [[0, 1, 0, 0], *nothing[1:]])
    lost = keep(tmp_path, "lost", scans, nothing, state="failed")
    rule = keep(tmp_path, "rule", scans, nothing, trained=False)
    run = make_run(tmp_path, "one", "blind", "lost", "rule", "shifted", "mmwfanet")
    shown = choose_cells(run, (*cells, one, lost, rule))
    assert [cell.method for cell in shown] == ["mmwfanet", "shifted", "blind"]


def test_scan_without_an_answer_counts_as_the_worst(small, tmp_path):
    run, cells, cohort = small
    for array in (cells[0].tp, cells[0].fp, cells[0].fn, cells[0].mask):
        array[1] = np.nan
    overlay_figures(run, cells, tmp_path, cohort)
    table = rows_of(tmp_path / "fig6.csv")
    assert {r["scan"] for r in table if r["shown as"] == "lowest F1"} == {"s1"}
    scores = {(r["scan"], r["from"]): r for r in rows_of(tmp_path / "fig6-scores.csv")}
    assert scores["s1", "mmwfanet"]["Agatston"] == ""


def test_scans_are_chosen_by_the_rule_and_never_twice():
    n = 9
    reference = np.zeros((n, 3, 4))
    reference[:8, 1, 0] = reference[:8, 1, 3] = 10.0
    reference[:8, 0, 3] = [5, 5, 5, 50, 50, 600, 600, 600]
    tp = np.zeros((n, 4))
    tp[:8, 0] = tp[:8, 3] = [9, 4, 8, 5, 7, 1, 6, 3]
    fn = reference[:, 1] - tp
    chosen = choose_scans(reference, tp, np.zeros((n, 4)), fn)
    # 5 is worst; left for the LAD are F1 ranks 3 4 5 6 7 8 9: its middle, 6, is scan 6
    assert [(c.row, c.focus) for c in chosen] == [
        (6, "LAD"),
        (2, "lesions"),  # of 4, 8 and 9
        (7, "lesions"),  # what is left of the highest category
        (5, "errors"),
    ]


def test_no_calcium_at_all_is_one_line(small, tmp_path):
    run, cells, cohort = small
    for cell in cells:
        cell.reference[:] = 0
    with pytest.raises(UserError, match="no test scan holds coronary calcium"):
        overlay_figures(run, cells, tmp_path, cohort)


def test_other_scans_than_the_runs_are_refused(small, tmp_path):
    run, cells, cohort = small
    run.plan["cohort"]["fingerprint"] = "cd" * 32
    with pytest.raises(UserError, match=r"made with cohort small \(cdcd"):
        overlay_figures(run, cells, tmp_path, cohort)
    run.plan["cohort"]["fingerprint"] = PRINT
    cohort.scans["s2"].voxels[0, 0, 0] = 500
    with pytest.raises(UserError, match="s2 had 4 candidates, not the 5"):
        overlay_figures(run, cells, tmp_path, cohort)


def test_run_without_kept_classes_or_labels_is_one_line(small, tmp_path):
    run, cells, cohort = small
    path = tmp_path / "cells" / cells[0].folder / "predictions.npz"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match="holds no classes of candidates") as caught:
        overlay_figures(run, cells, tmp_path, cohort)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="no finished method that labels voxels"):
        overlay_figures(run, (), tmp_path, cohort)


def test_outcomes_and_arteries_differ_in_greyscale():
    """Each kind of lesion drawn alone: no two pictures may look alike once colour is gone."""
    s = scan(0, (1,))
    components, _ = label_candidates(s.voxels)
    view = View(10, 40, 35, 75)
    pictures = {}
    pairs = [(r, e) for r in range(4) for e in range(4) if r or e]
    for reference, estimate in pairs:
        labels = (components == 1).astype(np.uint8) * reference
        row = Row(
            None, Scan("s", "A", s.voxels, SPACING, labels), 4, components[4],
            np.array([0, reference, 0]), np.ones(3), np.ones(3), (), view, np.array([1]),
        )  # fmt: skip
        with styled():
            figure = new_figure(1.6, 1.2)
            axes = figure.subplots()
            show_slice(axes, s.voxels[4], SPACING[1:], view)
            _draw_lesions(axes, row, np.array([0, estimate, 0]), [(60.0, 18.0)])
            figure.canvas.draw()
        rgb = np.asarray(figure.canvas.buffer_rgba(), float)[..., :3]
        pictures[reference, estimate] = rgb @ (0.299, 0.587, 0.114)
    looks = {}
    for (reference, estimate), picture in pictures.items():
        kind = str(statuses(np.array([reference]), np.array([estimate]))[0])
        looks.setdefault((kind, estimate or reference), picture)
    assert len(looks) == 12
    for (one, a), (other, b) in combinations(looks.items(), 2):
        changed = np.count_nonzero(np.abs(a - b) > 40)
        assert changed > 30, f"{one} looks like {other}: {changed} pixels differ"


def test_marks_lie_beside_lesions_and_apart():
    masks = []
    for x in (30, 36, 42):
        mask = np.zeros((60, 80), bool)
        mask[30:33, x : x + 3] = True
        masks.append(mask)
    places = label_places(masks, (1.0, 1.0), View(0, 60, 0, 80), gap=3.0)
    for x, y in places:
        assert not any(mask[int(y), int(x)] for mask in masks)
        assert 0 < x < 80
        assert 0 < y < 60
    apart = [np.hypot(a - c, b - d) for (a, b), (c, d) in combinations(places, 2)]
    assert min(apart) >= 3.0


def test_no_mark_stands_beside_what_the_reference_labels_on_other_slices_alone():
    s = scan(1, (3,))
    s.labels[4] = 0
    components, _ = label_candidates(s.voxels)
    row = Row(
        None, s, 4, components[4], np.array([0, 3, 0]), np.ones(3), np.full(3, 0.5), (),
        View(0, 90, 0, 110), np.array([1]),
    )  # fmt: skip
    figure = new_figure(1.6, 1.2)
    axes = figure.subplots()
    _draw_lesions(axes, row, None, [(60.0, 50.0)])
    assert not axes.lines
    _draw_lesions(axes, row, np.array([0, 3, 0]), [(60.0, 50.0)])
    assert len(axes.lines) == 1


def test_view_holds_the_mask_in_the_wanted_shape_and_stays_within_the_slice():
    mask = np.zeros((100, 120), bool)
    mask[2, 5] = mask[50, 40] = True
    view = view_of(mask, (1.0, 0.5), (36.0, 48.0), 0.75)
    assert mask[view.top : view.bottom, view.left : view.right].sum() == 2
    assert view.top >= 0
    assert view.left >= 0
    height, width = view.bottom - view.top, (view.right - view.left) * 0.5
    assert height / width == pytest.approx(0.75 if view.right < 120 else height / 60, abs=0.05)
    empty = view_of(np.zeros((100, 120), bool), (1.0, 0.5), (36.0, 48.0), 0.75)
    assert (empty.bottom - empty.top, empty.right - empty.left) == (36, 96)
