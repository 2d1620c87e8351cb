import hashlib

import numpy as np
import pytest

from benchmark.calcium import label_candidates
from benchmark.errors import UserError
from benchmark.phantom import Patient, draw, plan
from benchmark.phantom.scanner import scan_form
from benchmark.phantom.tissue import measure_tissue

# SHA-256 of voxels, labels and owners (little-endian) of seed 0. They change only with VERSION.
GOLDEN = {
    ("gated", 0): "c0e9dd52e05082e39242000371b3a681046b3de40992976b932eef2d2e4d248f",
    ("gated", 13): "6ca0d1e809de18160545e83ed165a7a18d3452851388c0ac02128e6b7241eed0",
    ("wide", 0): "282cc41ba294089970c7e286481b3a0222ca937d4561544ab39315b532513604",
    ("wide", 13): "218362b6818ae0163abc52f521c2e97d35c286396f09a363d17ff3b3cf0e2eb5",
}
FEW = 16


@pytest.fixture(scope="module")
def patients():
    return [Patient.of(index) for index in range(FEW)]


@pytest.fixture(scope="module")
def scans(patients):
    return [draw(patient) for patient in patients]


def digest(scan):
    content = hashlib.sha256(np.ascontiguousarray(scan.voxels, "<i2").tobytes())
    content.update(np.ascontiguousarray(scan.labels).tobytes())
    content.update(np.ascontiguousarray(scan.owners).tobytes())
    return content.hexdigest()


@pytest.mark.parametrize(("protocol", "index"), GOLDEN)
def test_the_same_bits_on_every_machine(protocol, index):
    assert digest(draw(Patient.of(index, protocol=protocol))) == GOLDEN[protocol, index]


def test_another_seed_is_another_person():
    assert digest(draw(Patient.of(0, seed=1))) != digest(draw(Patient.of(0, seed=0)))


def test_a_person_does_not_depend_on_who_was_drawn_before(scans):
    assert digest(draw(Patient.of(9))) == digest(scans[9])


def test_gated_scans_have_the_form_of_their_centre(patients, scans):
    assert {patient.scanner.centre for patient in patients} == {"centre-1", "centre-2"}
    for patient, scan in zip(patients, scans, strict=True):
        thickness = {"centre-1": 2.5, "centre-2": 3.0}[patient.scanner.centre]
        assert scan.spacing[0] == thickness
        assert scan.voxels.shape[0] * thickness == pytest.approx(138, abs=1.5) or scan.voxels.shape[
            0
        ] * thickness == pytest.approx(171, abs=1.5)
        assert scan.voxels.shape[1:] == (176, 176)
        assert 160 < 176 * scan.spacing[1] < 245
        assert scan.spacing[1] == scan.spacing[2]
        assert scan.voxels.dtype == np.int16
        assert scan.labels.dtype == scan.owners.dtype == np.uint8
        assert scan.labels.shape == scan.owners.shape == scan.voxels.shape
        assert scan.voxels.min() >= -1024
        assert scan.voxels.max() <= 3071


def test_the_same_person_is_in_the_chest_ct(patients):
    for patient in patients[:6]:
        gated, wide = plan(patient), plan(Patient.of(patient.index, protocol="wide"))
        assert gated.heart.chambers == wide.heart.chambers
        assert gated.lesions == wide.lesions
        assert gated.confusers == wide.confusers
        assert gated.scanner != wide.scanner


def test_chest_cts_differ_as_scanners_do():
    scanners = [Patient.of(index, protocol="wide").scanner for index in range(200)]
    assert min(s.thickness for s in scanners) == 1.0
    assert max(s.thickness for s in scanners) == 5.0
    assert min(s.field for s in scanners) < 200
    assert max(s.field for s in scanners) > 450
    assert len({s.contrast for s in scanners}) == 4
    assert np.mean([s.motion[2] > 0 for s in scanners]) > 0.5


def test_labels_are_lesions_above_130_hu(scans):
    for scan in scans:
        assert (scan.voxels[(scan.labels > 0) | (scan.owners > 0)] > 130).all()
        assert scan.labels.max() <= 3


def test_a_scan_also_holds_candidates_that_are_not_coronary(scans):
    for scan in scans:
        components, count = label_candidates(scan.voxels)
        assert np.unique(components[scan.labels > 0]).size < count


def test_every_artery_is_diseased_in_some_and_none_in_some(scans):
    found = [set(np.unique(scan.labels)) for scan in scans]
    assert set().union(*found) == {0, 1, 2, 3}
    assert {0} in found


