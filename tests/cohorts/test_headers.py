"""Files that are cut short, absurd, or point out of their folder are refused by name."""

import re
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from written import SHAPE, arrays, save

from benchmark.cohorts.headers import parts_of
from benchmark.cohorts.volumes import read_scan
from benchmark.errors import UserError

HEADER = (
    "ObjectType = Image\nNDims = 3\nDimSize = 24 24 6\nElementType = MET_SHORT\n"
    "ElementSpacing = 0.5 0.5 3\nElementByteOrderMSB = False\n"
)


@pytest.fixture
def pair(tmp_path):
    return save(tmp_path / "scan/a.mhd", arrays()[0])


def refused(path):
    with pytest.raises(UserError) as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_raw_file_of_the_wrong_size_is_refused(pair):
    raw = pair.with_suffix(".raw")
    whole = raw.read_bytes()
    raw.write_bytes(whole[:-100])
    message = refused(pair)
    assert f"{raw}: is cut short: 6812 bytes, but 24 x 24 x 6 voxels of 2 bytes are 6912" in message
    raw.write_bytes(whole + b"0" * 100)
    assert "a.raw: is too long: 7012 bytes" in refused(pair)
    raw.unlink()
    assert "its pixel file 'a.raw' is missing" in refused(pair)


def test_compressed_pixels_of_the_wrong_size_are_refused(tmp_path):
    voxels = arrays()[0]
    path = save(tmp_path / "a.mhd", voxels, compress=True)
    np.testing.assert_array_equal(read_scan(path).voxels, voxels)
    zraw = path.with_suffix(".zraw")
    whole = zraw.read_bytes()
    zraw.write_bytes(whole[: len(whole) // 2])
    assert "a.zraw: is cut short" in refused(path)
    for pixels, word in ((voxels[:3], "cut short"), (np.concatenate([voxels] * 2), "too long")):
        zraw.write_bytes(zlib.compress(pixels.tobytes()))
        text = path.read_text().splitlines()
        text = [line for line in text if not line.startswith("CompressedDataSize")]
        path.write_text("\n".join(text) + "\n")
        assert word in refused(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_file_that_is_cut_short_is_refused(tmp_path, suffix):
    # ITK itself reads it and fills the rest with what lay in memory.
    path = save(tmp_path / f"a{suffix}", arrays()[0])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert f"a{suffix}: is cut short" in refused(path)


def test_a_gzip_file_of_several_members_is_whole(tmp_path):
    import gzip

    voxels = arrays()[0]
    plain = save(tmp_path / "a.nii", voxels).read_bytes()
    path = tmp_path / "b.nii.gz"
    path.write_bytes(gzip.compress(plain[:3000]) + gzip.compress(plain[3000:]))
    np.testing.assert_array_equal(read_scan(path).voxels, voxels)


@pytest.mark.parametrize("name", ["../a.raw", "/etc/hostname", "sub/../../a.raw", "C:\\a.raw"])
def test_a_pixel_file_outside_the_folder_is_refused(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "a.raw").write_bytes(b"0" * 6912)
    path = tmp_path / "in/a.mhd"
    path.write_text(f"{HEADER}ElementDataFile = {name}\n")
    assert "a.mhd: names a pixel file outside its folder" in refused(path)


def test_a_pixel_file_that_is_a_link_out_is_refused(tmp_path, pair):
    raw = pair.with_suffix(".raw")
    raw.rename(tmp_path / "elsewhere.raw")
    raw.symlink_to(tmp_path / "elsewhere.raw")
    assert "its pixel file is a link to a place outside" in refused(pair)


def test_a_pair_that_is_linked_together_is_read(tmp_path, pair):
    (tmp_path / "links").mkdir()
    for name in ("a.mhd", "a.raw"):
        (tmp_path / "links" / name).symlink_to(pair.parent / name)
    np.testing.assert_array_equal(read_scan(tmp_path / "links/a.mhd").voxels, arrays()[0])


def test_a_list_of_slices_is_read_and_none_of_them_may_lie_outside(tmp_path):
    voxels = arrays()[0]
    names = [f"s{number}.raw" for number in range(len(voxels))]
    for name, plane in zip(names, voxels, strict=True):
        plane.tofile(tmp_path / name)
    path = tmp_path / "a.mhd"
    path.write_text(f"{HEADER}ElementDataFile = LIST 2D\n" + "\n".join(names) + "\n")
    np.testing.assert_array_equal(read_scan(path).voxels, voxels)
    assert len(parts_of(path)) == 1 + len(names)
    (tmp_path / "s3.raw").write_bytes(b"00")
    assert "is cut short" in refused(path)
    path.write_text(f"{HEADER}ElementDataFile = LIST 2D\n" + "\n".join([*names[:5], "../x.raw"]))
    assert "outside its folder" in refused(path)


@pytest.mark.parametrize("size", ["60000 60000 60000", "2000 2000 2000"])
def test_an_absurd_size_is_refused_before_memory_is_taken(tmp_path, size):
    (tmp_path / "a.raw").write_bytes(b"0" * 10)
    text = HEADER.replace("24 24 6", size) + "ElementDataFile = a.raw\n"
    (tmp_path / "a.mhd").write_text(text)
    assert "is no cardiac CT; is the header damaged?" in refused(tmp_path / "a.mhd")


def test_an_absurd_nrrd_size_is_refused(tmp_path):
    path = tmp_path / "a.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 40000 40000 9000\nencoding: raw\n"
        b"endian: little\n\n00"
    )
    assert "is no cardiac CT" in refused(path)


def test_a_header_without_a_type_is_refused(tmp_path):
    (tmp_path / "a.mhd").write_text("NDims = 3\nDimSize = 4 4 4\nElementDataFile = a.raw\n")
    assert "lacks DimSize or a known ElementType" in refused(tmp_path / "a.mhd")


def test_padding_and_signs_are_read_right(tmp_path):
    voxels = arrays()[0].astype(np.int32)
    voxels[:, 0, 0] = -3024
    path = save(tmp_path / "a.mha", voxels.astype(np.int16))
    assert read_scan(path).voxels[0, 0, 0] == -1024
    # Float and 32-bit files of the same scan give the same HU.
    for kind, dtype in (("f", np.float32), ("i", np.int32)):
        scan = read_scan(save(tmp_path / f"{kind}.mha", voxels.astype(dtype)))
        np.testing.assert_array_equal(scan.voxels, voxels.clip(-1024))
        assert scan.voxels.dtype == np.int16
    assert sitk.ReadImage(str(path)).GetSize() == SHAPE[::-1]


def test_what_is_left_of_a_packed_file_is_counted(tmp_path):
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(-900, 900, (12, 64, 64)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    found = re.search(r"is cut short: (\d+) bytes after unpacking, but 64 x 64 x 12", refused(path))
    assert 0.6 < int(found[1]) / (12 * 64 * 64 * 8) < 0.75


@pytest.mark.parametrize("suffix", [".nii", ".mha", ".nrrd"])
def test_a_fill_above_any_ct_is_told_by_every_reader_of_a_scan(tmp_path, suffix):
    from benchmark.cohorts.scan_check import warnings_of
    from benchmark.prediction.scans import open_scans

    voxels = arrays()[0].astype(np.int32)
    voxels[:, :3, :3] = 62512
    path = save(tmp_path / f"a{suffix}", voxels)
    words = "54 voxels of 62512 outside the field of view"
    assert words in warnings_of(read_scan(path))[0][0]
    scan = open_scans(path).load("a")
    assert words in " ".join(scan.warnings)
    assert scan.voxels.max() < 300
