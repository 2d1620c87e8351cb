"""Image files of any orientation give one scan, and labels go back where they came from."""

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.calcium import score_scan
from benchmark.cohorts.volumes import id_of, read_scan, save_labels
from benchmark.errors import UserError

SHAPE = (6, 10, 14)
SPACING = (2.5, 0.4, 0.5)  # z, y, x: all differ, so that a swapped axis shows


def volume(seed=0):
    """Return voxels and labels (z, y, x) without any symmetry."""
    random = np.random.default_rng(seed)
    voxels = random.integers(-900, 600, SHAPE).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 2:5, 3:9] = 1
    labels[4, 6:8, 1:4] = 2
    labels[5, 0:3, 10:13] = 3
    return voxels, labels


def as_image(array, spacing=SPACING, origin=(-30.0, 20.0, 105.5)):
    """Make an image in LPS from an array (z, y, x)."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(origin)
    return image


def write(folder, name, image):
    path = folder / name
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("code", ["LPS", "RAS", "LPI", "RPI", "LAS", "PIR", "SLA", "IRP"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_every_orientation_gives_the_same_scan(tmp_path, code, suffix):
    voxels, labels = volume()
    image = write(tmp_path, f"a{suffix}", sitk.DICOMOrient(as_image(voxels), code))
    on_file = sitk.DICOMOrient(as_image(labels), code)
    scan = read_scan(image, write(tmp_path, f"b{suffix}", on_file))
    np.testing.assert_array_equal(scan.voxels, voxels)
    np.testing.assert_array_equal(scan.labels, labels)
    assert scan.spacing == pytest.approx(SPACING)
    np.testing.assert_allclose(
        score_scan(scan.voxels, scan.labels, scan.spacing),
        score_scan(voxels, labels, SPACING),
        rtol=1e-5,
    )
    # ... and back: labels saved like the image lie where those of the annotator lay.
    save_labels(tmp_path / f"c{suffix}", scan.labels, image)
    saved = sitk.ReadImage(str(tmp_path / f"c{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(saved), sitk.GetArrayFromImage(on_file))
    assert saved.GetDirection() == pytest.approx(sitk.ReadImage(str(image)).GetDirection())
    assert saved.GetOrigin() == pytest.approx(sitk.ReadImage(str(image)).GetOrigin())


def test_axes_point_to_head_back_and_left(tmp_path):
    # LPS coordinates of ITK: the voxel at (z, y, x) = (5, 0, 0) is the one furthest to the head.
    # The file's own axes point elsewhere; a point in space marks the voxel, not an index.
    voxels = np.full(SHAPE, -100, np.int16)
    image = sitk.DICOMOrient(as_image(voxels), "RAI")
    top = image.TransformPhysicalPointToIndex(
        as_image(voxels).TransformIndexToPhysicalPoint((0, 0, 5))
    )
    image[top] = 700
    scan = read_scan(write(tmp_path, "a.nrrd", image))
    assert np.argwhere(scan.voxels == 700).tolist() == [[5, 0, 0]]


def test_image_and_labels_may_be_stored_in_different_orientations(tmp_path):
    voxels, labels = volume()
    image = write(tmp_path, "a.nii", sitk.DICOMOrient(as_image(voxels), "RAS"))
    other = write(tmp_path, "b.mha", sitk.DICOMOrient(as_image(labels), "LPI"))
    np.testing.assert_array_equal(read_scan(image, other).labels, labels)


def test_oblique_scan_is_read_without_resampling_and_written_back(tmp_path):
    voxels, labels = volume()
    turn = sitk.Euler3DTransform((0, 0, 0), 0.1, 0.05, -0.08).GetMatrix()
    image, annotation = as_image(voxels), as_image(labels)
    for part in (image, annotation):
        part.SetDirection(turn)
    path = write(tmp_path, "a.mha", image)
    scan = read_scan(path, write(tmp_path, "b.mha", annotation))
    np.testing.assert_array_equal(scan.voxels, voxels)
    save_labels(tmp_path / "c.mha", scan.labels, path)
    assert sitk.ReadImage(str(tmp_path / "c.mha")).GetDirection() == pytest.approx(turn)


def test_floats_are_rounded_and_padding_is_clipped(tmp_path):
    values = np.full(SHAPE, -100.0, np.float32)
    values[0, 0, :4] = [-3024, 130.4, 130.6, 30_710]
    scan = read_scan(write(tmp_path, "a.nii.gz", as_image(values)))
    assert scan.voxels.dtype == np.int16
    assert scan.voxels[0, 0, :4].tolist() == [-1024, 130, 131, 30_710]


def test_labels_can_be_saved_as_short_uncompressed_pairs(tmp_path):
    voxels, labels = volume()
    image = write(tmp_path, "a.mhd", as_image(voxels))
    save_labels(tmp_path / "r.mhd", labels, image, dtype=np.int16, compress=False)
    assert (tmp_path / "r.raw").stat().st_size == labels.size * 2
    assert sitk.ReadImage(str(tmp_path / "r.mhd")).GetPixelID() == sitk.sitkInt16


def test_saving_labels_of_another_size_is_refused(tmp_path):
    image = write(tmp_path, "a.mha", as_image(volume()[0]))
    with pytest.raises(UserError, match=r"r.mha: labels of size .* do not fit"):
        save_labels(tmp_path / "r.mha", np.zeros((2, 3, 4), np.uint8), image)


def test_saving_into_a_missing_folder_is_refused(tmp_path):
    image = write(tmp_path, "a.mha", as_image(volume()[0]))
    with pytest.raises(UserError, match=r"r.mha: cannot be written"):
        save_labels(tmp_path / "none" / "r.mha", volume()[1], image)


@pytest.mark.parametrize(
    ("name", "id"),
    [("a.nii.gz", "a"), ("a.b.nii", "a.b"), ("P1.MHD", "P1"), ("a.raw", None), (".nii", None)],
)
def test_id_is_the_name_without_suffix(tmp_path, name, id):
    assert id_of(tmp_path / name) == id


def moved(labels, **change):
    image = as_image(labels, **{k: v for k, v in change.items() if k in ("spacing", "origin")})
    if "direction" in change:
        image.SetDirection(change["direction"])
    return image


TILTED = sitk.Euler3DTransform((0, 0, 0), 0.01, 0, 0).GetMatrix()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (as_image(volume()[1][:, :, 1:]), "size"),
        (moved(volume()[1], spacing=(3.0, 0.4, 0.5)), "spacing"),
        (moved(volume()[1], origin=(-30.0, 20.0, 108.0)), "origin"),
        (moved(volume()[1], direction=TILTED), "direction"),
        (as_image(volume()[1] * 2), "unknown labels 6"),
        (as_image(volume()[1] * np.float32(0.5)), "unknown labels 0.5, 1.5"),
    ],
)
def test_labels_that_do_not_fit_are_refused_by_file(tmp_path, labels, words):
    image = write(tmp_path, "a.nii", as_image(volume()[0]))
    path = write(tmp_path, "b.nii", labels)
    with pytest.raises(UserError, match=words) as caught:
        read_scan(image, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (sitk.GetImageFromArray(np.zeros((9, 9), np.int16)), "is 2D"),
        (sitk.GetImageFromArray(np.zeros((3, 4, 5, 6), np.int16), isVector=False), "is 4D"),
        (sitk.GetImageFromArray(np.zeros((1, 9, 9), np.int16)), "export one 3D volume"),
        (sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.int16), isVector=True), "3 values"),
        (as_image(np.full(SHAPE, 255, np.uint8)), "are not HU"),
        (as_image(volume()[0].astype(np.int16) + np.int16(1024)), "are not HU"),
        (as_image(volume()[0] / np.float32(1000)), "are not HU"),
        (as_image(np.full(SHAPE, np.nan, np.float32)), "NaN"),
    ],
)
def test_images_that_are_no_ct_are_refused_by_file(tmp_path, image, words):
    path = write(tmp_path, "a.nrrd", image)
    with pytest.raises(UserError, match=words) as caught:
        read_scan(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_and_missing_files_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"none.nii: no such file"):
        read_scan(tmp_path / "none.nii")
    (tmp_path / "junk.nii.gz").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"junk.nii.gz: cannot be read \(") as caught:
        read_scan(tmp_path / "junk.nii.gz")
    assert "\n" not in str(caught.value)
    path = write(tmp_path, "cut.mha", as_image(volume()[0]))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match=r"cut.mha: is cut short"):
        read_scan(path)
