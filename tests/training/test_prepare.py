"""The training grid is chosen by training lesions alone, and what lies beyond it is told."""

from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import scan

from benchmark.cohorts.base import Scan
from benchmark.training.centred import MARGIN_MM, lesion_field
from benchmark.training.prepare import prepare
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="1 steps", cell_mm=(3.0, 5.0, 5.0), width=8, batch_size=2, learning_rate=0.003
)


def with_lesion(id: str, *place: int) -> Scan:
    """40 x 80 x 80 voxels of 3 x 2 x 1 mm with a lesion of one voxel."""
    voxels = np.full((40, 80, 80), 40, np.int16)
    labels = np.zeros(voxels.shape, np.uint8)
    voxels[place], labels[place] = 400, 1
    return Scan(id, "A", voxels, (3.0, 2.0, 1.0), labels)


def split_of(train, test):
    """A cohort of these scans and its split."""
    scans = {s.id: s for s in (*train, *test)}
    ids = SimpleNamespace(train=[s.id for s in train], test=[s.id for s in test])
    return SimpleNamespace(load=scans.__getitem__, load_labels=scans.__getitem__), ids


def test_a_field_reaches_a_margin_beyond_the_furthest_lesion_on_either_side():
    near = with_lesion("a", 18, 45, 40)
    field = lesion_field(near)
    np.testing.assert_allclose(
        field, [2 * (1.5 * 3 + MARGIN_MM), 2 * (5.5 * 2 + MARGIN_MM), 2 * (0.5 + MARGIN_MM)]
    )
    near.labels[20, 20, 40] = 3
    assert lesion_field(near)[1] == 2 * (19.5 * 2 + MARGIN_MM)
    assert lesion_field(with_lesion("b", 0, 79, 0)).tolist() == [120, 160, 80], "the whole scan"
    near.labels[:] = 0
    assert lesion_field(near).tolist() == [0, 0, 0]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_test_lesion_beyond_the_grid_is_told_and_does_not_enlarge_it(workers):
    inner, outer = with_lesion("a", 20, 40, 40), with_lesion("b", 20, 2, 40)
    alone = prepare(*split_of([inner], []), SETTINGS, workers=workers)
    assert alone.notes == ()
    both = prepare(*split_of([inner], [outer]), SETTINGS, workers=workers)
    assert both.grid == alone.grid
    assert both.notes == (
        f"1 of 2 labelled voxels lie outside the training grid {alone.grid.shape} and count as"
        " missed",
    )
    trained = prepare(*split_of([inner, outer], []), SETTINGS, workers=workers)
    assert trained.grid.shape[1] > alone.grid.shape[1]
    assert trained.notes == ()


def test_scans_keep_their_order_and_progress_counts_them():
    scans = [scan(i) for i in range(5)]
    seen = []
    made = prepare(
        *split_of(scans[:3], scans[3:]), SETTINGS, lambda *of: seen.append(of), workers=2
    )
    assert [e.id for e in made.train] == ["s00", "s01", "s02"]
    assert made.test_ids == ["s03", "s04"]
    assert seen == [(i, 5) for i in range(1, 6)]


def test_labels_read_alone_and_wrongly_do_not_decide_the_grid():
    near, far = with_lesion("a", 20, 40, 40), with_lesion("a", 20, 2, 40)
    cohort, split = split_of([near], [])
    expected = prepare(cohort, split, SETTINGS).grid
    cohort.load_labels = lambda id: far  # as a damaged file might say
    assert prepare(cohort, split, SETTINGS).grid == expected