def test_tissues_have_the_hu_of_real_scans(scans):
    tissues = [measure_tissue(scan.voxels) for scan in scans]
    # a scanner's own offset of a few HU comes on top
    assert 34 <= np.median([t.soft for t in tissues]) <= 46
    assert -110 <= np.median([t.fat for t in tissues]) <= -85
    assert -920 <= np.median([t.lung for t in tissues]) <= -820
    noise = [t.noise for t in tissues]
    assert 8 <= min(noise) < max(noise) <= 30
    assert 11 <= np.median(noise) <= 19


def test_noise_of_fine_pixels_reaches_as_far_as_in_real_scans():
    """Real gated scans: .78-.87, .33-.58, .00-.29 at one, two and three pixels of .32-.47 mm."""
    scan = draw(Patient.of(1), spacing=0.4)
    assert scan.voxels.shape[1:] == (512, 512)
    assert 0.31 < scan.spacing[1] < 0.48
    # a quiet place inside the liver or the heart: noise alone
    low = scan.voxels.astype(np.float32)
    blocks = [
        low[z, y : y + 24, x : x + 24]
        for z in range(0, low.shape[0], 3)
        for y in range(120, 400, 24)
        for x in range(120, 400, 24)
    ]
    soft = [block for block in blocks if 20 < block.mean() < 70]
    quiet = sorted(soft, key=np.std)[: max(20, len(soft) // 4)]
    centred = [block - block.mean() for block in quiet]
    power = np.mean([np.mean(block * block) for block in centred])
    near, far = (
        np.mean([np.mean(block[:, lag:] * block[:, :-lag]) for block in centred]) / power
        for lag in (1, 3)
    )
    assert 0.70 < near < 0.90
    assert -0.05 < far < 0.35


def test_slices_share_some_noise(scans):
    found = []
    for scan in scans[:6]:
        part = scan.voxels[:, 60:116, 60:116].astype(np.float32)
        a, b = part[:-1], part[1:]
        same = (abs(a - 40) < 60) & (abs(b - 40) < 60)
        found.append(np.corrcoef(a[same], b[same])[0, 1])
    assert 0.05 < np.median(found) < 0.6


def test_all_arteries_lie_in_the_scan():
    for protocol in ("gated", "wide"):
        for index in range(40):
            drawn = plan(Patient.of(index, protocol=protocol))
            sides = (
                drawn.scanner.field,
                drawn.scanner.field,
                drawn.scanner.slices * drawn.scanner.thickness,
            )
            points = np.array([p for a in drawn.tree.arteries.values() for p in a.points])
            away = abs(points - np.array(drawn.centre)).max(0)
            assert (away[:2] < 0.5 * sides[0]).all()
            assert away[2] < 0.5 * sides[2] + 8.0  # a large heart in 138 mm of slices


def test_the_heart_lies_anywhere_in_the_scan(patients):
    centres = np.array([plan(patient).heart_centre for patient in patients])
    assert (centres.std(0) > 8.0).all()


def test_fine_pixels_show_the_same_person():
    patient = Patient.of(0)
    coarse, fine = draw(patient), draw(patient, spacing=0.8)
    assert fine.voxels.shape == (coarse.voxels.shape[0], 256, 256)
    for label in np.unique(coarse.owners[coarse.owners > 0]):
        places = []
        for scan in (coarse, fine):
            where = np.stack(np.nonzero(scan.owners == label)).T
            middle = (np.array(scan.voxels.shape) - 1) / 2
            places.append((where - middle) * scan.spacing)
        if len(places[0]) > 20:
            assert places[1].mean(0) == pytest.approx(places[0].mean(0), abs=1.5)
            volumes = [
                len(p) * np.prod(s.spacing) for p, s in zip(places, (coarse, fine), strict=True)
            ]
            assert volumes[1] == pytest.approx(volumes[0], rel=0.35)


def test_spacing_of_04_gives_512_pixels():
    for index in range(5):
        scanner = Patient.of(index).scanner
        for spacing in (0.4, (None, 0.4, 0.4)):
            shape, steps = scan_form(scanner, spacing)
            assert shape == (scanner.slices, 512, 512)
            assert steps[2] == pytest.approx(scanner.field / 512, abs=1e-3)


@pytest.mark.parametrize("spacing", [0.0, -1.0, (None, 0.4, 0.5), (0.0, 1.0, 1.0)])
def test_a_bad_spacing_is_refused(spacing):
    with pytest.raises(UserError, match="spacing"):
        draw(Patient.of(0), spacing=spacing)


def test_who_cannot_be_drawn_is_refused():
    with pytest.raises(UserError, match="0 or more"):
        Patient.of(-1)
    with pytest.raises(UserError, match="0 or more"):
        Patient.of(0, seed=-2)
    with pytest.raises(UserError, match="gated, wide"):
        Patient.of(0, protocol="magnetic")
