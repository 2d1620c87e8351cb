"""``benchmark submit orcascore`` through the command line: made, checked and scored."""

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.cli import main


@pytest.fixture
def submit(data, capsys):
    """A function: run the command; exit status, what it printed, and its complaints."""

    def run(*arguments):
        status = main(["submit", "orcascore", "--data", str(data), *map(str, arguments)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def faults(err):
    return [line for line in err.splitlines() if line.startswith("fault: ")]


def lps(path):
    return sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS"))


# Making one


def test_a_run_becomes_a_zip_that_passes(submit, fake_network, data, maps, tmp_path):
    calls = fake_network()
    out = tmp_path / "new" / "mine.zip"
    status, text, err = submit("--run", "table1", "--out", out, "--seed", 3, "--method", "unet3d")
    assert (status, faults(err)) == (0, [])
    assert calls == [("table1", "unet3d", 3, Path("results/runs"), "auto")]
    assert f"written: {out} (3 label maps, 3 lesions)" in text
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [
            f"TEV{v}P1R.{kind}" for v in (1, 2, 3) for kind in ("mhd", "raw")
        ]
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unpacked")
    truth = maps("TE", "truth")
    for vendor in (1, 2, 3):
        path = tmp_path / "unpacked" / f"TEV{vendor}P1R.mhd"
        scan = sitk.ReadImage(str(data / "Test" / f"TEV{vendor}P1CTI.mhd"))
        image = sitk.ReadImage(str(path))
        assert image.GetPixelID() == sitk.sitkInt16
        for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(image, what)() == getattr(scan, what)(), what
        assert "CompressedData = True" not in path.read_text()
        np.testing.assert_array_equal(lps(path), lps(truth / path.name))
    assert [path.name for path in out.parent.iterdir()] == ["mine.zip"]
    assert submit("--check", out)[0] == 0


def test_the_same_maps_give_the_same_bytes(submit, fake_network, tmp_path):
    fake_network()
    both = [tmp_path / "a.zip", tmp_path / "b.zip"]
    for out in both:
        assert submit("--run", "r", "--out", out)[0] == 0
    assert both[0].read_bytes() == both[1].read_bytes()


def test_names_and_folder_are_options(submit, fake_network, tmp_path):
    fake_network()
    out, how = tmp_path / "mine.zip", ("--names", "{id}CTI", "--inside", "results")
    assert submit("--run", "r", "--out", out, *how)[0] == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist()[:2] == ["results/TEV1P1CTI.mhd", "results/TEV1P1CTI.raw"]
    status, _, err = submit("--check", out, *how)
    assert (status, "lie in" in err) == (0, False)
    status, _, err = submit("--check", out)
    assert status == 1
    assert "TEV1P1R.mhd is missing" in err


def test_a_folder_may_be_written_too(submit, fake_network, tmp_path):
    fake_network()
    out = tmp_path / "mine"
    assert submit("--run", "r", "--out", out, "--scans", "training")[0] == 0
    assert sorted(path.name for path in out.iterdir())[:2] == ["TRV1P1R.mhd", "TRV1P1R.raw"]
    assert len(list(out.iterdir())) == 8


def test_nothing_is_written_if_a_map_breaks_a_rule(submit, fake_network, tmp_path):
    def spoil(scan, labels):
        if scan.id == "TEV2P1":
            labels[0, 0, 0] = 1  # air
        return labels

    fake_network(spoil)
    out = tmp_path / "new" / "mine.zip"
    status, text, err = submit("--run", "r", "--out", out)
    assert status == 1
    assert "nothing written: 1 fault" in text
    (line,) = faults(err)
    assert f"{out}/TEV2P1R.mhd: 1 labelled voxels where the scan is not above 130 HU" in line
    assert list(out.parent.iterdir()) == []


def test_nothing_is_written_if_a_scan_fails_and_all_are_tried(submit, fake_network, tmp_path):
    from benchmark.errors import UserError

    def fail(scan, labels):
        if scan.id == "TEV1P1":
            raise UserError("TEV1P1: no finite answer")
        if scan.id == "TEV2P1":
            return None
        return labels[:, :, 1:]

    fake_network(fail)
    out = tmp_path / "mine.zip"
    status, _, err = submit("--run", "r", "--out", out)
    assert status == 1
    one, two, three = faults(err)
    assert one == "fault: TEV1P1: no finite answer"
    assert two == "fault: TEV2P1: the network gives scores and no labels"
    assert three.startswith("fault: TEV3P1R.mhd: labels of size (5, 20, 23) do not fit")
    assert not out.exists()


def test_a_scan_that_cannot_be_read_is_a_fault(submit, fake_network, data, tmp_path):
    fake_network()
    (data / "Test" / "TEV1P1CTI.raw").write_bytes(b"short")
    status, _, err = submit("--run", "r", "--out", tmp_path / "mine.zip")
    assert status == 1
    (line,) = faults(err)
    assert line.startswith("fault: ")
    assert "TEV1P1CTI.raw: is cut short" in line


def test_what_is_there_is_not_overwritten(submit, fake_network, tmp_path):
    calls = fake_network()
    out = tmp_path / "mine.zip"
    out.write_text("two weeks of work")
    status, _, err = submit("--run", "r", "--out", out)
    assert (status, calls) == (2, [])
    assert f"error: {out}: is there already" in err
    assert out.read_text() == "two weeks of work"


def test_a_network_without_labels_is_refused_before_any_scan(submit, fake_network, tmp_path):
    fake_network(outputs=("head",))
    status, _, err = submit("--run", "r", "--out", tmp_path / "mine.zip")
    assert status == 2
    assert "error: Fake gives scores and no labels; name another by --method" in err


def test_fewer_scans_than_the_challenge_has_are_told(submit, maps):
    status, text, err = submit("--check", maps())
    assert status == 0
    assert "3 test scans; the challenge gave out 40" in err
    assert "no fault found (3 label maps, 3 lesions)" in text


# Bad requests: exit status 2, one line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say one of --run RUN, --check FOLDER|ZIP, --score FOLDER|ZIP"),
        (("--check", "x", "--run", "y"), "say one of"),
        (("--check", "x", "--out", "y"), "--check writes nothing"),
        (("--check", "nowhere"), "no such file or folder: nowhere"),
        (("--check", __file__), "is neither a folder nor a zip file"),
        (("--check", "x", "--names", "R"), "must hold {id} once"),
        (("--check", "x", "--names", "../{id}"), "make a name"),
        (("--check", "x", "--inside", "../up"), "--inside '../up'"),
        (("--score", "x", "--score", "y/x.zip"), "two submissions of one name"),
    ],
)
def test_bad_requests(submit, arguments, message):
    status, _, err = submit(*arguments)
    assert status == 2
    (line,) = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert line.startswith("error: ")
    assert message in line


