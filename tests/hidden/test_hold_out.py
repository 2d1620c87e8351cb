"""A board for others, by its own commands: host, entrant, cheats and mishaps."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.cli import main


def write_scan(data: Path, id: str, index: int) -> None:
    """An LAD, an LCX and an RCA lesion on soft tissue, in an orientation of the file's own."""
    random = np.random.default_rng(index)
    voxels = random.normal(40, 15, (8, 48, 48)).clip(-40, 120).astype(np.int16)
    voxels[:, 44:] = -900  # lung
    labels = np.zeros(voxels.shape, np.uint8)
    for artery in range(1, 4):
        if index % 4 < artery:
            continue
        y, x = 11 * artery, int(random.integers(10, 36))
        place = (slice(2, 4), slice(y, y + 2), slice(x, x + 2))
        voxels[place], labels[place] = random.integers(200, 600), artery
    for part, array in (("images", voxels), ("labels", labels)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((2.5, 2.5, 3.0))
        image.SetOrigin((-61.5, -40.25, 1203.0))
        (data / part).mkdir(parents=True, exist_ok=True)
        code = ("LPS", "RAS", "PIR")[index % 3]
        sitk.WriteImage(sitk.DICOMOrient(image, code), str(data / part / f"{id}.nii.gz"))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Ten scans in files."""
    data = tmp_path_factory.mktemp("cohort") / "clinic"
    for index in range(10):
        write_scan(data, f"p{index:02}", index)
    return data


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """A function: the command line; status, and both outputs as one line of text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return status, " ".join((printed.out + printed.err).split())

    return run


@pytest.fixture
def hosted(cohort, call):
    """A hold-out in PUBLIC and HIDDEN of the working folder."""
    status, text = call(
        "split", "--data", cohort, "--hold-out", "--out", "PUBLIC", "--hidden", "HIDDEN",
        "--train", "5", "--test", "4", "--limit", "3/7",
    )  # fmt: skip
    assert status == 0, text
    return Path("PUBLIC"), Path("HIDDEN")


def entrant(call, source, name="Ours", out="sent", **more):
    arguments = {"--system": name, "--team": "A Team", "--training": "the train part", **more}
    flat = [part for pair in arguments.items() for part in pair]
    return call("submit", "board", "--from", source, "--data", "PUBLIC", "--out", out, *flat)


def score(call, sent="sent"):
    return call(
        "evaluate", "--hidden", "HIDDEN", "--data", "PUBLIC", "--submission", sent,
        "--out", "BOARD", "--plain",
    )  # fmt: skip


def perfect(folder="theirs", change=None):
    """The hidden labels themselves as predictions, perhaps spoilt."""
    place = Path(folder)
    place.mkdir()
    for path in sorted(Path("HIDDEN/labels").iterdir()):
        image = sitk.ReadImage(str(path))
        array = sitk.GetArrayFromImage(image)
        made = sitk.GetImageFromArray(array if change is None else change(array))
        made.CopyInformation(image)
        sitk.WriteImage(made, str(place / path.name))
    return place


def files(folder):
    return {p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file()}


def test_the_public_part_holds_no_label_of_a_test_scan(hosted):
    public, hidden = hosted
    known = json.loads((public / "hold-out.json").read_text())
    tests = set(known["images"])
    assert len(tests) == 4
    assert {Path(f).name.split(".")[0] for f in files(public / "test")} == tests
    trained = {Path(f).name.split(".")[0] for f in files(public / "train/labels")}
    assert len(trained) == 5
    assert not trained & tests
    assert {Path(f).name.split(".")[0] for f in files(hidden / "labels")} == tests
    secret = json.loads((hidden / "hidden-labels.json").read_text())
    public_text = (public / "hold-out.json").read_text()
    assert secret["salt"] not in public_text
    assert not any(digest in public_text for digest in secret["labels"].values())
    assert not hidden.stat().st_mode & 0o077


def test_run_takes_the_public_training_part_and_never_the_hidden_labels(hosted, call, tmp_path):
    for data in ("HIDDEN", "HIDDEN/labels"):
        status, text = call("run", "--suite", "table1", "--scale", "smoke", "--data", data)
        assert status == 2
        assert "hidden labels" in text
    os.symlink(tmp_path / "HIDDEN", "innocent")
    rows = [f"{p},{Path('innocent/labels') / p.name}" for p in Path("PUBLIC/test/images").iterdir()]
    Path("table.csv").write_text("\n".join(["image,labels", *rows]) + "\n")
    status, text = call("run", "--suite", "table1", "--scale", "smoke", "--data", "table.csv")
    assert status == 2
    assert "hidden labels" in text
    assert not Path("results").exists()
    status, text = call("data", "check", "PUBLIC/train")
    assert status == 0
    assert "5 scans, 0 refused" in text


def test_the_reference_itself_scores_perfectly_and_others_stand_beside_it(hosted, call):
    assert entrant(call, perfect())[0] == 0
    status, text = score(call)
    assert status == 0, text
    nothing = perfect("nothing", np.zeros_like)
    assert entrant(call, nothing, "Nothing found", "sent2")[0] == 0
    status, text = score(call, "sent2")
    assert status == 0, text
    board = json.loads(Path("BOARD/leaderboard.json").read_text())
    first, second = board["methods"]
    assert [first["name"], second["name"]] == ["ours", "nothing-found"]
    assert first["lines"][0]["figures"]["F1 whole"]["value"] == 1
    assert first["lines"][0]["figures"]["F1 whole"]["mark"] == "best"
    assert second["lines"][0]["figures"]["F1 whole"]["value"] == 0
    # nothing scan by scan is published
    assert files("BOARD") == {"leaderboard.md", "leaderboard.csv", "leaderboard.json"}
    for id in json.loads(Path("PUBLIC/hold-out.json").read_text())["images"]:
        assert not any(id in path.read_text() for path in Path("BOARD").iterdir())
    # the board is made again from what is kept
    status, text = call("evaluate", "--hidden", "HIDDEN", "--data", "PUBLIC", "--plain")
    assert status == 0
    assert "Nothing found" in text


def test_a_table_of_scores_is_an_entry_too(hosted, call):
    ids = list(json.loads(Path("PUBLIC/hold-out.json").read_text())["images"])
    names = [f"{s}_{a}" for s in ("agatston", "volume", "mass") for a in ("LAD", "LCX", "RCA")]
    lines = [",".join(["scan", *names]), *(f"{id}," + ",".join(["1.5"] * 9) for id in ids)]
    Path("scores.csv").write_text("\n".join(lines) + "\n")
    assert entrant(call, "scores.csv")[0] == 0
    status, text = score(call)
    assert status == 0, text
    (row,) = json.loads(Path("BOARD/leaderboard.json").read_text())["methods"]
    assert row["lines"][0]["source"] == "head"
    assert "F1 whole" not in row["lines"][0]["figures"]
    Path("scores.csv").write_text("\n".join(lines[:-1]) + "\n")
    status, text = entrant(call, "scores.csv", "Fewer", "fewer")
    assert status == 2
    assert f"{ids[-1]!r} has no prediction" in text
    assert not Path("fewer").exists()


def spoil_extra(sent):
    (sent / "more.txt").write_text("x")


def spoil_link(sent):
    path = next((sent / "labels").iterdir())
    path.unlink()
    path.symlink_to("/etc/passwd")


def spoil_map(sent):
    path = next((sent / "labels").iterdir())
    path.write_bytes(path.read_bytes()[:60])


def spoil_board(sent):
    change(sent, board="000000000000")


def spoil_missing(sent):
    path = next((sent / "labels").iterdir())
    path.unlink()
    values = json.loads((sent / "submission.json").read_text())
    del values["files"][f"labels/{path.name}"]
    change(sent, files=values["files"])


def spoil_path(sent):
    change(sent, files={"../PUBLIC/hold-out.json": "0" * 64})


def spoil_team(sent):
    change(sent, team=" ")


def spoil_text(sent):
    (sent / "submission.json").write_text("{")


def change(sent, **values):
    path = sent / "submission.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_extra, "is not in the manifest"),
        (spoil_link, "is a link"),
        (spoil_map, "another SHA-256"),
        (spoil_board, "for board 000000000000"),
        (spoil_missing, "has no prediction"),
        (spoil_path, "not in the folder"),
        (spoil_team, "team must be a text"),
        (spoil_text, "is no manifest"),
    ],
)
def test_a_spoilt_submission_is_refused_in_one_line_and_leaves_no_trace(hosted, call, spoil, words):
    assert entrant(call, perfect())[0] == 0
    spoil(Path("sent"))
    status, text = call("submit", "board", "--check", "sent", "--data", "PUBLIC")
    assert status == 1
    assert words in text
    status, text = score(call)
    assert status == 2
    assert words in text
    assert not Path("BOARD").exists()
    assert not list(Path("HIDDEN").glob("entries/*"))


