"""Every fault of a submission has its line, and none of them reaches outside or fills memory."""

import stat
import struct
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.challenge.checker import check_submission
from benchmark.challenge.source import LARGEST_INDEX, open_source
from benchmark.cohorts.orcascore import OrcaScoreCohort
from benchmark.errors import UserError


@pytest.fixture
def check(data):
    """A function: check a submission of the test scans; its report."""
    cohort = OrcaScoreCohort(data)
    ids = [id for id in cohort.ids if id.startswith("TE")]
    return lambda path, **options: check_submission(path, cohort, ids, **options)


def only(report, *parts):
    """The report has one fault, and it says all these parts."""
    assert len(report.faults) == 1, report.faults
    for part in parts:
        assert part in report.faults[0]
    assert "\n" not in report.faults[0]


def test_right_submissions_pass_as_folder_and_zip(check, maps, zipped):
    folder = maps()
    for path in (folder, zipped(folder)):
        report = check(path)
        assert (report.faults, report.warnings) == ([], [])
        assert report.lesions == {"TEV1P1": 2, "TEV2P1": 1, "TEV3P1": 0}


# Files


def test_missing_map(check, maps):
    folder = maps()
    (folder / "TEV2P1R.mhd").unlink()
    (folder / "TEV2P1R.raw").unlink()
    only(check(folder), f"{folder}: TEV2P1R.mhd is missing")


def test_missing_pixels(check, maps, zipped):
    folder = maps()
    (folder / "TEV2P1R.raw").unlink()
    for path in (folder, zipped(folder)):
        only(check(path), f"{path}/TEV2P1R.mhd: its pixel file 'TEV2P1R.raw' is missing")


@pytest.mark.parametrize("name", ["notes.txt", "TRV1P1R.mhd", ".DS_Store", "TEV1P1R.RAW"])
def test_superfluous_file(check, maps, name):
    folder = maps()
    (folder / name).write_text("x")
    only(check(folder), f"{folder}/{name}: belongs to no scan that was asked for; remove it")


def test_many_superfluous_files_are_counted(check, maps):
    folder = maps()
    for number in range(9):
        (folder / f"{number}.txt").write_text("x")
    faults = check(folder).faults
    assert len(faults) == 6
    assert faults[-1] == f"{folder}: 4 more files belong to no scan"


def test_one_file_instead_of_a_pair(check, maps):
    folder = maps()
    image = sitk.ReadImage(str(folder / "TEV1P1R.mhd"))
    sitk.WriteImage(image, str(folder / "TEV1P1R.mha"), False)
    for kind in ("mhd", "raw"):
        (folder / f"TEV1P1R.{kind}").unlink()
    faults = check(folder).faults
    assert "TEV1P1R.mha: is one file; the challenge asks for .mhd and .raw" in faults[0]
    assert "TEV1P1R.mhd is missing" in faults[1]


def test_two_maps_of_a_scan(check, maps):
    folder = maps()
    (folder / "old").mkdir()
    for kind in ("mhd", "raw"):
        (folder / f"old/TEV1P1R.{kind}").write_bytes((folder / f"TEV1P1R.{kind}").read_bytes())
    only(check(folder), "TEV1P1: two maps,", "TEV1P1R.mhd and ", "old/TEV1P1R.mhd; keep one")


def test_another_layout_is_a_warning_as_nobody_knows_the_right_one(check, maps, zipped):
    report = check(zipped(maps(), "team/"))
    assert report.faults == []
    assert "the maps lie in 'team' and not in '.'; the challenge does not say" in report.warnings[0]


def test_a_submission_without_one_lesion_is_a_warning(check, maps, change_map):
    folder = maps()
    for id in ("TEV1P1", "TEV2P1"):
        change_map(folder, id, np.zeros_like)
    assert check(folder).warnings == [f"{folder}: not one map holds a lesion"]


