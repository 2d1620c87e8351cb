"""Two statements of one header agree, or the file is refused with both of them named."""

import itertools
import re
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from written import SHAPE, arrays, save

from benchmark.cohorts.volumes import read_scan
from benchmark.errors import UserError

AFFINE = np.array([[-0.5, 0, 0, 20], [0, -0.5, 0, -30], [0, 0, 3, -105], [0, 0, 0, 1]])
OBLIQUE = nibabel.affines.from_matvec(
    nibabel.eulerangles.euler2mat(0.3, -0.2, 0.1) @ np.diag([-0.5, -0.5, 3]), [20, -30, -105]
)
VOXELS = arrays()[0]


def nifti(path, affine=AFFINE, edits=(), qform=None, sform=None):
    """A NIfTI file as nibabel writes it, with numbers of the header changed afterwards."""
    image = nibabel.Nifti1Image(np.ascontiguousarray(VOXELS.T), affine)
    if qform is not None:
        image.set_qform(*qform)
    if sform is not None:
        image.set_sform(*sform)
    nibabel.save(image, path)
    data = bytearray(path.read_bytes())
    for place, form, *values in edits:
        struct.pack_into("<" + form, data, place, *values)
    path.write_bytes(data)
    return path


def refused(path, *words):
    with pytest.raises(UserError) as caught:
        read_scan(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


MIRRORED = AFFINE * [[-1], [1], [1], [1]]
MOVED = AFFINE + np.diag([0.4], 3)


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (2, 1), (1, 4), (4, 3)])
@pytest.mark.parametrize("other", [MIRRORED, MOVED, OBLIQUE])
def test_a_nifti_file_of_two_places_is_refused(tmp_path, codes, other):
    path = nifti(tmp_path / "a.nii", AFFINE, (), (AFFINE, codes[0]), (other, codes[1]))
    refused(path, "qform and sform say different places", f"code {codes[0]}", f"code {codes[1]}")


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE, MIRRORED])
@pytest.mark.parametrize("codes", [(0, 1), (1, 0), (0, 0), (0, 2), (1, 1), (1, 2), (4, 4)])
def test_nifti_files_as_programs_write_them_are_read(tmp_path, affine, codes):
    path = nifti(tmp_path / "a.nii", affine, (), (affine, codes[0]), (affine, codes[1]))
    scan = read_scan(path)
    assert scan.spacing == pytest.approx((3, 0.5, 0.5), rel=1e-5)


def test_what_has_a_code_of_zero_does_not_contradict(tmp_path):
    for codes, left in (((0, 1), 1), ((1, 0), -1)):
        path = nifti(tmp_path / "a.nii", AFFINE, (), (MIRRORED, codes[0]), (AFFINE, codes[1]))
        assert read_scan(path).geometry.direction[0] == pytest.approx(left)


def test_rounding_of_a_quaternion_and_of_few_digits_is_no_contradiction(tmp_path):
    rough = OBLIQUE.copy()
    rough[:3, :3] = np.round(OBLIQUE[:3, :3], 4)  # as cosines of four digits in DICOM
    read_scan(nifti(tmp_path / "a.nii", OBLIQUE, (), qform=(OBLIQUE, 1), sform=(rough, 1)))
    read_scan(nifti(tmp_path / "b.nii", AFFINE, [(80, "3f", 0.50003, 0.49998, 3.0002)]))


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([(80, "3f", 1, 1, 3)], ("pixdim says a spacing of (1, 1, 3)", "sform", "(0.5, 0.5, 3)")),
        ([(88, "f", 1.5)], ("pixdim", "(0.5, 0.5, 1.5)", "sform")),
        ([(80, "f", -0.5)], ("pixdim", "negative")),
        ([(123, "B", 1)], ("xyzt_units says metres", "pixdim (0.5, 0.5, 3)")),
        ([(123, "B", 3)], ("xyzt_units says micrometres",)),
        ([(112, "2f", 0, -1024)], ("scl_slope 0", "scl_inter -1024", "contradict")),
        ([(112, "2f", float("nan"), -1024)], ("scl_slope nan", "scl_inter -1024")),
        ([(112, "2f", 2, float("nan"))], ("scl_slope 2", "scl_inter nan")),
    ],
)
def test_other_contradictions_of_a_nifti_header_are_refused(tmp_path, edits, words):
    refused(nifti(tmp_path / "a.nii", AFFINE, edits), *words)