def test_a_map_on_another_grid_is_found_before_it_is_sent(hosted, call):
    theirs = perfect()
    path = next(iter(sorted(theirs.iterdir())))
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(image[:, :, :-1], str(path))
    status, text = entrant(call, theirs)
    assert status == 2
    assert path.name in text
    assert not Path("sent").exists()


def test_names_and_limits(hosted, call):
    for number in range(3):
        source = perfect(f"p{number}", lambda a, n=number: np.where(a == n + 1, 0, a))
        assert entrant(call, source, f"System {number}", f"s{number}")[0] == 0
        status, text = score(call, f"s{number}")
        assert status == 0, text
    status, text = score(call, "s0")
    assert status == 2
    assert "was scored before" in text
    source = perfect("p3")
    entrant(call, source, "system 1", "s3")
    assert "the board has a system 'system-1'" in score(call, "s3")[1]
    entrant(call, source, "Fourth", "s4")
    status, text = score(call, "s4")
    assert status == 2
    assert "the limit of this board" in text
    entrant(call, source, "Of others", "s5", **{"--team": "Another"})
    assert score(call, "s5")[0] == 0


def test_changed_hidden_labels_are_noticed(hosted, call):
    assert entrant(call, perfect())[0] == 0
    first, second, *_ = sorted(Path("HIDDEN/labels").iterdir())
    shutil.copy(first, second)
    status, text = score(call)
    assert status == 2
    assert "changed since it was committed to" in text
    secret = json.loads(Path("HIDDEN/hidden-labels.json").read_text())
    secret["labels"][second.name.split(".")[0]] = hashlib.sha256(second.read_bytes()).hexdigest()
    Path("HIDDEN/hidden-labels.json").write_text(json.dumps(secret))
    status, text = score(call)
    assert status == 2
    assert "committed to" in text


