import numpy as np
import pytest

from benchmark.cohorts.phantom import PhantomCohort
from benchmark.cohorts.phantom.describe import describe
from benchmark.cohorts.phantom.pictures import draw
from benchmark.phantom import Patient, plan
from benchmark.phantom.describe import Row, epicardial_fat, probed, rows
from benchmark.phantom.heart import dot
from benchmark.phantom.probes import collect, deposits, probe

PEOPLE = 200


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    cohort = PhantomCohort(cache=tmp_path_factory.mktemp("scans"), count=10)
    cohort.prepare(cohort.ids(), workers=2)
    return cohort


@pytest.fixture(scope="module")
def sites():
    return collect(Patient.of(index, seed=7) for index in range(PEOPLE))


def test_what_a_network_must_see_lies_in_the_heart_and_not_beside_the_calcium(sites):
    """The phantom's reason: tissue alone must fall short, and the place in the heart must help."""
    assert np.bincount(sites.owner, minlength=4).min() > 40
    found = rows(probed(sites, probe(sites, trees=100)))
    assert sum(row.judged for row in found) == 5
    out = [(row.quantity, row.value()) for row in found if not row.good]
    assert not out


def test_probes_see_tissue_without_the_calcium(sites):
    assert sites.local.shape == (len(sites.owner), 125)
    middle = sites.local.reshape(-1, 5, 5, 5)[:, 2, 2, 2]
    coronary = middle[sites.owner > 0]
    assert np.mean(coronary > 130) < 0.02  # no calcium and no bone
    assert np.mean(coronary < -300) < 0.05  # and hardly any lung


def test_people_differ_as_people_do():
    people = [plan(Patient.of(index)) for index in range(120)]
    fat = [epicardial_fat(one) for one in people]
    assert 85 < np.mean(fat) < 135
    assert 30 < np.std(fat) < 65
    dominance = [one.tree.dominance for one in people]
    assert 0.65 < dominance.count("right") / 120 < 0.88
    assert 0.1 < np.mean(["ramus" in one.tree.arteries for one in people]) < 0.3
    for one in people:
        assert {"LM", "LAD", "LCX", "RCA", "posterior"} <= set(one.tree.arteries)
        assert one.tree.arteries["posterior"].label == (2 if one.tree.dominance == "left" else 3)
        axes = one.heart.axes
        assert [round(dot(axes[i], axes[j]), 6) for i, j in ((0, 1), (0, 2), (1, 2))] == [0, 0, 0]


def test_deposits_join_beads_that_lie_together():
    one = next(p for p in map(plan, map(Patient.of, range(40))) if len(p.lesions) > 3)
    found = deposits(one, None)
    beads = sum(len(lesion.beads) for lesion in one.lesions)
    assert 0 < len(found) <= beads
    assert {owner for _, owner in found} == {lesion.label for lesion in one.lesions}


def test_phantom_and_targets_stand_side_by_side(cohort):
    found = {row.key: row for row in describe(cohort, cohort.ids())}
    assert found["scans"].value() == "10"
    assert -115 < found["fat"].found < -80
    zero = np.mean([cohort.load_labels(id).labels.max() == 0 for id in cohort.ids()])
    assert found["no calcium"].found == pytest.approx(zero)
    assert all(row.source or row.key == "scans" for row in found.values())
    assert not any("nan" in row.value() for row in found.values())


def test_one_scan_without_calcium_can_be_described(cohort):
    empty = [record.id for record in cohort.records() if record.agatston == 0][:1]
    found = {row.key: row for row in describe(cohort, empty)}
    assert found["no calcium"].value() == "1.00"
    assert found["volume"].value() == "none"
    assert not any("nan" in row.value() for row in found.values())


def test_a_row_says_whether_it_reaches_its_target():
    def row(found, low=0.4, high=0.6):
        return Row("a", "a", low, high, ".2f", "", found)

    assert row(0.5).good
    assert not row(0.7).good
    assert row(None).good
    assert not row(None).judged
    assert row(0.7, 0.0, 0.8).target() == "at most 0.80"
    assert row(0.7, 0.07, float("inf")).target() == "at least 0.07"


def test_pictures_are_written(cohort, tmp_path):
    paths = draw(cohort, cohort.ids(), tmp_path / "new" / "folder")
    assert {path.suffix for path in paths} == {".png", ".pdf"}
    assert all(path.stat().st_size > 20_000 for path in paths)
