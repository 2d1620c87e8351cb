"""Labels go back onto the file's own grid from the scan alone."""

import numpy as np
import pytest
import SimpleITK as sitk
from written import arrays, save

from benchmark.cohorts.geometry import Geometry, to_scan_grid, write_labels
from benchmark.cohorts.volumes import read_scan
from benchmark.errors import UserError


@pytest.mark.parametrize("code", ["LPS", "RAS", "PIR", "SLA"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_labels_lie_on_the_files_grid(tmp_path, code, suffix):
    voxels, labels = arrays()
    image = save(tmp_path / f"a{suffix}", voxels, code)
    scan = read_scan(image)
    out = tmp_path / f"out{suffix}"
    write_labels(out, labels, scan.geometry, dtype=np.int16, compress=False)
    written, original = sitk.ReadImage(str(out)), sitk.ReadImage(str(image))
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(written, what)() == pytest.approx(getattr(original, what)())
    assert written.GetPixelID() == sitk.sitkInt16
    # Voxel for voxel: where labels are, the file's own image holds the lesion.
    marked = sitk.GetArrayFromImage(written) > 0
    assert set(sitk.GetArrayFromImage(original)[marked]) == {250}
    assert marked.sum() == 4


def test_oblique_grids_come_back_exactly(tmp_path):
    voxels, labels = arrays()
    image = sitk.GetImageFromArray(voxels)
    image.SetDirection(sitk.Euler3DTransform((0, 0, 0), 0.1, 0.05, -0.08).GetMatrix())
    image.SetOrigin((1.23456789, -4.5, 100.1))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    scan = read_scan(tmp_path / "a.mha")
    back = to_scan_grid(labels, scan.geometry)
    assert Geometry.of(back) == scan.geometry == Geometry.of(image)


def test_another_size_is_refused(tmp_path):
    geometry = Geometry.upright((6, 24, 24), (3, 0.5, 0.5))
    with pytest.raises(UserError, match=r"a.mha: labels of size \(2, 3, 4\) do not fit"):
        write_labels(tmp_path / "a.mha", np.zeros((2, 3, 4)), geometry)
    assert not (tmp_path / "a.mha").exists()