def test_data_without_such_scans(submit, data, maps):
    for path in data.glob("Test/*"):
        path.unlink()
    status, _, err = submit("--check", maps())
    assert status == 2
    assert "holds no test scan (a name like TEV1P1CTI.mhd is expected); see --scans" in err


# Scoring one


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_reference_scores_one(submit, data):
    status, text, err = submit("--score", data)
    assert status == 0, err
    for name in ("sensitivity volume", "PPV volume", "F1 volume", "ICC volume", "kappa"):
        row = next(line for line in text.splitlines() if line.startswith(name))
        assert "1.000 (1.000 to 1.000)" in row
    assert "does better here than it is" in text


def test_scores_are_right_and_written(submit, maps, change_map, tmp_path):
    sent = maps("TR")

    def miss_the_rca(labels):
        labels[labels == 3] = 0
        return labels

    change_map(sent, "TRV1P1", miss_the_rca)
    status, text, _ = submit("--score", sent, "--out", tmp_path / "out")
    assert status == 0
    rows = {
        (row["measure"], row["target"]): row for row in table(tmp_path / "out/fig10-measures.csv")
    }
    # six lesions of 4, 2, 6 | 4 | 6, 4 voxels of 0.75 mm3; one of 6 voxels is missed
    whole = rows["sensitivity volume", "whole"]
    assert float(whole["value [1]"]) == pytest.approx(20 / 26)
    assert float(rows["sensitivity number", "whole"]["value [1]"]) == pytest.approx(5 / 6)
    assert float(rows["F1 volume", "RCA"]["value [1]"]) == pytest.approx(2 / (1 + 12 / 6))
    assert (
        float(whole["95 % interval, low [1]"])
        < 20 / 26
        < float(whole["95 % interval, high [1]"])
        <= 1
    )
    assert "0.769 (" in text
    patients = table(tmp_path / "out/fig10-patients.csv")
    first = next(r for r in patients if (r["scan"], r["target"]) == ("TRV1P1", "RCA"))
    assert float(first["missed volume [mm3]"]) == 4.5
    # 6 voxels of 180 HU: 6 * 0.25 mm2 * weight 1
    assert float(first["reference Agatston"]) == 1.5
    assert float(first["submitted Agatston"]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"fig10.pdf", "fig10.png", "fig10.csv", "fig10.txt"} < names


def test_a_missing_map_takes_the_worst_value(submit, maps):
    sent = maps("TR")
    whole = submit("--score", sent)[1]
    (sent / "TRV2P1R.mhd").unlink()
    status, text, err = submit("--score", sent)
    assert status == 1
    assert faults(err) == [f"fault: {sent}: TRV2P1R.mhd is missing (takes the worst value)"]
    value = [
        float(next(row for row in t.splitlines() if row.startswith("PPV volume")).split()[-4])
        for t in (whole, text)
    ]
    assert value[1] < value[0] == 1
    assert "4 patients" in text


def test_broken_rules_are_told_and_scored_all_the_same(submit, maps, change_map):
    sent = maps("TR")

    def mix(labels):
        labels[labels == 1] = (2, 1, 1, 1)
        return labels

    change_map(sent, "TRV1P2", mix)
    status, text, err = submit("--score", sent)
    assert status == 0
    assert "1 lesions with more than one label" in err
    row = next(line for line in text.splitlines() if line.startswith("F1 volume"))
    # the majority label is the right one; LCX and RCA are in fewer than three of these patients
    assert (
        row.split()
        == "F1 volume * 1.000 (1.000 to 1.000) 1.000 1.000 1.000 (1.000 to 1.000)".split()
    )
    assert "F1 volume LCX" in text
    assert "rests on 2 patients: no interval" in text


def test_settings_of_the_scorer_reach_it(submit, maps):
    sent = maps("TR")
    text = submit("--score", sent, "--min-lesion", 1.6)[1]
    row = next(line for line in text.splitlines() if line.startswith("sensitivity number"))
    assert row.split()[-1] == "1.000)"
    assert "– sensitivity number, LCX: undefined, no reference calcium" in text


def test_a_reference_that_cannot_be_read_is_left_out_and_told(submit, data, maps):
    (data / "Training" / "TRV1P2R.mhd").unlink()
    status, text, err = submit("--score", maps("TR"))
    assert status == 1
    (line,) = faults(err)
    assert line.startswith("fault: TRV1P2: not scored: ")
    assert "has no reference TRV1P2R.mhd" in line
    assert "3 patients" in text


def test_nothing_to_score_by(submit, maps):
    status, _, err = submit("--score", maps(), "--scans", "test")
    assert status == 2
    assert "there is no scan with a reference to score it by" in err
