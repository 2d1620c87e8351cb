import numpy as np
import pytest

from benchmark.cohorts.phantom import Difficulty, PhantomCohort, make_scan
from benchmark.cohorts.phantom.making import record_of
from benchmark.errors import UserError


def test_the_roster_agrees_with_the_scans():
    records = PhantomCohort().records()
    assert len(records) == 676
    assert [record.id for record in records] == sorted(record.id for record in records)
    for index in (0, 5, 11, 300, 675):
        made = record_of(make_scan(index))
        assert made == records[index]


def test_the_roster_has_all_risk_categories_and_both_centres():
    records = PhantomCohort().records()
    counts = np.bincount([record.risk for record in records], minlength=5)
    assert (counts >= 30).all()
    assert 0.25 <= counts[0] / 676 <= 0.38
    scores = [record.agatston for record in records if record.agatston > 0]
    quartiles = np.percentile(scores, (25, 50, 75, 90))
    assert quartiles[0] < 5.0  # 2.3 in the clinic; one voxel of 1 mm alone makes 0.7 to 1.2
    assert quartiles[1:] == pytest.approx((41, 193, 557), rel=0.2)
    assert {record.centre for record in records} == {"centre-1", "centre-2"}


def test_a_scan_comes_back_from_the_cache_as_it_was_made(tmp_path):
    cohort = PhantomCohort(cache=tmp_path)
    first = cohort.load("phantom-0003")
    kept = cohort.load("phantom-0003")
    made = make_scan(2)
    for scan in (first, kept):
        assert np.array_equal(scan.voxels, made.voxels)
        assert np.array_equal(scan.labels, made.labels)
        assert scan.spacing == made.spacing
        assert (scan.id, scan.centre) == (made.id, made.centre)
    kept.voxels[0, 0, 0] = 5  # a caller may change what it was given


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
    assert np.array_equal(cohort.load(ids[3]).voxels, make_scan(3).voxels)
    steps.clear()
    cohort.prepare(ids, lambda done, total: steps.append((done, total)))
    assert steps == [(6, 6)]


def test_fingerprints_tell_contents_apart():
    cohorts = [
        PhantomCohort(),
        PhantomCohort(seed=1),
        PhantomCohort(spacing=0.4),
        PhantomCohort(difficulty=Difficulty(aortic_root=0.1)),
        PhantomCohort(count=10),
    ]
    assert len({cohort.fingerprint() for cohort in cohorts}) == len(cohorts)
    same = PhantomCohort(spacing=(None, 0.4, 0.4), cache="elsewhere")
    assert same.fingerprint() == cohorts[2].fingerprint()


def test_records_of_another_seed_come_from_its_scans(tmp_path):
    cohort = PhantomCohort(seed=4, cache=tmp_path, count=3)
    assert cohort.records() == tuple(record_of(make_scan(k, seed=4)) for k in range(3))
    again = PhantomCohort(seed=4, cache=tmp_path, count=3)
    assert again.records() == cohort.records()


@pytest.mark.parametrize("id", ["phantom-0000", "phantom-0677", "phantom-1", "patient-0001", ""])
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
