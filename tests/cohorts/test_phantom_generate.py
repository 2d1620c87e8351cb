import hashlib

import numpy as np
import pytest

from benchmark.calcium import label_candidates
from benchmark.cohorts.phantom import DEFAULT_DIFFICULTY, make_scan
from benchmark.cohorts.phantom.patient import draw_patient
from benchmark.cohorts.phantom.tissue import measure_tissue
from benchmark.errors import UserError

# SHA-256 of voxels and labels (little-endian) of seed 0. They change only with VERSION, and then
# the roster must be made again: python -m benchmark.cohorts.phantom.roster
GOLDEN = {
    0: "a05b3a549c2c4530b8b6d9fa8fac113d4fe1746600c9052f100286cff3584299",
    10: "0288691403dbbfde4ea6e554e549d48f1a6d12e25147e0c9845c7717f30d8d4e",
    17: "9bf7ba66ca2b9428591cdb5882c3d81fc6ddb14e47c74a2d912c8ae292724524",
    44: "60446a92fc483d69dd4f90b652b908292e31d6ad66683b82b1871fc7fbe8136a",
}


@pytest.fixture(scope="module")
def scans():
    return [make_scan(index) for index in range(16)]


def digest(scan):
    content = hashlib.sha256(np.ascontiguousarray(scan.voxels, "<i2").tobytes())
    content.update(np.ascontiguousarray(scan.labels).tobytes())
    return content.hexdigest()


@pytest.mark.parametrize("index", GOLDEN)
def test_the_same_bits_on_every_machine(index):
    assert digest(make_scan(index)) == GOLDEN[index]


def test_another_seed_is_another_patient():
    assert digest(make_scan(0, seed=1)) != digest(make_scan(0, seed=0))


def test_a_patient_does_not_depend_on_who_was_made_before(scans):
    assert digest(make_scan(9)) == digest(scans[9])


def test_scans_have_the_form_of_their_centre(scans):
    assert {scan.centre for scan in scans} == {"centre-1", "centre-2"}
    for scan in scans:
        slices = {"centre-1": (2.5, 42, 44), "centre-2": (3.0, 35, 37)}[scan.centre]
        assert scan.spacing[0] == slices[0]
        assert slices[1] <= scan.voxels.shape[0] <= slices[2]
        assert scan.voxels.shape[1:] == (160, 160)
        assert 0.92 <= scan.spacing[1] == scan.spacing[2] <= 1.08
        assert scan.voxels.dtype == np.int16
        assert scan.labels.dtype == np.uint8
        assert scan.labels.shape == scan.voxels.shape
        assert scan.voxels.min() >= -1024
        assert scan.voxels.max() <= 3071


def test_labels_are_lesions_above_130_hu(scans):
    for scan in scans:
        assert (scan.voxels[scan.labels > 0] > 130).all()
        assert scan.labels.max() <= 3


def test_a_scan_also_holds_candidates_that_are_not_coronary(scans):
    for scan in scans:
        components, count = label_candidates(scan.voxels)
        coronary = np.unique(components[scan.labels > 0])
        assert coronary.size < count


def test_every_artery_is_diseased_in_some_patient_and_none_in_some(scans):
    found = [set(np.unique(scan.labels)) for scan in scans]
    assert set().union(*found) == {0, 1, 2, 3}
    assert {0} in found


def test_tissues_have_the_hu_of_the_literature(scans):
    tissues = [measure_tissue(scan.voxels) for scan in scans]
    # a scanner's own offset of a few HU comes on top
    assert 34 <= np.median([t.soft for t in tissues]) <= 43
    assert -110 <= np.median([t.fat for t in tissues]) <= -91
    assert -920 <= np.median([t.lung for t in tissues]) <= -840
    noise = [t.noise for t in tissues]
    assert 10 <= min(noise) < max(noise) <= 32
    assert 14 <= np.median(noise) <= 22


def test_noise_is_correlated_in_plane_and_differs_between_centres(scans):
    by_centre = {"centre-1": [], "centre-2": []}
    for scan in scans:
        by_centre[scan.centre].append(measure_tissue(scan.voxels).correlation)
    first, second = (np.median(values) for values in by_centre.values())
    assert first > second + 0.08
    assert second > 0.15


def test_the_whole_heart_lies_in_the_scan():
    from benchmark.cohorts.phantom.anatomy import build_body
    from benchmark.cohorts.phantom.generate import scan_grid

    for index in range(60):
        patient = draw_patient(0, index, DEFAULT_DIFFICULTY)
        grid = scan_grid(patient)
        body = build_body(0, index, patient, DEFAULT_DIFFICULTY)
        for artery in body.arteries.values():
            for axis, positions in enumerate((grid.x, grid.y, grid.z)):
                values = [point[axis] for point in artery.points]
                assert positions.min() < min(values)
                assert max(values) < positions.max()


def test_fine_pixels_show_the_same_patient():
    coarse = make_scan(0)
    fine = make_scan(0, spacing=0.8)
    assert fine.voxels.shape == (coarse.voxels.shape[0], 256, 256)
    assert fine.spacing[1] == pytest.approx(0.8 * coarse.spacing[1], abs=1e-3)
    for label in np.unique(coarse.labels[coarse.labels > 0]):
        places = []
        for scan in (coarse, fine):
            where = np.stack(np.nonzero(scan.labels == label)).T
            middle = (np.array(scan.voxels.shape) - 1) / 2
            places.append((where - middle) * scan.spacing)
        if len(places[0]) > 20:
            assert places[1].mean(0) == pytest.approx(places[0].mean(0), abs=1.0)
            volumes = [
                len(p) * np.prod(s.spacing) for p, s in zip(places, (coarse, fine), strict=True)
            ]
            assert volumes[1] == pytest.approx(volumes[0], rel=0.35)


def test_spacing_of_04_gives_512_pixels():
    from benchmark.cohorts.phantom.generate import scan_grid

    patient = draw_patient(0, 0, DEFAULT_DIFFICULTY)
    for spacing in (0.4, (None, 0.4, 0.4)):
        grid = scan_grid(patient, spacing)
        assert grid.shape == (patient.slices, 512, 512)
        assert 0.36 < grid.spacing[2] < 0.44


@pytest.mark.parametrize("spacing", [0.0, -1.0, (None, 0.4, 0.5), (0.0, 1.0, 1.0)])
def test_a_bad_spacing_is_refused(spacing):
    with pytest.raises(UserError, match="spacing"):
        make_scan(0, spacing=spacing)


def test_a_negative_index_or_seed_is_refused():
    with pytest.raises(UserError, match="0 or more"):
        make_scan(-1)
    with pytest.raises(UserError, match="0 or more"):
        make_scan(0, seed=-2)
