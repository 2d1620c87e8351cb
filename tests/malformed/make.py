"""Write the corpus of malformed files: ``python tests/malformed/make.py FOLDER``.

Each lies in a folder ``reader/what is wrong``; ``cases.json`` says which command reads it and how
that command must end.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

import bad_archives
import bad_dicom
import bad_scans
import bad_segments
import bad_texts
import bad_volumes
from cases import Case, Maker

MAKERS: tuple[Maker, ...] = (
    bad_volumes.meta_image,
    bad_volumes.nifti,
    bad_volumes.nrrd,
    bad_segments.segments,
    bad_scans.dicom,
    bad_dicom.several_slices,
    bad_dicom.segmentations,
    bad_dicom.packed_pixels,
    bad_dicom.one_scan,
    bad_scans.coca_outlines,
    bad_scans.nnunet,
    bad_texts.csv_tables,
    bad_texts.cohort_files,
    bad_texts.suites,
    bad_texts.claims,
    bad_texts.score_tables,
    bad_texts.places,
    bad_texts.keys,
    bad_archives.submissions,
    bad_archives.runs,
)


def build(root: Path, makers: tuple[Maker, ...] = MAKERS) -> list[Case]:
    """Write the corpus below a new folder."""
    root.mkdir(parents=True, exist_ok=True)
    bad_volumes.good(root)
    cases = [case for make in makers for case in make(root)]
    text = json.dumps([asdict(case) for case in cases], indent=1)
    (root / "cases.json").write_text(text + "\n", encoding="utf-8")
    return cases


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/malformed/make.py FOLDER")
    folder = Path(sys.argv[1])
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder}: is not empty")
    made = build(folder)
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    print(f"{len(made)} malformed files in {folder}")
