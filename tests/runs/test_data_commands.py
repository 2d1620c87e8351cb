"""`benchmark data`: the split in numbers, and faults of scans that a program made."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.calcium import RISK_NAMES, risk_category, score_scan
from benchmark.cli import main
from benchmark.cohorts.base import Cohort, Record, Scan
from benchmark.runs.datasets import check_data, describe_data, make_data, split_table
from benchmark.runs.sources import tier_split


class Blocks(Cohort):
    """Eight small scans with an LAD lesion of growing size."""

    name = "blocks"
    notes = ("Blocks, not hearts.",)

    def __init__(self) -> None:
        self.scans = {}
        for index in range(8):
            voxels = np.full((4, 12, 12), -50, np.int16)
            labels = np.zeros(voxels.shape, np.uint8)
            voxels[1, 1 : 2 + index, 1:4] = 400
            labels[voxels > 130] = 1
            self.scans[f"b{index}"] = Scan(f"b{index}", "AB"[index % 2], voxels, (3, 1, 1), labels)
        self.made = []
        self.kept = tuple(self._record(scan) for scan in self.scans.values())

    @staticmethod
    def _record(scan: Scan) -> Record:
        agatston = float(score_scan(scan.voxels, scan.labels, scan.spacing)[0, 3])
        return Record(scan.id, scan.centre, agatston, int(risk_category(agatston)))

    def fingerprint(self) -> str:
        return "b10c" * 16

    def records(self):
        return self.kept

    def load(self, id):
        return self.scans[id]

    def prepare(self, ids, progress=None, workers=None):
        self.made = list(ids)


def test_the_split_in_numbers_adds_up():
    cohort = Blocks()
    split = tier_split(cohort, None, None)
    rows = split_table(cohort, split)
    assert len(rows) == 1 + len(RISK_NAMES) + 2 + 1

    def counts(row):
        cells = row[max(len(name) for name in (*RISK_NAMES, "together")) :]
        return [int(cell.split("(")[0]) for cell in cells.split(")")[:3]]

    together = counts(rows[-1])
    assert together == [8, len(split.train), len(split.test)]
    assert np.sum([counts(row) for row in rows[1:6]], axis=0).tolist() == together
    assert counts(rows[6])[0] == counts(rows[7])[0] == 4


def test_only_the_scans_of_a_tier_are_made(lines):
    cohort = Blocks()
    make_data(cohort, lines, 2, 1, None)
    assert len(cohort.made) == 3
    make_data(cohort, lines, None, None, None)
    assert sorted(cohort.made) == sorted(cohort.scans)


def test_sound_scans_pass_and_describe_says_what_they_are(lines, tmp_path):
    cohort = Blocks()
    assert check_data(cohort, lines, None, None, None) == 0
    assert describe_data(cohort, lines, None, None, None, tmp_path / "figures") == []
    assert "Blocks, not hearts." in lines.lines
    split = tier_split(cohort, None, None)
    saved = json.loads((tmp_path / "figures/split.json").read_text())
    assert (saved["hash"], tuple(saved["test"])) == (split.hash, split.test)
    assert any(split.hash in line for line in lines.lines)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda s: replace(s, labels=s.labels[:2]), "grid"),
        (lambda s: replace(s, labels=s.labels * 9), "unknown label 9"),
        (lambda s: replace(s, labels=np.ones_like(s.labels)), "not above 130 HU"),
        (lambda s: replace(s, labels=np.zeros_like(s.labels)), "its record says"),
    ],
)
def test_a_faulty_scan_is_refused_with_the_reason(lines, fault, words):
    cohort = Blocks()
    cohort.scans["b3"] = fault(cohort.scans["b3"])
    assert check_data(cohort, lines, None, None, None) == 1
    assert any("b3" in line and words in line for line in lines.lines)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 0.5, 3.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A CSV of five scans of two centres, the last two of one patient."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    lines = ["image,labels,patient,centre,split"]
    for number in range(5):
        voxels = np.full((6, 16, 16), -850, np.int16)
        voxels[:, 4:, 4:] = 40
        labels = np.zeros(voxels.shape, np.uint8)
        voxels[2, 10, 5 : 6 + number] = 250
        labels[2, 10, 5 : 6 + number] = 1
        write(tmp_path / f"data/ct{number}.nii.gz", voxels)
        write(tmp_path / f"data/seg{number}.nii.gz", labels)
        part = ("train", "test")[number % 2]
        patient, centre = f"MRN{min(number, 3)}", "AB"[number > 2]
        lines.append(f"ct{number}.nii.gz,seg{number}.nii.gz,{patient},{centre},{part}")
    path = tmp_path / "data/scans.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_check_prints_and_writes_a_row_for_each_scan(table, tmp_path, capsys):
    # The given split has one patient in both parts: told, with exit status 1.
    out = tmp_path / "table.csv"
    assert main(["data", "check", str(table), "--csv", str(out)]) == 1
    text = capsys.readouterr().out
    assert "5 scans, 0 refused, 0 with a warning, 0 without labels" in text
    assert text.splitlines()[-1].startswith("refused: one patient in two parts of the split: ct3")
    assert "MRN" not in text
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [f"ct{number}" for number in range(5)]
    assert float(rows[4]["agatston_LAD"]) == pytest.approx(5 * 0.25 * 2)
    assert float(rows[4]["volume_whole"]) == pytest.approx(5 * 0.75)
    assert (rows[0]["verdict"], rows[0]["z"], rows[0]["lowest_hu"]) == ("ready", "6", "-850")


def test_bad_files_get_a_line_each_and_the_others_go_on(table, capsys):
    (table.parent / "ct1.nii.gz").write_bytes(b"junk")
    write(table.parent / "seg2.nii.gz", np.zeros((6, 15, 16), np.uint8))
    assert main(["data", "check", "--data", str(table), "--cohort", "csv"]) == 1
    lines = capsys.readouterr().out.splitlines()
    lines = lines[[line.startswith("verdict") for line in lines].index(True) :]
    assert [line.split()[0] for line in lines[1:6]] == [
        "ready",
        "refused",
        "refused",
        *["ready"] * 2,
    ]
    assert sum(line.startswith("refused: ct") for line in lines) == 2
    assert any("ct1.nii.gz: cannot be read" in line for line in lines)
    assert any("seg2.nii.gz: size" in line for line in lines)


def test_check_with_processes_gives_the_same_rows(table, tmp_path):
    rows = []
    for workers in ("1", "2"):
        out = tmp_path / f"{workers}.csv"
        cache = str(tmp_path / workers)
        command = ["data", "check", str(table), "--csv", str(out), "--cache", cache]
        main([*command, "--workers", workers])
        rows.append(out.read_text())
    assert rows[0] == rows[1]
    assert rows[0].count("\n") == 6


def test_a_split_is_described_and_kept(table, tmp_path, capsys):
    out = tmp_path / "described"
    command = ["data", "describe", "--data", str(table), "--out", str(out)]
    assert main([*command, "--split", "by-centre:B"]) == 0
    saved = json.loads((out / "split.json").read_text())
    assert set(saved["test"]) == {"ct3", "ct4"}
    text = capsys.readouterr().out
    assert f"split by-centre:B, seed 0: {saved['hash']}" in text
    assert main([*command, "--fold", "1/2"]) == 0
    saved = json.loads((out / "split.json").read_text())
    assert ({"ct3", "ct4"} <= set(saved["test"])) or ({"ct3", "ct4"} <= set(saved["train"]))
    capsys.readouterr()
    assert main([*command, "--split", "given"]) == 2
    assert "one patient in both parts" in capsys.readouterr().err


def test_a_cohort_is_exported_and_read_back(table, tmp_path, capsys):
    for form in ("orcascore", "coca", "nifti", "nnunet"):
        out = tmp_path / form
        assert (
            main(["data", "export", "--data", str(table), "--format", form, "--out", str(out)]) == 0
        )
        assert f"5 scans written as {form}" in capsys.readouterr().out
        assert main(["data", "check", str(out)]) == 0
        assert "5 scans, 0 refused" in capsys.readouterr().out
    assert (
        main(["data", "export", "--data", str(table), "--format", "coca", "--out", str(out)]) == 2
    )
    assert "is not empty" in capsys.readouterr().err


def test_two_places_at_once_are_refused(table, capsys):
    assert main(["data", "check", str(table), "--data", str(table)]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_a_written_split_is_read_by_every_command(fake_cli, suite_file, table, tmp_path, capsys):
    saved, runs = tmp_path / "made/split.json", tmp_path / "runs"
    run = ["run", "--suite", str(suite_file), "--scale", "smoke", "--methods", "all-lad", "--out",
           str(runs), "--device", "cpu", "--threads", "1", "--plain", "--no-figures"]  # fmt: skip
    assert main([*run, "--fold", "1/2", "--set", "train=20", "--set", "test=20"]) == 0
    (first,) = runs.glob("tiny/*/plan.json")
    made = json.loads(first.read_text())["split"]
    keys = ("kind", "seed", "hash", "train", "test")
    saved.parent.mkdir()
    saved.write_text(json.dumps({key: made[key] for key in keys}))
    again = [*run, "--split", str(saved), "--set", "train=20", "--set", "test=20"]
    assert main(again) == 0
    # the same split is the same run: nothing is done twice
    assert len(list((runs / "cells").glob("all-lad-*"))) == 1

    args = ["--data", str(table), "--split", "by-patient"]
    assert main(["split", *args, "--out", str(tmp_path / "own.json")]) == 0
    wanted = json.loads((tmp_path / "own.json").read_text())
    capsys.readouterr()
    own = ["--data", str(table), "--split", str(tmp_path / "own.json")]
    assert main(["split", *own]) == 0
    captured = capsys.readouterr()
    assert f"split by-patient, seed 0: {wanted['hash']}" in captured.out
    # another file under one of the ids: the same members of other content
    write(table.parent / "seg0.nii.gz", np.zeros((6, 16, 16), np.uint8))
    capsys.readouterr()
    assert main(["split", *own]) == 0
    assert "own.json: was made of scans with other content" in capsys.readouterr().err


def test_a_copy_is_told_by_check_and_refused_by_split(table, capsys):
    lines = ["image,labels,id,split"]
    lines += [f"ct{n}.nii.gz,seg{n}.nii.gz,a{n},train" for n in range(3)]
    lines += [f"ct{n}.nii.gz,seg{n}.nii.gz,b{n},test" for n in (0, 3)]
    table.write_text("\n".join(lines) + "\n")
    assert main(["data", "check", str(table)]) == 1
    out = capsys.readouterr().out
    assert "5 scans, 0 refused, 2 with a warning" in out
    assert "refused: one scan in two parts of the split: a0 (" in out
    assert main(["split", "--data", str(table), "--split", "given"]) == 2
    err = capsys.readouterr().err
    assert "error: split: one scan in both parts: a0 (" in err
    assert ") would train and b0 (" in err
