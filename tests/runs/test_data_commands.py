"""`benchmark data`: the split in numbers, and faults of scans that a program made."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.calcium import RISK_NAMES, risk_category, score_scan
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
