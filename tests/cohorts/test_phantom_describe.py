import pytest

from benchmark.cohorts.phantom import PhantomCohort
from benchmark.cohorts.phantom.describe import describe, draw


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    cohort = PhantomCohort(cache=tmp_path_factory.mktemp("scans"), count=10)
    cohort.prepare(cohort.ids(), workers=2)
    return cohort


def test_phantom_and_literature_stand_side_by_side(cohort):
    rows = {row.quantity: row for row in describe(cohort, cohort.ids())}
    assert all(row.literature and row.phantom for row in rows.values())
    centres = rows["scans"].phantom
    assert sum(int(word) for word in centres.split() if word.isdigit()) == 10
    fat = rows["fat, HU"].phantom.split(" / ")
    assert all(-115 < float(value) < -80 for value in fat)
    zero = next(row for name, row in rows.items() if name.startswith("no coronary"))
    expected = sum(record.agatston == 0 for record in cohort.records()) / 10
    assert zero.phantom == f"{100 * expected:.0f} %"


def test_one_scan_without_calcium_can_be_described(cohort):
    empty = [record.id for record in cohort.records() if record.agatston == 0][:1]
    rows = describe(cohort, empty)
    assert any(row.phantom == "100 %" for row in rows)
    assert not any("nan" in row.phantom for row in rows)


def test_pictures_are_written(cohort, tmp_path):
    paths = draw(cohort, cohort.ids(), tmp_path / "new" / "folder")
    assert {path.suffix for path in paths} == {".png", ".pdf"}
    assert all(path.stat().st_size > 20_000 for path in paths)
