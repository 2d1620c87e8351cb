import numpy as np
import pytest

from benchmark.cohorts.phantom import PhantomCohort
from benchmark.cohorts.phantom.making import Recipe, make_scan
from benchmark.errors import UserError
from benchmark.phantom import Patient

GATED = Recipe(0, None, "gated")


def test_people_are_known_before_a_scan_is_made(tmp_path):
    for name in ("phantom", "phantom-wide"):
        cohort = PhantomCohort(name=name, cache=tmp_path)
        records = cohort.records()
        assert len(records) == len(cohort.ids()) == 2700
        assert [record.id for record in records] == sorted(record.id for record in records)
        for record in records[::300]:
            patient = cohort.patient(record.id)
            assert record.agatston == pytest.approx(patient.burden, abs=1e-3)
            assert record.centre == patient.scanner.centre
    assert not list(tmp_path.iterdir())


def test_all_risk_categories_and_both_centres_are_there():
    records = PhantomCohort().records()
    counts = np.bincount([record.risk for record in records], minlength=5)
    assert (counts >= 200).all()
    assert 0.25 <= counts[0] / 2700 <= 0.38
    assert {record.centre for record in records} == {"centre-1", "centre-2"}


def test_both_cohorts_are_of_the_same_people():
    gated, wide = (PhantomCohort(name=name).records() for name in ("phantom", "phantom-wide"))
    assert [record.agatston for record in gated] == [record.agatston for record in wide]


def test_a_scan_comes_back_from_the_cache_as_it_was_made(tmp_path):
    cohort = PhantomCohort(cache=tmp_path)
    first = cohort.load("phantom-0003")
    kept = cohort.load("phantom-0003")
    made, owners = make_scan(2, GATED)
    for scan in (first, kept):
        assert np.array_equal(scan.voxels, made.voxels)
        assert np.array_equal(scan.labels, made.labels)
        assert scan.spacing == made.spacing
        assert (scan.id, scan.centre) == (made.id, made.centre)
    kept.voxels[0, 0, 0] = 5  # a caller may change what it was given
    assert np.array_equal(cohort.owners("phantom-0003"), owners)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:-1] + b"x"]
)
def test_a_damaged_file_is_made_again(tmp_path, damage):
    cohort = PhantomCohort(cache=tmp_path)
    whole = cohort.load("phantom-0001")
    (path,) = tmp_path.rglob("phantom-0001*")
    content = path.read_bytes()
    path.write_bytes(damage(content))
    again = cohort.load("phantom-0001")
    assert np.array_equal(again.voxels, whole.voxels)
    assert path.read_bytes() == content


def test_prepare_makes_missing_scans_in_processes_and_tells_how_far(tmp_path):
    cohort = PhantomCohort(cache=tmp_path)
    ids = [f"phantom-{k:04d}" for k in range(1, 7)]
    cohort.load(ids[0])
    steps = []
    cohort.prepare(ids, lambda done, total: steps.append((done, total)), workers=2)
    assert steps == [(k, 6) for k in range(1, 7)]
    assert len(list(tmp_path.rglob("phantom-*.scan"))) == 6
    assert not list(tmp_path.rglob("*.part"))
    assert np.array_equal(cohort.load(ids[3]).voxels, make_scan(3, GATED)[0].voxels)
    steps.clear()
    cohort.prepare(ids, lambda done, total: steps.append((done, total)))
    assert steps == [(6, 6)]


def test_fingerprints_tell_contents_apart():
    cohorts = [
        PhantomCohort(),
        PhantomCohort(seed=1),
        PhantomCohort(spacing=0.4),
        PhantomCohort(name="phantom-wide"),
        PhantomCohort(count=10),
    ]
    assert len({cohort.fingerprint() for cohort in cohorts}) == len(cohorts)
    same = PhantomCohort(spacing=(None, 0.4, 0.4), cache="elsewhere")
    assert same.fingerprint() == cohorts[2].fingerprint()


def test_an_unknown_cohort_is_refused():
    with pytest.raises(UserError, match="phantom-wide"):
        PhantomCohort(name="phantom-narrow")


@pytest.mark.parametrize(
    "id", ["phantom-0000", "phantom-2701", "phantom-1", "wide-0001", "patient-0001", ""]
)
def test_an_unknown_id_is_refused(tmp_path, id):
    with pytest.raises(UserError, match="phantom-0001"):
        PhantomCohort(cache=tmp_path).load(id)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(UserError, match="cannot write"):
        PhantomCohort(cache=blocked).load("phantom-0001")


def test_a_worker_reports_a_cache_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(UserError, match="cannot write"):
        PhantomCohort(cache=blocked).prepare([f"phantom-{k:04d}" for k in range(1, 6)], workers=2)


def test_labels_alone_are_those_of_the_scan_also_where_the_file_is_cut(tmp_path):
    cohort = PhantomCohort(cache=tmp_path)
    made = cohort.load("phantom-0003")
    (path,) = tmp_path.rglob("phantom-0003*")
    whole = path.read_bytes()
    for content in (whole, whole[: len(whole) // 2], b""):
        path.write_bytes(content)
        found = cohort.load_labels("phantom-0003")
        assert np.array_equal(found.labels, made.labels)
        assert found.spacing == made.spacing
    with pytest.raises(UserError, match="no scan"):
        cohort.load_labels("phantom-9999")


def test_a_recipe_of_another_seed_is_another_cohort(tmp_path):
    other = PhantomCohort(seed=4, cache=tmp_path, count=3)
    assert other.records() != PhantomCohort(count=3).records()
    assert Patient.of(0, seed=4).burden == pytest.approx(other.records()[0].agatston, abs=1e-3)