def test_hosting_refuses_folders_that_would_give_labels_away(cohort, call):
    for public, hidden in (("A", "A/B"), ("A", "A"), ("A/B", "A")):
        status, text = call(
            "split", "--data", cohort, "--hold-out", "--out", public, "--hidden", hidden
        )
        assert status == 2
        assert "must not be, hold or lie in" in text
        assert not Path("A").exists()
    assert call("split", "--data", cohort, "--hold-out", "--out", "A")[0] == 2
    status, _ = call("split", "--data", cohort, "--out", "split.json")
    assert status == 0
    assert json.loads(Path("split.json").read_text())["test"]


def test_patients_with_several_scans_stay_patients_on_a_hidden_board(cohort, call):
    shutil.copytree(cohort, "clinic")
    Path("t.csv").write_text(
        "image,labels,id,patient,split\n"
        + "".join(
            f"clinic/images/p{i:02}.nii.gz,clinic/labels/p{i:02}.nii.gz,p{i:02},"
            f"Smith{i // 2},{'train' if i < 4 else 'test'}\n"
            for i in range(10)
        )
    )
    status, text = call(
        "split", "--data", "t.csv", "--split", "given", "--hold-out", "--out", "PUBLIC",
        "--hidden", "HIDDEN",
    )  # fmt: skip
    assert status == 0, text
    secret = json.loads(Path("HIDDEN/hidden-labels.json").read_text())
    assert secret["patients"]["together"] == [["p04", "p05"], ["p06", "p07"], ["p08", "p09"]]
    assert "patient" not in Path("PUBLIC/hold-out.json").read_text()
    trained = Path("PUBLIC/train/patients.csv").read_text().split()
    assert trained == ["id,patient", "p00,1", "p01,1", "p02,2", "p03,2"], "numbers made anew"
    assert "Smith" not in "".join(p.read_text() for p in Path().rglob("*.json"))
    assert entrant(call, perfect("theirs", np.zeros_like))[0] == 0
    status, text = score(call)
    assert status == 0, text
    assert "6 scans of 3 patients" in text
    board = json.loads(Path("BOARD/leaderboard.json").read_text())
    assert board["methods"][0]["lines"][0]["figures"]["F1 whole"]["patients"] == 3
    # a hidden folder of an earlier version says nothing of patients
    del secret["patients"]
    Path("HIDDEN/hidden-labels.json").write_text(json.dumps(secret))
    status, text = call("evaluate", "--hidden", "HIDDEN", "--data", "PUBLIC", "--plain")
    assert status == 0, text
    assert "6 scans of 3 patients" not in text
    Path("HIDDEN/hidden-labels.json").write_text(json.dumps({**secret, "patients": [1]}))
    status, text = call("evaluate", "--hidden", "HIDDEN", "--data", "PUBLIC", "--plain")
    assert status == 2
    assert "damaged; restore it from a copy" in text