@pytest.mark.parametrize(
    "edit",
    [
        (112, "2f", 0, 0), (112, "2f", 1, 0), (112, "2f", 1, float("nan")), (123, "B", 0),
        (123, "B", 10), (76, "f", 0),
    ],
)  # fmt: skip
def test_headers_that_say_nothing_of_it_are_read(tmp_path, edit):
    scan = read_scan(nifti(tmp_path / "a.nii", AFFINE, [edit]))
    np.testing.assert_array_equal(scan.voxels, read_scan(nifti(tmp_path / "b.nii")).voxels)


def test_a_nifti_file_in_metres_is_read_in_millimetres(tmp_path):
    metres = AFFINE * [[1e-3], [1e-3], [1e-3], [1]]
    path = nifti(tmp_path / "a.nii", metres, [(123, "B", 1)])
    assert read_scan(path).spacing == pytest.approx((3, 0.5, 0.5), rel=1e-4)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_file_longer_than_its_size_is_refused(tmp_path, suffix):
    import gzip

    plain = nifti(tmp_path / "b.nii").read_bytes()
    path = tmp_path / f"a{suffix}"
    pack = gzip.compress if suffix == ".nii.gz" else bytes
    path.write_bytes(pack(plain + bytes(24 * 24 * 2)))
    refused(path, "is too long", "24 x 24 x 6 voxels of 2 bytes and the header are 7264")
    path.write_bytes(pack(plain + b"\n"))
    read_scan(path)


def meta(path, *lines, without=()):
    """A MetaImage file as SimpleITK writes it, with lines added before the pixels."""
    save(path, VOXELS)
    text = path.read_text().splitlines()
    text = [line for line in text if line.split(" =")[0] not in without]
    path.write_text("\n".join([*text[:-1], *lines, text[-1]]) + "\n")
    return path


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["Origin = 7 8 9"], ("Offset says -20 30 -105", "Origin says 7 8 9")),
        (["Position = 7 8 9"], ("Offset says", "Position says 7 8 9")),
        (["Orientation = 0 1 0 1 0 0 0 0 1"], ("TransformMatrix says 1 0 0", "Orientation says")),
        (["Rotation = -1 0 0 0 1 0 0 0 1"], ("TransformMatrix says", "Rotation says -1")),
        (["ElementSize = 1 1 3"], ("ElementSpacing says 0.5 0.5 3", "ElementSize says 1 1 3")),
        (["ElementByteOrderMSB = True"], ("BinaryDataByteOrderMSB says False", "ElementByteOrder")),
        (["DistanceUnits = cm"], ("'cm' (DistanceUnits)",)),
        (["NDims = 2"], ("says NDims twice",)),
    ],
)
def test_a_meta_image_that_contradicts_itself_is_refused(tmp_path, lines, words):
    refused(meta(tmp_path / "a.mhd", *lines), *words)


@pytest.mark.parametrize(
    "lines",
    [
        ["Origin = -20.0 30 -105.00"], ["Orientation = 1 0 0 0 1 0 0 0 1"],
        ["ElementSize = 0.5 0.5 2.5"], ["ElementByteOrderMSB = False"], ["DistanceUnits = mm"],
        ["DistanceUnits = ?"], ["Comment = x"],
        ["ElementToIntensityFunctionSlope = 1", "ElementToIntensityFunctionOffset = 0"],
    ],
)  # fmt: skip
def test_a_meta_image_that_says_the_same_twice_is_read(tmp_path, lines):
    scan = read_scan(meta(tmp_path / "a.mhd", *lines))
    np.testing.assert_array_equal(scan.voxels, VOXELS)
    assert scan.warnings == ()


def test_compressed_pixels_of_another_length_than_said_are_refused(tmp_path):
    path = save(tmp_path / "a.mhd", VOXELS, compress=True)
    text = re.sub(r"CompressedDataSize = (\d+)", r"CompressedDataSize = 1\1", path.read_text())
    path.write_text(text)
    refused(path, "CompressedDataSize says 1", "but there are")


ORIENTATIONS = [
    "".join(turn)
    for order in itertools.permutations(("RL", "AP", "IS"))
    for turn in itertools.product(*order)
]


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_the_orientation_that_itk_writes_is_never_warned_of(tmp_path, code):
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((0.5, 0.5, 3))
    sitk.WriteImage(sitk.DICOMOrient(image, code), str(tmp_path / "a.mha"))
    assert read_scan(tmp_path / "a.mha").warnings == ()


def test_an_orientation_in_words_that_contradicts_the_matrix_is_a_warning(tmp_path):
    name = "AnatomicalOrientation"
    (warning,) = read_scan(meta(tmp_path / "a.mhd", f"{name} = LPI", without=[name])).warnings
    assert "AnatomicalOrientation says LPI, TransformMatrix says RAI" in warning
    for word in ("RAI", "LPS", "???"):  # where axes come from, where they go, nothing
        path = meta(tmp_path / "b.mhd", f"{name} = {word}", without=[name])
        assert read_scan(path).warnings == ()