# Headers


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"DimSize": "24 20 6"}, "size (24, 20, 6) differs from its scan's (24, 20, 5) (x, y, z)"),
        ({"DimSize": "9999999 9999999 9999999"}, "differs from its scan's (24, 20, 5)"),
        ({"DimSize": "a lot"}, "lacks DimSize, a known ElementType or ElementDataFile"),
        ({"DimSize": None}, "lacks DimSize"),
        ({"ElementType": "MET_STRING"}, "lacks DimSize, a known ElementType"),
        ({"ElementDataFile": "../TEV1P1R.raw"}, "does not name one pixel file beside it"),
        ({"ElementDataFile": "/etc/passwd"}, "does not name one pixel file beside it"),
        ({"ElementDataFile": "LOCAL"}, "does not name one pixel file beside it"),
        ({"ElementDataFile": "p%03d.raw 1 5 1"}, "does not name one pixel file beside it"),
        ({"ElementDataFile": "labels.raw"}, "its pixel file 'labels.raw' is missing"),
        ({"ElementSpacing": "0.5 0.5 2.5"}, "spacing (0.5, 0.5, 2.5) differs from its scan's"),
        ({"Offset": "0 0 0"}, "origin (0, 0, 0) differs from its scan's (-31.25, 17, -104.5)"),
        ({"TransformMatrix": "-1 0 0 0 -1 0 0 0 1"}, "direction (-1, 0, 0, 0, -1, 0, 0, 0, 1)"),
    ],
)
def test_header_faults(check, maps, zipped, change_header, fields, message):
    folder = maps()
    change_header(folder / "TEV1P1R.mhd", **fields)
    for path in (folder, zipped(folder)):
        faults = check(path).faults
        assert message in faults[0], faults
        assert faults[0].startswith(f"{path}/TEV1P1R.mhd: ")


def test_a_field_said_twice(check, maps):
    folder = maps()
    path = folder / "TEV1P1R.mhd"
    path.write_text(path.read_text() + "ElementDataFile = /etc/passwd\n")
    only(check(folder), "TEV1P1R.mhd: says ElementDataFile twice")


def test_pixel_file_of_another_name(check, maps, zipped, change_header):
    folder = maps()
    (folder / "TEV1P1R.raw").rename(folder / "a.raw")
    change_header(folder / "TEV1P1R.mhd", ElementDataFile="a.raw")
    for path in (folder, zipped(folder)):
        superfluous, named = check(path).faults
        assert "a.raw: belongs to no scan" in superfluous
        assert "TEV1P1R.mhd: names the pixel file 'a.raw'; TEV1P1R.raw is expected" in named


def test_a_header_that_is_no_text(check, maps):
    folder = maps()
    (folder / "TEV1P1R.mhd").write_bytes(b"\0" * 70_000)
    only(check(folder), "TEV1P1R.mhd: is no MetaImage header, it is too long")


def test_pixels_of_another_type(check, maps):
    folder = maps()
    image = sitk.Cast(sitk.ReadImage(str(folder / "TEV1P1R.mhd")), sitk.sitkUInt8)
    sitk.WriteImage(image, str(folder / "TEV1P1R.mhd"), False)
    only(check(folder), "TEV1P1R.mhd: pixels are MET_UCHAR; the challenge asks for MET_SHORT")


def test_compressed_pixels(check, maps, zipped):
    folder = maps()
    image = sitk.ReadImage(str(folder / "TEV1P1R.mhd"))
    (folder / "TEV1P1R.raw").unlink()
    sitk.WriteImage(image, str(folder / "TEV1P1R.mhd"), True)
    for path in (folder, zipped(folder)):
        only(check(path), "TEV1P1R.mhd: pixels are compressed; write them as .raw")


def test_compressed_pixels_that_swell_are_stopped(check, maps):
    folder = maps()
    image = sitk.ReadImage(str(folder / "TEV1P1R.mhd"))
    (folder / "TEV1P1R.raw").unlink()
    sitk.WriteImage(image, str(folder / "TEV1P1R.mhd"), True)
    import zlib

    (folder / "TEV1P1R.zraw").write_bytes(zlib.compress(bytes(4_000_000)))
    faults = check(folder).faults
    assert any("too long" in fault for fault in faults), faults


@pytest.mark.parametrize("size", [0, 4799, 4801])
def test_pixel_file_of_another_length(check, maps, zipped, size):
    folder = maps()
    (folder / "TEV1P1R.raw").write_bytes(bytes(size))
    for path in (folder, zipped(folder)):
        only(
            check(path),
            f"{path}/TEV1P1R.raw: holds {size} bytes, but (24, 20, 5) voxels of 2 bytes are 4800",
        )


def test_the_same_scan_turned_is_not_its_grid(check, maps, change_map):
    folder = maps()
    change_map(folder, "TEV2P1", lambda labels: labels, code="LPS")
    only(check(folder), "TEV2P1R.mhd: ", " differs from its scan's", "on the scan's own grid")


# Labels


def test_unknown_labels(check, maps, change_map):
    folder = maps()

    def number(labels):
        labels[labels == 1] = 5
        labels[0, 0, 0] = -1
        return labels

    change_map(folder, "TEV1P1", number)
    only(check(folder), "TEV1P1R.mhd: unknown labels -1, 5; use 0 background", "4 undetermined")


def test_label_four_is_allowed(check, maps, change_map):
    folder = maps()
    change_map(folder, "TEV1P1", lambda labels: np.where(labels == 1, 4, labels))
    assert check(folder).faults == []


def test_labels_where_there_is_no_calcium(check, maps, change_map):
    folder = maps()

    def paint(labels):
        labels[1, 5, 7:9] = 2
        return labels

    change_map(folder, "TEV2P1", paint)  # of a scan whose file is turned: x and y count back
    only(
        check(folder),
        "TEV2P1R.mhd: 2 labelled voxels where the scan is not above 130 HU",
        "the first at voxel (16, 14, 1)",
    )
    path = folder / "TEV2P1R.mhd"
    assert sitk.ReadImage(str(path))[16, 14, 1] == 2


def test_lesion_with_two_labels(check, maps, change_map):
    folder = maps()

    def mix(labels):
        labels[2, 8, 6] = 3
        return labels

    change_map(folder, "TEV1P1", mix)
    only(
        check(folder),
        "TEV1P1R.mhd: 1 lesions with more than one label, the first (LAD and RCA) at voxel "
        "(6, 8, 2)",
    )


def test_lesion_labelled_in_part_is_a_warning(check, maps, change_map):
    folder = maps()

    def cut(labels):
        labels[2, 8, 6] = 0
        return labels

    change_map(folder, "TEV1P1", cut)
    report = check(folder)
    assert report.faults == []
    assert "1 lesions labelled in part, the first (LAD) at voxel (7, 8, 2)" in report.warnings[0]


def test_all_faults_are_told_at_once(check, maps, change_header):
    folder = maps()
    change_header(folder / "TEV1P1R.mhd", Offset="0 0 0")
    (folder / "TEV2P1R.raw").write_bytes(b"")
    (folder / "TEV3P1R.mhd").unlink()
    faults = check(folder).faults
    assert len(faults) == 3
    assert [next(id for id in ("V1", "V2", "V3") if id in f) for f in faults] == ["V1", "V2", "V3"]


# Files that mean harm


def packed(folder, tmp_path, change):
    """Pack a folder, with `change(archive)` called before it is closed."""
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
        change(archive)
    return path


@pytest.mark.parametrize(
    "name",
    ["../outside.mhd", "/tmp/outside.mhd", "a/../../b.mhd", "C:\\x.mhd", "a\\..\\b.mhd", ".."],
)
def test_zip_slip(check, maps, tmp_path, name):
    path = packed(maps(), tmp_path, lambda archive: archive.writestr(name, "x"))
    before = sorted(tmp_path.rglob("*"))
    only(check(path), "its name leads out of the archive; pack the files without paths")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_map_under_a_name_that_leads_out_is_never_unpacked(check, maps, tmp_path):
    folder = maps()
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"../{file.name}")
    faults = check(path).faults
    assert sum("leads out" in fault for fault in faults) == 5
    assert f"{path}: 1 more entries are not opened" in faults
    assert sum("is missing" in fault for fault in faults) == 3