def nrrd(path, *lines, old=None, new=None):
    """An NRRD file as SimpleITK writes it, with lines added to its header."""
    data = save(path, VOXELS).read_bytes()
    if old is not None:
        assert old in data
        data = data.replace(old, new, 1)
    added = "".join(f"\n{line}" for line in lines).encode()
    path.write_bytes(data.replace(b"\n\n", added + b"\n\n", 1))
    return path


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["space dimension: 4"], ("space says left-posterior-superior", "space dimension says 4")),
        (["spacings: 1 1 3"], ("spacings says 1 1 3", "space directions says (0.5,0,0)")),
        (['space units: "cm" "cm" "cm"'], ("'cm' (space units)",)),
        (['units: "um" "um" "um"'], ("'um' (units)",)),
        (["axis mins: 0 0 0", "axis maxs: 24 24 18"], ("axis maxs says", "space directions says")),
        (["sizes: 24 24 6"], ("line 13", "sizes is said twice")),
        (["thicknesses: 3"], ("sizes says 24 24 6", "thicknesses says 3")),
        (["A:=1", "A:=2"], ("A is said twice",)),
    ],
)
def test_an_nrrd_file_that_contradicts_itself_is_refused(tmp_path, lines, words):
    refused(nrrd(tmp_path / "a.nrrd", *lines), *words)


@pytest.mark.parametrize(
    "lines",
    [
        ["spacings: nan nan nan"], ["axis mins: nan nan nan"],
        ['space units: "mm" "mm" "mm"'], ['units: "" "" ""'],
        ["measurement frame: (0,1,0) (1,0,0) (0,0,1)"], ["thicknesses: nan nan 2.5"],
        ["A:=1", "A:=1"], ["# data file: elsewhere"], ["note:=the data file: of mine"],
        ["content: a data file of mine"], ["#\twith a tab"], ["old min: -32768", "old max: 32767"],
    ],
)  # fmt: skip
def test_an_nrrd_file_that_says_the_same_twice_is_read(tmp_path, lines):
    scan = read_scan(nrrd(tmp_path / "a.nrrd", *lines))
    np.testing.assert_array_equal(scan.voxels, VOXELS)
    assert scan.spacing == pytest.approx((3, 0.5, 0.5))


def test_an_nrrd_file_of_spacings_alone_says_where_its_axes_end(tmp_path):
    for ends, good in (("12 12 18", True), ("11.5 11.5 15", True), ("24 24 18", False)):
        path = nrrd(tmp_path / "a.nrrd", "spacings: 0.5 0.5 3", "axis mins: 0 0 0",
                    f"axis maxs: {ends}")  # fmt: skip
        header, _, pixels = path.read_bytes().partition(b"\n\n")
        lines = [line for line in header.split(b"\n") if not line.startswith(b"space")]
        path.write_bytes(b"\n".join(lines) + b"\n\n" + pixels)
        if good:
            assert read_scan(path).spacing == pytest.approx((3, 0.5, 0.5))
        else:
            refused(path, "axis maxs says 24 24 18, but spacings says 0.5 0.5 3")


def test_an_nrrd_file_of_another_size_than_its_pixels_is_refused(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", old=b"sizes: 24 24 6", new=b"sizes: 24 24 5")
    refused(path, "is too long: 6912 bytes of pixels, but sizes 24 24 5 of type short are 5760")
    path = nrrd(tmp_path / "a.nrrd", old=b"sizes: 24 24 6", new=b"sizes: 24 24 7")
    refused(path, "is cut short: 6912 bytes of pixels")
    path = nrrd(tmp_path / "a.nrrd", "data file: a.raw")
    (tmp_path / "a.raw").write_bytes(VOXELS.tobytes())
    refused(path, "names a pixel file (a.raw), but holds 6912 bytes of pixels of its own")
    path.write_bytes(path.read_bytes().partition(b"\n\n")[0] + b"\n")
    np.testing.assert_array_equal(read_scan(path).voxels, VOXELS)


def test_pixel_files_may_have_names_in_any_letters(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", "data file: 左.raw")
    path.write_bytes(path.read_bytes().partition(b"\n\n")[0] + b"\n\n")
    (tmp_path / "左.raw").write_bytes(VOXELS.tobytes())
    np.testing.assert_array_equal(read_scan(path).voxels, VOXELS)
    assert VOXELS.shape == SHAPE