def test_links_in_zip_and_folder(check, maps, tmp_path):
    folder = maps()

    def link(archive):
        entry = zipfile.ZipInfo("link.mhd")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")

    path = packed(folder, tmp_path, link)
    only(check(path), "evil.zip/link.mhd: is a link or no plain file; pack the file itself")
    target = tmp_path / "elsewhere.raw"
    (folder / "TEV1P1R.raw").rename(target)
    (folder / "TEV1P1R.raw").symlink_to(target)
    faults = check(folder).faults
    assert f"{folder}/TEV1P1R.raw: is a link; put the file itself here" in faults
    (folder / "TEV1P1R.raw").unlink()
    target.rename(folder / "TEV1P1R.raw")
    (folder / "up").symlink_to(tmp_path)
    only(check(folder), f"{folder}/up: is a link")


def test_encrypted_and_oddly_packed_entries(check, maps, tmp_path):
    folder = maps()
    path = packed(folder, tmp_path, lambda archive: None)
    whole = bytearray(path.read_bytes())
    place = whole.find(b"PK\x01\x02")
    whole[place + 8] |= 1
    path.write_bytes(whole)
    assert any("is encrypted; pack it without a password" in f for f in check(path).faults)
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    assert any("is packed in an unusual way" in fault for fault in check(path).faults)


def test_an_entry_twice(check, maps, tmp_path):
    def twice(archive):
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("TEV1P1R.mhd", "x")

    path = packed(maps(), tmp_path, twice)
    only(check(path), "evil.zip/TEV1P1R.mhd: is there twice; keep one")


def test_an_entry_longer_than_it_says(check, maps, tmp_path):
    """The size that the list names is right, but more comes out when it is unpacked."""
    folder = maps()
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            content = bytes(5_000_000) if file.name == "TEV1P1R.raw" else file.read_bytes()
            archive.writestr(file.name, content)
    whole = bytearray(path.read_bytes())
    for signature, field in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = whole.find(struct.pack("<I", 5_000_000), whole.find(signature))
        assert place > 0, field
        whole[place : place + 4] = struct.pack("<I", 4800)
    path.write_bytes(whole)
    faults = check(path).faults
    assert len(faults) == 1
    assert "bomb.zip/TEV1P1R.raw: " in faults[0]


def test_damaged_zip(check, maps, zipped):
    path = zipped(maps())
    whole = bytearray(path.read_bytes())
    # inside the packed pixels of the first map
    place = whole.find(b"TEV1P1R.raw") + len("TEV1P1R.raw") + 3
    whole[place : place + 8] = b"\xff" * 8
    path.write_bytes(whole)
    faults = check(path).faults
    assert len(faults) == 1
    assert "TEV1P1R.raw: is damaged in the zip" in faults[0]


def test_cut_zip(check, maps, zipped):
    path = zipped(maps())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"neither a folder nor a zip|the zip is damaged"):
        check(path)


def test_a_list_of_files_that_is_absurdly_long(check, maps, zipped):
    path = zipped(maps())
    whole = bytearray(path.read_bytes())
    place = whole.rfind(b"PK\x05\x06")
    whole[place + 12 : place + 16] = struct.pack("<I", LARGEST_INDEX + 1)
    path.write_bytes(whole)
    with pytest.raises(UserError, match="lists far more files than a submission has"):
        open_source(path)


def test_too_many_files(maps, monkeypatch, zipped):
    folder = maps()
    path = zipped(folder)
    monkeypatch.setattr("benchmark.challenge.source.MOST_FILES", 5)
    for place in (folder, path):
        with pytest.raises(UserError, match="holds more than 5 files"):
            open_source(place)


def test_names_cannot_write_to_the_terminal(check, maps):
    folder = maps()
    (folder / "a\x1b[31mred\nline.txt").write_text("x")
    only(check(folder), f"{folder}/a?[31mred?line.txt: belongs to no scan")


def test_an_entry_without_a_name_is_a_fault_of_the_zip(check, maps, zipped):
    path = zipped(maps())
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")  # the first entry of the index
    length = int.from_bytes(data[place + 28 : place + 30], "little")
    extra = int.from_bytes(data[place + 30 : place + 32], "little")
    # what was the name now belongs to the extra field, which a reader skips
    data[place + 28 : place + 32] = struct.pack("<HH", 0, extra + length)
    data[place + 46 : place + 50] = struct.pack("<HH", 0x9999, length - 4)
    path.write_bytes(data)
    report = check(path)
    assert any("its name leads out of the archive" in fault for fault in report.faults)
